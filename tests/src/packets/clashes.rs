//! One client port, used towards one backend in several ways at once.

use proxy_common::{net::Protocol, reason::Reason};
use proxy_ebpf::testing::{
    fixture::{FIRST_PORT, Fixture, POD_PORT, UPLINK, service},
    machine::Way,
    packet::{answer, data, opening, tcp},
    who::{
        TestFamily,
        Who::{Balancer, ClusterIp, FarPod, Node, Pod},
    },
};

use super::row::{Expected, Row, row};

pub(super) fn rows<F: TestFamily>() -> Vec<Row<F>> {
    vec![
        direct_then_service(),
        service_then_direct(),
        two_services(Protocol::Tcp),
        two_services(Protocol::Udp),
        two_services(Protocol::Sctp),
        same_backend_masqueraded(),
        no_port_left(),
        a_port_of_the_node(),
        somebody_elses_masquerade(Protocol::Tcp),
        somebody_elses_masquerade(Protocol::Udp),
        somebody_elses_masquerade_comes_later(),
        somebody_elses_masquerade_finds_no_port(),
        what_else_the_node_sends(),
        a_service_that_is_its_backend(),
    ]
}

fn direct_then_service<F: TestFamily>() -> Row<F> {
    let (client, shifted) = ((Pod(2), 4000), (Pod(2), FIRST_PORT));
    let (backend, vip) = ((FarPod(1), 8080), (ClusterIp(1), 80));
    let fixture = Fixture::<F>::default().with(service(Protocol::Tcp).cluster_ip(1, 80).far(FarPod(1), 8080));
    row(
        "a connection straight to the pod and one through the service live side by side",
        &fixture.one_port(),
    )
    .enters(POD_PORT, tcp::<F>(client, backend).syn(), Reason::Direct)
    .enters_as(POD_PORT, tcp::<F>(client, vip).syn(), tcp::<F>(shifted, backend).syn())
    .leaves(UPLINK, tcp::<F>(client, backend).syn(), Reason::Direct)
    .leaves(UPLINK, tcp::<F>(shifted, backend).syn(), Reason::Canonical)
    .leaves(POD_PORT, tcp::<F>(backend, client).syn_ack(), Reason::Direct)
    .leaves_as(
        POD_PORT,
        tcp::<F>(backend, shifted).syn_ack(),
        tcp::<F>(vip, client).syn_ack(),
    )
    .enters(POD_PORT, tcp::<F>(client, backend), Reason::Direct)
    .enters_as(POD_PORT, tcp::<F>(client, vip), tcp::<F>(shifted, backend))
}

fn service_then_direct<F: TestFamily>() -> Row<F> {
    let (client, shifted) = ((Pod(2), 4000), (Pod(2), FIRST_PORT));
    let (backend, vip) = ((FarPod(1), 8080), (ClusterIp(1), 80));
    let fixture = Fixture::<F>::default().with(service(Protocol::Tcp).cluster_ip(1, 80).far(FarPod(1), 8080));
    row(
        "a connection straight to the pod gives way to one through the service",
        &fixture.one_port(),
    )
    .enters_as(POD_PORT, tcp::<F>(client, vip).syn(), tcp::<F>(client, backend).syn())
    .enters_as(
        POD_PORT,
        tcp::<F>(client, backend).syn(),
        tcp::<F>(shifted, backend).syn(),
    )
    .leaves_as(
        POD_PORT,
        tcp::<F>(backend, client).syn_ack(),
        tcp::<F>(vip, client).syn_ack(),
    )
    .leaves_as(
        POD_PORT,
        tcp::<F>(backend, shifted).syn_ack(),
        tcp::<F>(backend, client).syn_ack(),
    )
    .enters_as(POD_PORT, tcp::<F>(client, backend), tcp::<F>(shifted, backend))
}

fn two_services<F: TestFamily>(protocol: Protocol) -> Row<F> {
    let (client, shifted) = ((Pod(2), 4000), (Pod(2), FIRST_PORT));
    let backend = (FarPod(1), 8080);
    let one = service(protocol).cluster_ip(1, 80).far(FarPod(1), 8080);
    let two = service(protocol).cluster_ip(2, 80).far(FarPod(1), 8080);
    let fixture = Fixture::<F>::default().with(one).with(two).one_port();
    let mut row = row(
        &format!("two services with one backend, from one client port, {protocol:?}"),
        &fixture,
    );
    for (vip, inner) in [((ClusterIp(1), 80), client), ((ClusterIp(2), 80), shifted)] {
        row = row.enters_as(
            POD_PORT,
            opening::<F>(protocol, client, vip),
            opening::<F>(protocol, inner, backend),
        );
    }
    for (vip, inner) in [((ClusterIp(1), 80), client), ((ClusterIp(2), 80), shifted)] {
        row = row
            .leaves_as(
                POD_PORT,
                answer::<F>(protocol, backend, inner),
                answer::<F>(protocol, vip, client),
            )
            .enters_as(
                POD_PORT,
                data::<F>(protocol, client, vip),
                data::<F>(protocol, inner, backend),
            );
    }
    row
}

/// The shifted port and the masquerade port are of one range, but of different tuples.
fn same_backend_masqueraded<F: TestFamily>() -> Row<F> {
    let (client, shifted, seen) = ((Pod(2), 4000), (Pod(2), FIRST_PORT), (Node, FIRST_PORT));
    let (backend, vip, balancer) = ((FarPod(1), 8080), (ClusterIp(1), 80), (Balancer(1), 80));
    let fixture = Fixture::<F>::default().with(service(Protocol::Tcp).everywhere(1, 80, 30080).far(FarPod(1), 8080));
    row(
        "a cluster address and a load-balancer address from one client port",
        &fixture.one_port(),
    )
    .enters_as(POD_PORT, tcp::<F>(client, vip).syn(), tcp::<F>(client, backend).syn())
    .enters_as(
        POD_PORT,
        tcp::<F>(client, balancer).syn(),
        tcp::<F>(shifted, backend).syn(),
    )
    .leaves(UPLINK, tcp::<F>(client, backend).syn(), Reason::Canonical)
    .leaves_as(UPLINK, tcp::<F>(shifted, backend).syn(), tcp::<F>(seen, backend).syn())
    .enters(UPLINK, tcp::<F>(backend, client).syn_ack(), Reason::NoFlow)
    .enters_as(
        UPLINK,
        tcp::<F>(backend, seen).syn_ack(),
        tcp::<F>(backend, shifted).syn_ack(),
    )
    .leaves_as(
        POD_PORT,
        tcp::<F>(backend, client).syn_ack(),
        tcp::<F>(vip, client).syn_ack(),
    )
    .leaves_as(
        POD_PORT,
        tcp::<F>(backend, shifted).syn_ack(),
        tcp::<F>(balancer, client).syn_ack(),
    )
}

fn no_port_left<F: TestFamily>() -> Row<F> {
    let everywhere = service(Protocol::Tcp).everywhere(1, 80, 30080).far(FarPod(1), 8080);
    let fixture = Fixture::<F>::default().with(everywhere).one_port();
    let backend = (FarPod(1), 8080);
    let first = tcp::<F>((Pod(2), 4000), (Balancer(1), 80)).syn();
    row(
        "without a free masquerade port a connection is dropped, and the others live",
        &fixture,
    )
    .enters_as(POD_PORT, &first, tcp::<F>((Pod(2), 4000), backend).syn())
    .drops(
        POD_PORT,
        tcp::<F>((Pod(3), 4000), (Balancer(1), 80)).syn(),
        Reason::PortsExhausted,
    )
    .enters_as(POD_PORT, &first, tcp::<F>((Pod(2), 4000), backend).syn())
    .enters_as(
        POD_PORT,
        tcp::<F>((Pod(3), 4000), (ClusterIp(1), 80)).syn(),
        tcp::<F>((Pod(3), 4000), backend).syn(),
    )
}

fn a_port_of_the_node<F: TestFamily>() -> Row<F> {
    let everywhere = service(Protocol::Tcp).everywhere(1, 80, 30080).far(FarPod(1), 8080);
    let fixture = Fixture::<F>::default()
        .with(everywhere)
        .config(|config| config.masquerade_count = 2)
        .busy_port(FIRST_PORT);
    let (client, backend, seen) = ((Pod(2), 4000), (FarPod(1), 8080), (Node, FIRST_PORT + 1));
    row("a port that the node uses itself is given to no client", &fixture)
        .enters_as(
            POD_PORT,
            tcp::<F>(client, (Balancer(1), 80)).syn(),
            tcp::<F>(client, backend).syn(),
        )
        .leaves_as(UPLINK, tcp::<F>(client, backend).syn(), tcp::<F>(seen, backend).syn())
}

/// A CNI that masquerades by ports of its own choice takes one of ours.
fn somebody_elses_masquerade<F: TestFamily>(protocol: Protocol) -> Row<F> {
    let fixture = Fixture::<F>::default()
        .with(service(protocol).everywhere(1, 80, 30080).far(FarPod(1), 8080))
        .config(|config| config.masquerade_count = 2);
    let (theirs, ours) = ((Node, FIRST_PORT), (Node, FIRST_PORT + 1));
    let (backend, client, balancer) = ((FarPod(1), 8080), (Pod(2), 4000), (Balancer(1), 80));
    let inner = opening::<F>(protocol, client, backend);
    row(
        &format!("a port that a CNI masquerades with is given to no client, {protocol:?}"),
        &fixture,
    )
    .leaves(UPLINK, opening::<F>(protocol, theirs, backend), Reason::Direct)
    .enters_as(POD_PORT, opening::<F>(protocol, client, balancer), inner.clone())
    .leaves_as(UPLINK, inner, opening::<F>(protocol, ours, backend))
    .enters(UPLINK, answer::<F>(protocol, backend, theirs), Reason::Direct)
    .leaves(UPLINK, data::<F>(protocol, theirs, backend), Reason::Direct)
    .enters_as(
        UPLINK,
        answer::<F>(protocol, backend, ours),
        answer::<F>(protocol, backend, client),
    )
}

fn somebody_elses_masquerade_comes_later<F: TestFamily>() -> Row<F> {
    let fixture = Fixture::<F>::default()
        .with(service(Protocol::Tcp).everywhere(1, 80, 30080).far(FarPod(1), 8080))
        .config(|config| config.masquerade_count = 2);
    let (first, second) = ((Node, FIRST_PORT), (Node, FIRST_PORT + 1));
    let (backend, client, balancer) = ((FarPod(1), 8080), (Pod(2), 4000), (Balancer(1), 80));
    row(
        "what a CNI masquerades with a client's port leaves by another",
        &fixture,
    )
    .leaves(UPLINK, tcp::<F>(first, backend).syn(), Reason::Direct)
    .enters_as(
        POD_PORT,
        tcp::<F>(client, balancer).syn(),
        tcp::<F>(client, backend).syn(),
    )
    .leaves_as(UPLINK, tcp::<F>(client, backend).syn(), tcp::<F>(second, backend).syn())
    // Its port is free again: the one that is left for the next.
    .enters(UPLINK, tcp::<F>(backend, first).rst(), Reason::Direct)
    .leaves_as(UPLINK, tcp::<F>(second, backend).syn(), tcp::<F>(first, backend).syn())
    .enters_as(
        UPLINK,
        tcp::<F>(backend, first).syn_ack(),
        tcp::<F>(backend, second).syn_ack(),
    )
    .enters_as(
        UPLINK,
        tcp::<F>(backend, second).syn_ack(),
        tcp::<F>(backend, client).syn_ack(),
    )
    .leaves_as(UPLINK, tcp::<F>(second, backend), tcp::<F>(first, backend))
    .leaves_as(UPLINK, tcp::<F>(client, backend), tcp::<F>(second, backend))
}

fn somebody_elses_masquerade_finds_no_port<F: TestFamily>() -> Row<F> {
    let everywhere = service(Protocol::Tcp).everywhere(1, 80, 30080).far(FarPod(1), 8080);
    let fixture = Fixture::<F>::default().with(everywhere).one_port();
    let (seen, backend, client) = ((Node, FIRST_PORT), (FarPod(1), 8080), (Pod(2), 4000));
    row("without a free port what a CNI masquerades is dropped", &fixture)
        .enters_as(
            POD_PORT,
            tcp::<F>(client, (Balancer(1), 80)).syn(),
            tcp::<F>(client, backend).syn(),
        )
        .step(
            Way::Out(UPLINK),
            tcp::<F>(seen, backend).syn(),
            Expected::Drops(Reason::PortsExhausted),
        )
        .enters_as(
            UPLINK,
            tcp::<F>(backend, seen).syn_ack(),
            tcp::<F>(backend, client).syn_ack(),
        )
}

fn what_else_the_node_sends<F: TestFamily>() -> Row<F> {
    let fixture = Fixture::<F>::default()
        .with(service(Protocol::Tcp).everywhere(1, 80, 30080).far(FarPod(1), 8080))
        .one_port();
    let (backend, no_backend) = ((FarPod(1), 8080), (FarPod(1), 8081));
    let (port, other_port) = ((Node, FIRST_PORT), (Node, FIRST_PORT + 1));
    row("nothing is remembered of what cannot meet a client's port", &fixture)
        .leaves(UPLINK, tcp::<F>(other_port, backend).syn(), Reason::NoFlow)
        .leaves(UPLINK, tcp::<F>(port, no_backend).syn(), Reason::NoFlow)
        .leaves(UPLINK, tcp::<F>((Pod(2), FIRST_PORT), backend).syn(), Reason::NoFlow)
        .leaves(UPLINK, tcp::<F>(port, backend), Reason::NoFlow)
        .enters(UPLINK, tcp::<F>(backend, port).syn_ack(), Reason::NoFlow)
}

fn a_service_that_is_its_backend<F: TestFamily>() -> Row<F> {
    let service = service(Protocol::Tcp).cluster_ip(1, 80).far(ClusterIp(1), 80);
    let fixture = Fixture::<F>::default().with(service);
    let (client, vip) = ((Pod(2), 4000), (ClusterIp(1), 80));
    row("a service whose backend is its own address changes nothing", &fixture)
        .enters(POD_PORT, tcp::<F>(client, vip).syn(), Reason::Canonical)
        .leaves(UPLINK, tcp::<F>(client, vip).syn(), Reason::Canonical)
        .leaves(POD_PORT, tcp::<F>(vip, client).syn_ack(), Reason::Canonical)
        .enters(POD_PORT, tcp::<F>(client, vip), Reason::Canonical)
}
