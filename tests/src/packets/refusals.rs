//! Services without an endpoint, addresses without a service, and senders that nobody may be or that are not admitted.

use proxy_common::{
    block::policy,
    net::Protocol,
    network::{Rule, UNANSWERED},
    node::node_flag,
    reason::Reason,
};
use proxy_ebpf::testing::{
    fixture::{Fixture, POD_PORT, UPLINK, service},
    packet::{echo, opening, refusal, tcp},
    who::{
        TestFamily,
        Who::{
            Balancer, Broadcast, ClusterIp, ExternalIp, FarPod, Gateway, Loopback, Multicast, Node, NodeAlt, Outsider,
            Pod, Unspecified,
        },
    },
};

use super::row::{Row, row};

pub(super) fn rows<F: TestFamily>() -> Vec<Row<F>> {
    let mut rows = refused();
    rows.extend(left_to_the_card());
    rows.extend(dropped());
    rows.extend(bad_sources());
    rows.extend(unanswered());
    rows.extend(not_admitted());
    rows
}

fn refused<F: TestFamily>() -> Vec<Row<F>> {
    let mut rows = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        let empty = Fixture::<F>::default().with(service(protocol).everywhere(1, 80, 30080));
        for to in [
            (ClusterIp(1), 80),
            (ExternalIp(1), 80),
            (Balancer(1), 80),
            (Node, 30080),
        ] {
            let packet = opening::<F>(protocol, (Outsider(9), 4000), to);
            let name = format!("a service without endpoints refuses at {to:?}, {protocol:?}");
            rows.push(row(&name, &empty).refuses(UPLINK, &packet, Reason::NoEndpoint, refusal(&packet)));
        }
    }
    let local = policy::INTERNAL_LOCAL | policy::EXTERNAL_LOCAL;
    let unwritten = service(Protocol::Tcp).cluster_ip(1, 80).without_block();
    let local = service(Protocol::Tcp).cluster_ip(1, 80).policy(local);
    let packet = tcp::<F>((Pod(2), 4000), (ClusterIp(1), 80)).syn().payload(&[5; 400]);
    for (name, service) in [
        ("a service whose endpoints are not written yet refuses", unwritten),
        ("policy Local refuses where no node has an endpoint", local),
    ] {
        let row = row(name, &Fixture::<F>::default().with(service));
        rows.push(row.refuses(POD_PORT, &packet, Reason::NoEndpoint, refusal(&packet)));
    }
    rows
}

/// The sender has left the checksum to the card, and what is quoted of it will be completed on its way back: that is what
/// the answer's own checksum covers.
fn left_to_the_card<F: TestFamily>() -> Vec<Row<F>> {
    let mut rows = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let empty = Fixture::<F>::default().with(service(protocol).cluster_ip(1, 80));
        let packet = opening::<F>(protocol, (Pod(2), 4000), (ClusterIp(1), 80));
        let answer = refusal(&packet).wire();
        let (whole, at) = (packet.wire(), packet.checksum_at());
        let begun = packet.without_its_own_sum();
        let in_answer = F::HEADER_LEN as usize + 8 + at;
        let [first, second] = [begun.packet()[at], begun.packet()[at + 1]];
        assert_ne!([first, second], whole.packet()[at..at + 2]);
        let answer = answer.with(in_answer, first).with(in_answer + 1, second);
        let name = format!("a refusal quotes a checksum that is left to the card, {protocol:?}");
        rows.push(row(&name, &empty).refuses(POD_PORT, begun, Reason::NoEndpoint, answer));
    }
    rows
}

fn dropped<F: TestFamily>() -> Vec<Row<F>> {
    let of = |flags| {
        let service = service(Protocol::Tcp)
            .everywhere(1, 80, 30080)
            .policy(flags)
            .far(FarPod(1), 8080);
        Fixture::<F>::default().with(service)
    };
    let syn = |to| tcp::<F>((Outsider(9), 4000), to).syn();
    let by_pod = |to| tcp::<F>((Pod(2), 4000), to).syn();
    vec![
        row(
            "internal policy Local drops where only other nodes have endpoints",
            &of(policy::INTERNAL_LOCAL),
        )
        .drops(UPLINK, syn((ClusterIp(1), 80)), Reason::NoLocalEndpoint),
        row(
            "external policy Local drops where only other nodes have endpoints",
            &of(policy::EXTERNAL_LOCAL),
        )
        .drops(UPLINK, syn((Balancer(1), 80)), Reason::NoLocalEndpoint)
        .drops(UPLINK, syn((ExternalIp(1), 80)), Reason::NoLocalEndpoint)
        .drops(UPLINK, syn((Node, 30080)), Reason::NoLocalEndpoint),
        row(
            "external policy Local drops a pod's packets too where pods are not told apart",
            &of(policy::EXTERNAL_LOCAL).node_flags(0),
        )
        .drops(POD_PORT, by_pod((Balancer(1), 80)), Reason::NoLocalEndpoint)
        .drops(POD_PORT, by_pod((ExternalIp(1), 80)), Reason::NoLocalEndpoint)
        .drops(POD_PORT, by_pod((Node, 30080)), Reason::NoLocalEndpoint),
        row(
            "external policy Local says nothing about the cluster address",
            &of(policy::EXTERNAL_LOCAL),
        )
        .enters_as(UPLINK, syn((ClusterIp(1), 80)), syn((FarPod(1), 8080))),
        row(
            "internal policy Local says nothing about other addresses",
            &of(policy::INTERNAL_LOCAL),
        )
        .enters_as(UPLINK, syn((Balancer(1), 80)), syn((FarPod(1), 8080))),
    ]
}

fn bad_sources<F: TestFamily>() -> Vec<Row<F>> {
    let service = service(Protocol::Tcp).everywhere(1, 80, 30080).far(FarPod(1), 8080);
    let fixture = Fixture::<F>::default().with(service);
    let mut rows = Vec::new();
    for source in [Unspecified, Loopback, Multicast, Broadcast, Node, Gateway, ClusterIp(1)] {
        let packet = tcp::<F>((source, 4000), (ClusterIp(1), 80)).syn();
        let name = format!("a packet from {source:?} to a service is left alone");
        rows.push(row(&name, &fixture).enters(UPLINK, packet, Reason::BadSource));
    }
    let from_service = tcp::<F>((Balancer(1), 80), (ClusterIp(1), 80)).syn();
    let at_backend = tcp::<F>((Balancer(1), 80), (FarPod(1), 8080)).syn();
    rows.push(
        row("a packet from a service to a service is left alone", &fixture).enters(
            UPLINK,
            from_service,
            Reason::BadSource,
        ),
    );
    rows.push(
        row("a packet from a service to an endpoint is not translated", &fixture).enters(
            UPLINK,
            at_backend,
            Reason::Direct,
        ),
    );
    rows
}

/// A node that knows the addresses of services: the first is a service's, its neighbours are nobody's.
fn knowing<F: TestFamily>(flags: u32) -> Fixture<F> {
    Fixture::default()
        .with(service(Protocol::Tcp).cluster_ip(1, 80).far(FarPod(1), 8080))
        .config(|config| config.flags |= flags)
        .rule(UNANSWERED, ClusterIp(1), 0, Rule::REFUSE)
        .rule(UNANSWERED, ClusterIp(0), 8, Rule::DROP)
}

fn unanswered<F: TestFamily>() -> Vec<Row<F>> {
    let knowing_all = knowing::<F>(node_flag::REFUSES_UNANSWERED);
    let mut rows = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        for (interface, client) in [(POD_PORT, Pod(2)), (UPLINK, Outsider(9))] {
            let packet = opening::<F>(protocol, (client, 4000), (ClusterIp(1), 81));
            let name = format!("a port that the service has not is refused to {client:?}, {protocol:?}");
            let row = row(&name, &knowing_all);
            rows.push(row.refuses(interface, &packet, Reason::UnknownPort, refusal(&packet)));
        }
        let packet = opening::<F>(protocol, (Pod(2), 4000), (ClusterIp(2), 80));
        let name = format!("an address that no service has drops, {protocol:?}");
        rows.push(row(&name, &knowing_all).drops(POD_PORT, packet, Reason::UnknownAddress));
    }
    let syn = |from, to| tcp::<F>((from, 4000), to).syn();
    let own = knowing_all.clone().own_address(ClusterIp(2), 0);
    rows.extend([
        row("a ping of a service is not passed on", &knowing_all)
            .drops(POD_PORT, echo::<F>(Pod(2), ClusterIp(1)), Reason::UnknownPort)
            .drops(POD_PORT, echo::<F>(Pod(2), ClusterIp(2)), Reason::UnknownAddress)
            .enters(POD_PORT, echo::<F>(Pod(2), Outsider(9)), Reason::IcmpQuery),
        row("what is no service's address passes", &knowing_all).enters(
            POD_PORT,
            syn(Pod(2), (Outsider(9), 80)),
            Reason::NoService,
        ),
        row("an address of services that the node itself has is the node's", &own).enters(
            POD_PORT,
            syn(Pod(2), (ClusterIp(2), 80)),
            Reason::NoService,
        ),
        row("nobody is told who may not be told", &knowing_all)
            .enters(UPLINK, syn(Broadcast, (ClusterIp(1), 81)), Reason::BadSource)
            .enters(UPLINK, syn(Node, (ClusterIp(1), 81)), Reason::BadSource),
        row("where it is not asked for, nothing is refused", &knowing(0))
            .enters(POD_PORT, syn(Pod(2), (ClusterIp(1), 81)), Reason::NoService)
            .enters(POD_PORT, syn(Pod(2), (ClusterIp(2), 80)), Reason::NoService)
            .enters(POD_PORT, echo::<F>(Pod(2), ClusterIp(1)), Reason::IcmpQuery),
    ]);
    rows
}

/// The first service admits the pods of this node and one outsider; the second, everybody.
fn not_admitted<F: TestFamily>() -> Vec<Row<F>> {
    let limited = |flags| {
        let service = |n, flags| {
            service(Protocol::Tcp)
                .everywhere(n, 80, 30080 + u16::from(n))
                .policy(flags)
        };
        Fixture::<F>::default()
            .with(service(1, flags | policy::SOURCE_RANGES).far(FarPod(1), 8080))
            .with(service(2, flags).far(FarPod(1), 8080))
            .rule(1, Pod(0), 8, Rule::ADMIT)
            .rule(1, Outsider(9), 0, Rule::ADMIT)
            .one_port()
    };
    let syn = |from, to| tcp::<F>((from, 4000), to).syn();
    let backend = (FarPod(1), 8080);
    let fixture = limited(0);
    let refused = Reason::SourceNotAdmitted;
    let empty = Fixture::<F>::default().with(
        service(Protocol::Tcp)
            .everywhere(1, 80, 30081)
            .policy(policy::SOURCE_RANGES),
    );
    vec![
        row("a sender in a source range is served", &fixture).enters_as(
            UPLINK,
            syn(Outsider(9), (Balancer(1), 80)),
            syn(Outsider(9), backend),
        ),
        row("a pod in a source range is served", &fixture).enters_as(
            POD_PORT,
            syn(Pod(2), (Balancer(1), 80)),
            syn(Pod(2), backend),
        ),
        row("a sender in no source range is dropped", &fixture)
            .drops(UPLINK, syn(Outsider(8), (Balancer(1), 80)), refused)
            .drops(UPLINK, syn(FarPod(3), (Balancer(1), 80)), refused),
        row(
            "source ranges are for load-balancer addresses alone: ClusterIP",
            &fixture,
        )
        .enters_as(UPLINK, syn(Outsider(8), (ClusterIp(1), 80)), syn(Outsider(8), backend)),
        row(
            "source ranges are for load-balancer addresses alone: externalIP",
            &fixture,
        )
        .enters_as(UPLINK, syn(Outsider(8), (ExternalIp(1), 80)), syn(Outsider(8), backend)),
        row(
            "source ranges are for load-balancer addresses alone: node port",
            &fixture,
        )
        .enters_as(UPLINK, syn(Outsider(8), (Node, 30081)), syn(Outsider(8), backend)),
        row("source ranges of one service are not another's", &fixture).enters_as(
            UPLINK,
            syn(Outsider(8), (Balancer(2), 80)),
            syn(Outsider(8), backend),
        ),
        row(
            "who is not admitted is dropped, not told that there is no endpoint",
            &empty,
        )
        .drops(UPLINK, syn(Outsider(8), (Balancer(1), 80)), refused),
        row(
            "what the node has as an address is no sender",
            &limited(policy::NODE_ADMITTED),
        )
        .enters(UPLINK, syn(NodeAlt, (Balancer(1), 80)), Reason::BadSource),
    ]
}
