//! What reaches which endpoint, and as whom.

use proxy_common::{
    block::policy,
    family::FamilyKind,
    frontend::FrontendKind,
    net::Protocol,
    node::{address_flag, node_flag},
    reason::Reason,
};
use proxy_ebpf::testing::{
    fixture::{FIRST_PORT, Fixture, POD_PORT, ServiceDraft, UPLINK, service},
    packet::{Draft, answer, data, opening, sctp, tcp, udp},
    who::{
        TestFamily,
        Who::{self, Balancer, ClusterIp, ExternalIp, FarPod, Gateway, Node, NodeAlt, Outsider, Pod},
    },
};

use super::row::{Row, row};

const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];

/// Where the clients of a row are, and who they are.
#[derive(Clone, Copy)]
struct Client {
    interface: u32,
    end: (Who, u16),
}

const POD: Client = Client {
    interface: POD_PORT,
    end: (Pod(2), 4000),
};
const OUTSIDER: Client = Client {
    interface: UPLINK,
    end: (Outsider(9), 4000),
};

pub(super) fn rows<F: TestFamily>() -> Vec<Row<F>> {
    let mut rows = Vec::new();
    for protocol in PROTOCOLS {
        rows.extend(cluster_addresses(protocol));
        rows.extend(external_addresses(protocol));
        rows.extend(itself(protocol));
    }
    rows.extend(who_is_masqueraded());
    rows.extend(node_addresses());
    rows.extend(what_opens_a_flow());
    rows.push(no_checksum());
    rows.push(memory_used_again());
    rows
}

fn memory_used_again<F: TestFamily>() -> Row<F> {
    let fixture = Fixture::<F>::default()
        .with(everywhere(Protocol::Tcp).near(Pod(1), 8080))
        .mixed_up(ClusterIp(2), 80, Protocol::Tcp);
    row("an entry that is another address's by now leads nowhere", &fixture).enters(
        POD_PORT,
        tcp::<F>(POD.end, (ClusterIp(2), 80)).syn(),
        Reason::NoService,
    )
}

fn everywhere(protocol: Protocol) -> ServiceDraft {
    service(protocol).everywhere(1, 80, 30080)
}

/// How a packet is made from its ends.
type Packet<F> = fn(Protocol, (Who, u16), (Who, u16)) -> Draft<F>;

/// Request and reply, both halves of each, and data after that. `seen` is who the backend believes to be asked by.
fn conversation<F: TestFamily>(
    row: Row<F>,
    protocol: Protocol,
    client: Client,
    dialled: (Who, u16),
    backend: (Who, u16),
    seen: (Who, u16),
) -> Row<F> {
    let exit = if matches!(backend.0, Pod(_)) { POD_PORT } else { UPLINK };
    let mut row = row;
    let first: (Packet<F>, Packet<F>) = (opening, answer);
    for (packet, reply) in [first, (data, data)] {
        let inside = packet(protocol, client.end, backend);
        row = row.enters_as(client.interface, packet(protocol, client.end, dialled), &inside);
        row = if seen == client.end {
            row.leaves(exit, &inside, Reason::Canonical)
        } else {
            row.leaves_as(exit, &inside, packet(protocol, seen, backend))
        };
        let inside = reply(protocol, backend, client.end);
        row = if seen == client.end {
            row.enters(exit, &inside, not_masqueraded(protocol))
        } else {
            row.enters_as(exit, reply(protocol, backend, seen), &inside)
        };
        row = row.leaves_as(client.interface, &inside, reply(protocol, dialled, client.end));
    }
    row
}

/// How a reply is counted where it comes in without having been masqueraded: its flow is known by its other form. Any
/// datagram may open a flow, so one is looked at for longer.
const fn not_masqueraded(protocol: Protocol) -> Reason {
    match protocol {
        Protocol::Udp => Reason::NoService,
        Protocol::Tcp | Protocol::Sctp => Reason::NoFlow,
    }
}

fn cluster_addresses<F: TestFamily>(protocol: Protocol) -> Vec<Row<F>> {
    let backend = (FarPod(1), 8080);
    let fixture = Fixture::<F>::default().with(everywhere(protocol).far(backend.0, backend.1));
    let local = service(protocol).cluster_ip(1, 80).policy(policy::INTERNAL_LOCAL);
    let local = local.far(FarPod(1), 8080).near(Pod(3), 8080);
    let local = Fixture::<F>::default().with(local);
    vec![
        conversation(
            row(
                &format!("a pod reaches a far endpoint by the cluster address, {protocol:?}"),
                &fixture,
            ),
            protocol,
            POD,
            (ClusterIp(1), 80),
            backend,
            POD.end,
        ),
        conversation(
            row(
                &format!("internal policy Local takes the endpoint on this node, {protocol:?}"),
                &local,
            ),
            protocol,
            POD,
            (ClusterIp(1), 80),
            (Pod(3), 8080),
            POD.end,
        ),
    ]
}

fn external_addresses<F: TestFamily>(protocol: Protocol) -> Vec<Row<F>> {
    let (far, near) = ((FarPod(1), 8080), (Pod(3), 8080));
    let cluster = Fixture::<F>::default()
        .with(everywhere(protocol).far(far.0, far.1))
        .one_port();
    let local = everywhere(protocol).policy(policy::EXTERNAL_LOCAL);
    let local = Fixture::<F>::default().with(local.near(near.0, near.1));
    let far_only = everywhere(protocol).policy(policy::EXTERNAL_LOCAL).far(far.0, far.1);
    let far_only = Fixture::<F>::default().with(far_only);
    let hinted = everywhere(protocol).policy(policy::EXTERNAL_LOCAL);
    let hinted = Fixture::<F>::default().with(hinted.near_only(near.0, near.1).far(far.0, far.1));
    let strict = everywhere(protocol).policy(policy::EXTERNAL_LOCAL | policy::NO_EXCEPTIONS);
    let strict = Fixture::<F>::default().with(strict.near(near.0, near.1).far(far.0, far.1));
    let mut rows = Vec::new();
    for dialled in [(ExternalIp(1), 80), (Balancer(1), 80), (Node, 30080)] {
        let named = |what: &str| format!("{what} by {dialled:?}, {protocol:?}");
        let masqueraded = (Node, FIRST_PORT);
        let name = named("an outsider reaches a far endpoint, masqueraded,");
        rows.push(conversation(
            row(&name, &cluster),
            protocol,
            OUTSIDER,
            dialled,
            far,
            masqueraded,
        ));
        let name = named("a pod reaches a far endpoint, masqueraded,");
        rows.push(conversation(
            row(&name, &cluster),
            protocol,
            POD,
            dialled,
            far,
            masqueraded,
        ));
        let name = named("policy Local keeps an outsider's address");
        rows.push(conversation(
            row(&name, &local),
            protocol,
            OUTSIDER,
            dialled,
            near,
            OUTSIDER.end,
        ));
        let name = named("policy Local takes an endpoint that hints leave to others");
        rows.push(conversation(
            row(&name, &hinted),
            protocol,
            OUTSIDER,
            dialled,
            near,
            OUTSIDER.end,
        ));
        let name = named("policy Local with hints leaves the cluster's endpoints to a pod");
        rows.push(conversation(row(&name, &hinted), protocol, POD, dialled, far, POD.end));
        let name = named("policy Local without exceptions keeps a pod to this node");
        rows.push(conversation(row(&name, &strict), protocol, POD, dialled, near, POD.end));
        let name = named("policy Local lets a pod go to other nodes as itself");
        rows.push(conversation(
            row(&name, &far_only),
            protocol,
            POD,
            dialled,
            far,
            POD.end,
        ));
    }
    rows
}

/// A pod that is its own backend.
fn itself<F: TestFamily>(protocol: Protocol) -> Vec<Row<F>> {
    let itself = |port| {
        Fixture::<F>::default()
            .with(service(protocol).cluster_ip(1, 80).near(Pod(2), port))
            .one_port()
    };
    let seen = (Gateway, FIRST_PORT);
    let (backend, vip, client) = ((Pod(2), 4000), (ClusterIp(1), 80), (Pod(2), 4000));
    let shifted = (Pod(2), FIRST_PORT);
    vec![
        conversation(
            row(
                &format!("a pod reaches itself through a service, {protocol:?}"),
                &itself(8080),
            ),
            protocol,
            POD,
            vip,
            (Pod(2), 8080),
            seen,
        ),
        row(
            &format!("a pod reaches itself from the port it listens on, {protocol:?}"),
            &itself(4000),
        )
        .enters_as(
            POD_PORT,
            opening::<F>(protocol, client, vip),
            opening::<F>(protocol, shifted, backend),
        )
        .leaves_as(
            POD_PORT,
            opening::<F>(protocol, shifted, backend),
            opening::<F>(protocol, seen, backend),
        )
        .enters_as(
            POD_PORT,
            answer::<F>(protocol, backend, seen),
            answer::<F>(protocol, backend, shifted),
        )
        .leaves_as(
            POD_PORT,
            answer::<F>(protocol, backend, shifted),
            answer::<F>(protocol, vip, client),
        ),
    ]
}

fn who_is_masqueraded<F: TestFamily>() -> Vec<Row<F>> {
    let far = (FarPod(1), 8080);
    let vip = (ClusterIp(1), 80);
    let service = service(Protocol::Tcp).cluster_ip(1, 80).far(far.0, far.1);
    let fixture = |flags| {
        Fixture::<F>::default()
            .with(service.clone())
            .one_port()
            .node_flags(flags)
    };
    let node = (Node, FIRST_PORT);
    let of = |name: &str, flags, client, seen| {
        conversation(row(name, &fixture(flags)), Protocol::Tcp, client, vip, far, seen)
    };
    vec![
        of(
            "an outsider at a cluster address is masqueraded",
            node_flag::DETECT_NETWORK,
            OUTSIDER,
            node,
        ),
        of(
            "nobody at a cluster address is masqueraded where pods are not told apart",
            0,
            OUTSIDER,
            OUTSIDER.end,
        ),
        of(
            "all are masqueraded if all shall be",
            node_flag::MASQUERADE_ALL,
            POD,
            node,
        ),
        of("a pod is known by its device", node_flag::DETECT_DEVICE, POD, POD.end),
        of(
            "who comes by the uplink is no pod, known by device",
            node_flag::DETECT_DEVICE,
            OUTSIDER,
            node,
        ),
    ]
}

fn node_addresses<F: TestFamily>() -> Vec<Row<F>> {
    let fixture = Fixture::<F>::default()
        .with(everywhere(Protocol::Tcp).far(FarPod(1), 8080))
        .one_port();
    let both = fixture.clone().own_address(NodeAlt, address_flag::NODE_PORTS);
    let own_vip = fixture.clone().own_address(Balancer(1), address_flag::NODE_PORTS);
    let host_backend = service(Protocol::Tcp)
        .at(FrontendKind::LoadBalancer, Balancer(1), 80)
        .near(Node, 80);
    let host_backend = Fixture::<F>::default().with(host_backend).one_port();
    let udp_service = Fixture::<F>::default()
        .with(everywhere(Protocol::Udp).far(FarPod(1), 53))
        .one_port();
    let asked = udp::<F>(OUTSIDER.end, (Node, 30080)).payload(b"q");
    let syn = |to| tcp::<F>(OUTSIDER.end, to).syn();
    vec![
        row("a node port is not answered at another address", &fixture).enters(
            UPLINK,
            syn((NodeAlt, 30080)),
            Reason::NoService,
        ),
        row("a node port is answered at every address that takes them", &both).enters_as(
            UPLINK,
            syn((NodeAlt, 30080)),
            syn((FarPod(1), 8080)),
        ),
        row("a service address stands before the node that has it", &own_vip)
            .enters_as(UPLINK, syn((Balancer(1), 80)), syn((FarPod(1), 8080)))
            .enters(UPLINK, syn((Balancer(1), 81)), Reason::NoService),
        row("a backend on this very node sees the client", &host_backend)
            .enters_as(UPLINK, syn((Balancer(1), 80)), syn((Node, 80)))
            .leaves_as(
                UPLINK,
                tcp::<F>((Node, 80), OUTSIDER.end).syn_ack(),
                tcp::<F>((Balancer(1), 80), OUTSIDER.end).syn_ack(),
            ),
        row(
            "a socket of the host keeps what is sent to it",
            &udp_service.clone().listening(Node, 30080),
        )
        .enters(UPLINK, &asked, Reason::LocalSocket),
        row("without one the datagram is the node port's", &udp_service).enters_as(
            UPLINK,
            &asked,
            udp::<F>(OUTSIDER.end, (FarPod(1), 53)).payload(b"q"),
        ),
    ]
}

fn what_opens_a_flow<F: TestFamily>() -> Vec<Row<F>> {
    let of = |protocol| Fixture::<F>::default().with(service(protocol).cluster_ip(1, 80).far(FarPod(1), 8080));
    let (client, vip) = (POD.end, (ClusterIp(1), 80));
    let mut rows = vec![
        row("an SCTP packet that opens nothing passes", &of(Protocol::Sctp)).enters(
            POD_PORT,
            sctp::<F>(client, vip).chunk(0),
            Reason::NoFlow,
        ),
        row("another port of a service address passes", &of(Protocol::Tcp)).enters(
            POD_PORT,
            tcp::<F>(client, (ClusterIp(1), 81)).syn(),
            Reason::NoService,
        ),
        row("another protocol at a service address passes", &of(Protocol::Tcp)).enters(
            POD_PORT,
            udp::<F>(client, vip),
            Reason::NoService,
        ),
        row(
            "a connection straight to an endpoint is left as it is",
            &of(Protocol::Tcp),
        )
        .enters(POD_PORT, tcp::<F>(client, (FarPod(1), 8080)).syn(), Reason::Direct)
        .leaves(UPLINK, tcp::<F>(client, (FarPod(1), 8080)).syn(), Reason::Direct)
        .enters(UPLINK, tcp::<F>((FarPod(1), 8080), client).syn_ack(), Reason::NoFlow)
        .leaves(POD_PORT, tcp::<F>((FarPod(1), 8080), client).syn_ack(), Reason::Direct),
        row("what has nothing to do with a service passes", &of(Protocol::Tcp))
            .enters(POD_PORT, tcp::<F>(client, (FarPod(1), 9)).syn(), Reason::NoService)
            .leaves(UPLINK, tcp::<F>(client, (FarPod(1), 9)).syn(), Reason::NoFlow),
    ];
    // ACK; SYN and ACK; RST; FIN; SYN and FIN; nothing at all.
    for flags in [0x10, 0x12, 0x04, 0x01, 0x03, 0x00] {
        let packet = tcp::<F>(client, vip).flags(flags);
        let name = format!("TCP with flags {flags:#04x} opens nothing");
        rows.push(row(&name, &of(Protocol::Tcp)).enters(POD_PORT, packet, Reason::NoFlow));
    }
    rows
}

/// Over IPv4 a datagram may do without a checksum (RFC 768); over IPv6 nobody sends such a one, and it stays as it is.
fn no_checksum<F: TestFamily>() -> Row<F> {
    let service = service(Protocol::Udp).cluster_ip(1, 53).far(FarPod(1), 5353);
    let fixture = Fixture::<F>::default().with(service);
    let datagram = |from, to| udp::<F>(from, to).payload(b"q").without_checksum();
    let name = match F::KIND {
        FamilyKind::V4 => "a datagram without a checksum gets none",
        FamilyKind::V6 => "a datagram that ought to have a checksum gets none",
    };
    row(name, &fixture)
        .enters_as(
            POD_PORT,
            datagram(POD.end, (ClusterIp(1), 53)),
            datagram(POD.end, (FarPod(1), 5353)),
        )
        .leaves_as(
            POD_PORT,
            datagram((FarPod(1), 5353), POD.end),
            datagram((ClusterIp(1), 53), POD.end),
        )
}
