//! Services without an endpoint, and senders that nobody may be.

use proxy_common::{block::policy, net::Protocol, reason::Reason};
use proxy_ebpf::testing::{
    fixture::{Fixture, POD_PORT, UPLINK, service},
    packet::{opening, refusal, tcp},
    who::{
        TestFamily,
        Who::{
            Balancer, Broadcast, ClusterIp, ExternalIp, FarPod, Gateway, Loopback, Multicast, Node, Outsider, Pod,
            Unspecified,
        },
    },
};

use super::row::{Row, row};

pub(super) fn rows<F: TestFamily>() -> Vec<Row<F>> {
    let mut rows = refused();
    rows.extend(left_to_the_card());
    rows.extend(dropped());
    rows.extend(bad_sources());
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
