//! Which packets are measured, at which hook, and under which reason each must be counted.

use anyhow::Result;
use proxy_common::{
    family::Family,
    flow::FlowRecord,
    net::{Peer, Protocol},
    node::Hook,
    reason::Reason,
};
use proxy_ebpf::testing::{
    fixture::{POD_PORT, UPLINK},
    machine::Way,
    packet::{BRIDGE_MAC, Draft, PEER_MAC, Wire, data, opening, tcp},
    who::{TestFamily, Who},
};

use super::{
    figures::Name,
    flow::{Conversing, converse, mac},
    restore::Restored,
    stage::{EMPTY, PORT, TARGET},
};

/// ARP (RFC 826).
const ARP: u16 = 0x0806;
const CLIENT: (Who, u16) = (Who::Pod(2), 4000);
const OUTSIDER: (Who, u16) = (Who::Outsider(2), 4000);
const DIRECT: (Who, u16) = (Who::Pod(3), 4000);
const CLUSTER_IP: (Who, u16) = (Who::ClusterIp(1), PORT);
const BALANCER: (Who, u16) = (Who::Balancer(1), PORT);
/// A pod that is no Service's endpoint.
const STRANGER: (Who, u16) = (Who::FarPod(9), 9000);

/// One kind of packet.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// What it is.
    pub(super) name: &'static str,
    /// Where it meets the programs.
    pub(super) hook: Hook,
    /// Its protocol; none if it is not IP.
    pub(super) protocol: Option<Protocol>,
    /// The device that it comes in by or goes out by.
    pub(super) interface: u32,
    /// The packet.
    pub(super) packet: Wire,
    /// What is put back before each run.
    pub(super) restored: Restored,
    /// What it must be counted under.
    pub(super) reason: Reason,
}

impl Case {
    /// What it is called in a family.
    pub(super) fn name_in<F: TestFamily>(&self) -> Name {
        let protocol = match self.protocol {
            Some(Protocol::Tcp) => "TCP",
            Some(Protocol::Udp) => "UDP",
            Some(Protocol::Sctp) => "SCTP",
            None => "-",
        };
        Name::new(self.name, self.hook, F::NAME, protocol)
    }

    /// Which way it goes.
    pub(super) fn way(&self) -> Way {
        match self.hook {
            Hook::Egress => Way::Out(self.interface),
            Hook::Ingress | Hook::Socket => Way::In(self.interface),
        }
    }
}

/// All cases of a family; flows that they need are opened.
///
/// # Errors
/// When a flow cannot be opened.
pub(super) fn of<F: TestFamily>(node: &mut impl Conversing<F>, with_services: bool) -> Result<Vec<Case>> {
    let mut cases = not_ip::<F>();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        cases.extend(plain::<F>(protocol));
        if with_services {
            cases.extend(established::<F>(node, protocol)?);
            cases.extend(masqueraded::<F>(node, protocol)?);
            cases.extend(first::<F>(protocol));
        }
    }
    if with_services {
        cases.extend(direct::<F>(node)?);
    }
    Ok(cases)
}

fn enters<F: TestFamily>(name: &'static str, interface: u32, packet: &Draft<F>, reason: Reason) -> Case {
    Case {
        name,
        hook: Hook::Ingress,
        protocol: Protocol::from_number(packet.protocol()),
        interface,
        packet: packet.wire(),
        restored: Restored::Bytes,
        reason,
    }
}

fn leaves<F: TestFamily>(name: &'static str, interface: u32, packet: &Draft<F>, reason: Reason) -> Case {
    Case {
        hook: Hook::Egress,
        ..enters(name, interface, packet, reason)
    }
}

fn not_ip<F: TestFamily>() -> Vec<Case> {
    let packet = tcp::<F>(CLIENT, STRANGER).ethertype(ARP);
    let mut cases = vec![
        enters("not IP", POD_PORT, &packet, Reason::NotIp),
        leaves("not IP", POD_PORT, &packet, Reason::NotIp),
    ];
    cases.iter_mut().for_each(|case| case.protocol = None);
    cases
}

/// Packets between pods that no Service has anything to do with.
fn plain<F: TestFamily>(protocol: Protocol) -> Vec<Case> {
    let packet = data::<F>(protocol, CLIENT, STRANGER);
    // A datagram may always be the first of a flow, so Services are asked for it.
    let (routed, bridged) = match protocol {
        Protocol::Tcp => (Reason::NoFlow, Reason::NoFlow),
        Protocol::Udp | Protocol::Sctp => (Reason::NoService, Reason::OtherHost),
    };
    let first = opening::<F>(protocol, CLIENT, STRANGER).at_mac(BRIDGE_MAC);
    vec![
        enters("plain, routed", POD_PORT, &packet.clone().at_mac(BRIDGE_MAC), routed),
        enters("plain, bridged", POD_PORT, &packet.clone().at_mac(PEER_MAC), bridged),
        enters("plain, first packet", POD_PORT, &first, Reason::NoService),
        leaves("plain", POD_PORT, &packet, Reason::NoFlow),
    ]
}

/// A pod's flow to an endpoint on the same node.
fn established<F: TestFamily>(node: &mut impl Conversing<F>, protocol: Protocol) -> Result<Vec<Case>> {
    let flow: FlowRecord<F> = converse(node, protocol, POD_PORT, CLIENT, CLUSTER_IP)?;
    let (client, backend) = (flow.client(), flow.backend());
    // The reply goes to a pod on the same bridge, and is not ours until it leaves the bridge.
    let entering = match protocol {
        Protocol::Tcp => Reason::NoFlow,
        Protocol::Udp | Protocol::Sctp => Reason::OtherHost,
    };
    let between = |from: Peer<F>, to: Peer<F>| data::<F>(protocol, from, to);
    let request = between(client, flow.dialled()).at_mac(BRIDGE_MAC);
    let reply = between(backend, client).at_mac(PEER_MAC);
    Ok(vec![
        enters("established, request", POD_PORT, &request, Reason::Translated),
        leaves(
            "established, request",
            POD_PORT,
            &between(client, backend),
            Reason::Canonical,
        ),
        enters("established, reply", POD_PORT, &reply, entering),
        leaves("established, reply", POD_PORT, &reply, Reason::Translated),
    ])
}

/// A flow from outside through a load-balancer address.
fn masqueraded<F: TestFamily>(node: &mut impl Conversing<F>, protocol: Protocol) -> Result<Vec<Case>> {
    let flow: FlowRecord<F> = converse(node, protocol, UPLINK, OUTSIDER, BALANCER)?;
    let between = |from: Peer<F>, to: Peer<F>| data::<F>(protocol, from, to);
    let request = between(flow.client(), flow.dialled());
    let reply = between(flow.backend(), flow.masquerade()).at_mac(BRIDGE_MAC);
    let (inside, back) = (
        between(flow.inner_client(), flow.backend()),
        between(flow.backend(), flow.inner_client()),
    );
    Ok(vec![
        enters("masqueraded, request", UPLINK, &request, Reason::Translated),
        leaves("masqueraded, request", POD_PORT, &inside, Reason::Translated),
        enters("masqueraded, reply", POD_PORT, &reply, Reason::Translated),
        leaves("masqueraded, reply", UPLINK, &back, Reason::Translated),
    ])
}

/// Packets that open flows, and packets to a Service without endpoints.
fn first<F: TestFamily>(protocol: Protocol) -> Vec<Case> {
    let opens = |name, interface, from: Who, to: (Who, u16)| Case {
        restored: new_flow::<F>(),
        ..enters(
            name,
            interface,
            &opening::<F>(protocol, (from, 1), to).at_mac(mac(interface)),
            Reason::Translated,
        )
    };
    let refused = opening::<F>(protocol, CLIENT, (EMPTY, PORT)).at_mac(BRIDGE_MAC);
    vec![
        opens("first packet", POD_PORT, Who::Pod(10), CLUSTER_IP),
        opens("first packet, masqueraded", UPLINK, Who::Outsider(10), BALANCER),
        Case {
            restored: Restored::Length(refusal_headers::<F>()),
            ..enters("refused", POD_PORT, &refused, Reason::NoEndpoint)
        },
    ]
}

/// Connections straight to a Service's endpoint.
fn direct<F: TestFamily>(node: &mut impl Conversing<F>) -> Result<Vec<Case>> {
    let endpoint = (Who::Pod(20), TARGET);
    converse(node, Protocol::Tcp, POD_PORT, DIRECT, endpoint)?;
    let request = tcp::<F>(DIRECT, endpoint).payload(b"some of many bytes");
    let syn = tcp::<F>((Who::Pod(11), 1), endpoint).syn();
    Ok(vec![
        enters(
            "direct, request",
            POD_PORT,
            &request.clone().at_mac(BRIDGE_MAC),
            Reason::Direct,
        ),
        leaves("direct, request", POD_PORT, &request, Reason::Direct),
        Case {
            restored: new_flow::<F>(),
            ..enters(
                "direct, first packet",
                POD_PORT,
                &syn.at_mac(BRIDGE_MAC),
                Reason::Direct,
            )
        },
    ])
}

fn new_flow<F: Family>() -> Restored {
    const ETHERNET: u32 = 14;
    let port = u16::try_from(ETHERNET + F::HEADER_LEN).expect("headers are short");
    Restored::NewFlow(port)
}

fn refusal_headers<F: Family>() -> u8 {
    u8::try_from(F::HEADER_LEN + 8).expect("headers are short")
}
