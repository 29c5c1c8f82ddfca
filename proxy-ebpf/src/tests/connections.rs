//! Connections over time: what is kept for them, for how long, and who gets it then.

use proxy_common::{
    endpoint::{EndpointState, serving},
    family::{V4, V6},
    flow::{FlowKey, FlowRecord},
    frontend::FrontendKind,
    lifetime::{CLOSING, QUIET, lifetime},
    net::{Port, Protocol, Tuple},
    phase::{Phase, TcpFlags},
    reason::Reason,
    schema,
};
use rstest::rstest;

use crate::{
    testing::{
        fixture::{FIRST_PORT, Fixture, POD_PORT, UPLINK, service, state},
        machine::{Host, Machine as _, Way},
        maps::TypedMaps as _,
        packet::{answer, data, opening, tcp},
        who::{IntoPeer as _, TestFamily, Who, Who::*},
    },
    track::gives_way,
    verdict::Action,
};

type End = (Who, u16);

const CLIENT: End = (Pod(2), 4000);
const VIP: End = (ClusterIp(1), 80);
const BALANCER: End = (Balancer(1), 80);
const BACKENDS: [End; 2] = [(FarPod(1), 8080), (FarPod(2), 8080)];
const SECOND: u64 = 1_000_000_000;
/// Dice that fall on the first and on the second of two endpoints.
const FACES: [u32; 2] = [0, 1 << 31];

fn key<F: TestFamily>(source: End, destination: End) -> FlowKey<F> {
    FlowKey::wire(&Tuple {
        source: source.peer(),
        destination: destination.peer(),
        protocol: Protocol::Tcp,
    })
}

fn record<F: TestFamily>(host: &Host<F>, source: End, destination: End) -> FlowRecord<F> {
    host.maps().flow_of(&key(source, destination)).expect("it is open")
}

/// A node with two backends, and a conversation with the first.
fn conversation<F: TestFamily>() -> Host<F> {
    let two = service(Protocol::Tcp)
        .cluster_ip(1, 80)
        .far(FarPod(1), 8080)
        .far(FarPod(2), 8080);
    let mut host = Host::new(&Fixture::default().with(two));
    host.node.roll(&FACES[..1]);
    host.send(Way::In(POD_PORT), tcp::<F>(CLIENT, VIP).syn());
    host.send(Way::Out(POD_PORT), tcp::<F>(BACKENDS[0], CLIENT).syn_ack());
    let sent = host.send(Way::In(POD_PORT), tcp::<F>(CLIENT, VIP));
    assert_eq!(sent.wire, tcp::<F>(CLIENT, BACKENDS[0]).wire());
    assert_eq!(record(&host, CLIENT, VIP).life.phase(), Phase::Established);
    host
}

/// Sends a SYN while the dice fall on the second backend; which backend gets it.
fn syn_goes_to<F: TestFamily>(host: &mut Host<F>, sequence: u32) -> End {
    host.node.roll(&FACES[1..]);
    let syn = |to| tcp::<F>(CLIENT, to).syn().sequence(sequence);
    let sent = host.send(Way::In(POD_PORT), syn(VIP));
    let to = BACKENDS.into_iter().find(|backend| sent.wire == syn(*backend).wire());
    to.expect("a backend gets it")
}

fn make_ineligible<F: TestFamily>(host: &Host<F>, endpoint: u32) {
    mark(host, endpoint, serving::IN_USE | serving::SERVING);
}

fn mark<F: TestFamily>(host: &Host<F>, endpoint: u32, flags: u64) {
    let state = EndpointState {
        flags,
        ..state(host.maps(), endpoint)
    };
    host.node.maps.put_value(&schema::STATE, &endpoint, &state);
}

/// The backend keeps the client for a while, and repeated SYNs do not prolong that.
fn goes_elsewhere_when_nothing_comes<F: TestFamily>(host: &mut Host<F>) {
    for pause in [0, QUIET / 2, QUIET / 2] {
        host.node.pass(pause);
        assert_eq!(syn_goes_to(host, 7), BACKENDS[0], "after {pause} ns more");
    }
    host.node.pass(1);
    assert_eq!(syn_goes_to(host, 8), BACKENDS[1]);
    assert_eq!(state(host.maps(), 1).flows, 0);
}

#[test]
fn a_forged_rst_and_a_forged_syn_do_not_move_a_conversation() {
    fn of<F: TestFamily>() {
        let mut host = conversation::<F>();
        host.send(Way::In(POD_PORT), tcp::<F>(CLIENT, VIP).rst());
        for (pause, sequence) in [(0, 7), (SECOND, 8), (QUIET + SECOND, 9), (60 * SECOND, 10)] {
            host.node.pass(pause);
            assert_eq!(syn_goes_to(&mut host, sequence), BACKENDS[0], "after {pause} ns");
        }
        let sent = host.send(Way::In(POD_PORT), tcp::<F>(CLIENT, VIP));
        assert_eq!(sent.wire, tcp::<F>(CLIENT, BACKENDS[0]).wire());
        assert_eq!(record(&host, CLIENT, VIP).life.phase(), Phase::Established);
        assert_eq!(state(host.maps(), 1).flows, 1);
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn a_backend_that_gets_no_new_connections_keeps_a_conversation_until_nothing_comes_of_it() {
    fn of<F: TestFamily>() {
        let mut host = conversation::<F>();
        make_ineligible(&host, 1);
        assert_eq!(syn_goes_to(&mut host, 6), BACKENDS[0], "without a RST");
        host.send(Way::In(POD_PORT), tcp::<F>(CLIENT, VIP).rst());
        goes_elsewhere_when_nothing_comes(&mut host);
        assert_eq!(state(host.maps(), 2).flows, 1);
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn a_backend_that_is_gone_does_not_keep_a_client_that_comes_again() {
    fn of<F: TestFamily>() {
        let mut host = conversation::<F>();
        mark(&host, 1, serving::IN_USE);
        goes_elsewhere_when_nothing_comes(&mut host);
    }
    of::<V4>();
    of::<V6>();
}

/// Nobody who has sent two datagrams has proved that he gets the answers.
#[rstest]
fn what_has_no_handshake_makes_room_when_it_pauses(#[values(Protocol::Udp, Protocol::Sctp)] protocol: Protocol) {
    fn of<F: TestFamily>(protocol: Protocol) {
        const RECORDS: u16 = 64;
        let one = service(protocol).cluster_ip(1, 80).far(FarPod(1), 8080);
        let fixture = Fixture::default().with(one);
        let mut host = Host::<F>::new(&fixture.config(|config| config.records = RECORDS.into()));
        let converse = |host: &mut Host<F>, port| {
            let client = (Pod(2), port);
            let sent = host.send(Way::In(POD_PORT), opening::<F>(protocol, client, VIP));
            host.send(Way::Out(POD_PORT), answer::<F>(protocol, BACKENDS[0], client));
            host.send(Way::In(POD_PORT), data::<F>(protocol, client, VIP));
            (sent.action, sent.reason)
        };
        for port in 0..RECORDS {
            assert_eq!(converse(&mut host, 1000 + port).0, Action::Translate, "{port}");
        }
        assert_eq!(converse(&mut host, 1), (Action::Drop, Reason::FlowTableFull));
        host.node.pass(QUIET + 1);
        assert_eq!(converse(&mut host, 1).0, Action::Translate);
    }
    of::<V4>(protocol);
    of::<V6>(protocol);
}

#[test]
fn a_connection_that_both_sides_have_ended_gives_way_to_a_new_syn_but_not_to_a_repeated_one() {
    fn of<F: TestFamily>() {
        let mut host = conversation::<F>();
        host.send(Way::In(POD_PORT), tcp::<F>(CLIENT, VIP).fin());
        host.send(Way::Out(POD_PORT), tcp::<F>(BACKENDS[0], CLIENT).fin());
        assert_eq!(record(&host, CLIENT, VIP).life.phase(), Phase::Closed);
        assert_eq!(syn_goes_to(&mut host, 1000), BACKENDS[0], "the SYN that opened it");
        assert_eq!(syn_goes_to(&mut host, 1001), BACKENDS[1]);
    }
    of::<V4>();
    of::<V6>();
}

#[rstest]
#[case(Protocol::Tcp, Phase::Opening)]
#[case(Protocol::Tcp, Phase::Established)]
#[case(Protocol::Tcp, Phase::Closed)]
#[case(Protocol::Tcp, Phase::Reset)]
#[case(Protocol::Tcp, Phase::ClientReset)]
#[case(Protocol::Tcp, Phase::BackendReset)]
#[case(Protocol::Udp, Phase::Opening)]
#[case(Protocol::Sctp, Phase::Opening)]
fn a_flow_is_known_until_its_lifetime_is_over_and_not_a_moment_longer(
    #[case] protocol: Protocol,
    #[case] phase: Phase,
) {
    fn of<F: TestFamily>(protocol: Protocol, phase: Phase) {
        let one = service(protocol).cluster_ip(1, 80).far(FarPod(1), 8080);
        let mut host = Host::<F>::new(&Fixture::default().with(one));
        host.send(Way::In(POD_PORT), opening::<F>(protocol, CLIENT, VIP));
        let mut record: FlowRecord<F> = host.maps().value(&F::MAPS.records, &0_u32).expect("it is open");
        record.life = record.life.in_phase(phase);
        host.node.maps.put_value(&F::MAPS.records, &0_u32, &record);
        let next = data::<F>(protocol, (FarPod(1), 8080), CLIENT);
        host.node.pass(lifetime(protocol, phase) + 1);
        let sent = host.send(Way::Out(POD_PORT), next.clone());
        assert_eq!((sent.action, sent.reason), (Action::Pass, Reason::NoFlow));
        host.node.set_clock(record.last_seen + lifetime(protocol, phase));
        assert_eq!(host.send(Way::Out(POD_PORT), next).action, Action::Translate);
    }
    of::<V4>(protocol, phase);
    of::<V6>(protocol, phase);
}

#[test]
fn conversations_that_lie_together_keep_nobody_out() {
    fn of<F: TestFamily>() {
        const TOGETHER: u16 = 200;
        let one = service(Protocol::Tcp).cluster_ip(1, 80).far(FarPod(1), 8080);
        let mut host = Host::<F>::new(&Fixture::default().with(one).config(|config| config.records = 1024));
        let connect = |host: &mut Host<F>, port| {
            let client = (Pod(2), port);
            let sent = host.send(Way::In(POD_PORT), tcp::<F>(client, VIP).syn());
            host.send(Way::Out(POD_PORT), tcp::<F>(BACKENDS[0], client).syn_ack());
            host.send(Way::In(POD_PORT), tcp::<F>(client, VIP));
            (sent.action, sent.reason)
        };
        for port in 0..TOGETHER {
            assert_eq!(connect(&mut host, 1000 + port).0, Action::Translate, "{port}");
        }
        // It has gone round.
        host.maps().put_value(&schema::HANDS, &F::MAPS.hand, &0_u64);
        let (action, reason) = connect(&mut host, 1);
        assert_eq!(action, Action::Translate, "{reason:?}");
        assert_eq!(host.maps().live_records::<F>().len(), usize::from(TOGETHER) + 1);
    }
    of::<V4>();
    of::<V6>();
}

/// A node with so many masquerade ports.
fn node_with_ports<F: TestFamily>(count: u32) -> Host<F> {
    let one = service(Protocol::Tcp)
        .at(FrontendKind::LoadBalancer, Balancer(1), 80)
        .far(FarPod(1), 8080);
    Host::new(
        &Fixture::default()
            .with(one)
            .config(|config| config.masquerade_count = count),
    )
}

/// Somebody connects, while the dice fall on the first port and its neighbour as the next; the port it gets.
fn connects<F: TestFamily>(host: &mut Host<F>, client: End) -> Option<Port> {
    host.node.roll(&[0, 0, 1]);
    let sent = host.send(Way::In(UPLINK), tcp::<F>(client, BALANCER).syn());
    (sent.action == Action::Translate).then(|| record(host, client, BALANCER).masquerade_port)
}

/// A whole connection; the port it had.
fn connects_and_closes<F: TestFamily>(host: &mut Host<F>, client: End) -> Option<Port> {
    let port = connects(host, client)?;
    let answer = |flags| tcp::<F>(BACKENDS[0], (Node, port.get())).flags(flags);
    for (request, reply) in [
        (TcpFlags::ACK, TcpFlags::SYN | TcpFlags::ACK),
        (TcpFlags::FIN, TcpFlags::FIN),
    ] {
        let inside = host.send(Way::In(UPLINK), answer(reply | TcpFlags::ACK)).wire;
        host.send(Way::Out(UPLINK), inside);
        host.send(
            Way::In(UPLINK),
            tcp::<F>(client, BALANCER).flags(request | TcpFlags::ACK),
        );
    }
    assert_eq!(record(host, client, BALANCER).life.phase(), Phase::Closed);
    Some(port)
}

#[test]
fn of_ports_whose_connections_have_ended_the_one_is_taken_that_ended_the_longest_ago() {
    fn of<F: TestFamily>() {
        let mut host = node_with_ports::<F>(3);
        let ports: Vec<_> = (0..3)
            .map(|n| {
                host.node.pass(SECOND);
                connects_and_closes(&mut host, (Outsider(n), 1)).expect("a port is free")
            })
            .collect();
        // The first goes on, on its old port.
        assert_eq!(ports, [0, 1, 2].map(|n| Port::new(FIRST_PORT + n)));
        host.node.pass(SECOND);
        let late = tcp::<F>((Outsider(0), 1), BALANCER);
        assert_eq!(host.send(Way::In(UPLINK), late).action, Action::Translate);
        host.node.pass(CLOSING + 1);
        for n in [1, 2, 0] {
            assert_eq!(connects(&mut host, (Outsider(10 + n), 1)), Some(ports[usize::from(n)]));
        }
        assert_eq!(connects(&mut host, (Outsider(20), 1)), None, "all of them are in use");
        assert_eq!(host.maps().live_records::<F>().len(), 3);
        assert_eq!(host.maps().flow_keys::<F>(), 9);
        assert_eq!(state(host.maps(), 1).flows, 3);
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn short_connections_are_bounded_by_how_many_there_are_at_once() {
    fn of<F: TestFamily>() {
        let mut host = node_with_ports::<F>(4);
        for n in 0..200 {
            let port = connects_and_closes(&mut host, (Outsider(7), 1000 + n));
            assert!(port.is_some(), "connection {n}");
            // A fourth of them has been closed for long enough then.
            host.node.pass(CLOSING / 4 + 1);
        }
        assert_eq!(host.maps().live_records::<F>().len(), 4);
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn the_port_of_an_unanswered_connection_is_free_when_it_has_expired() {
    fn of<F: TestFamily>() {
        let mut host = node_with_ports::<F>(1);
        assert!(connects(&mut host, (Outsider(1), 1)).is_some());
        host.node.pass(lifetime(Protocol::Tcp, Phase::Opening));
        assert_eq!(connects(&mut host, (Outsider(2), 1)), None);
        host.node.pass(1);
        assert!(connects(&mut host, (Outsider(2), 1)).is_some());
        assert_eq!(host.maps().live_records::<F>().len(), 1);
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn a_rst_frees_a_port_when_nothing_has_followed_it() {
    fn of<F: TestFamily>() {
        let mut host = node_with_ports::<F>(1);
        let client = (Outsider(1), 1);
        let port = connects(&mut host, client).expect("a port is free");
        let inside = host.send(Way::In(UPLINK), tcp::<F>(BACKENDS[0], (Node, port.get())).syn_ack());
        host.send(Way::Out(UPLINK), inside.wire);
        for packet in [tcp::<F>(client, BALANCER), tcp::<F>(client, BALANCER).rst()] {
            host.send(Way::In(UPLINK), packet);
        }
        host.node.pass(QUIET);
        assert_eq!(connects(&mut host, (Outsider(2), 1)), None);
        host.node.pass(1);
        assert_eq!(connects(&mut host, (Outsider(2), 1)), Some(port));
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn the_port_of_a_udp_query_is_free_when_nothing_has_followed_the_answer_but_that_of_a_conversation_is_not() {
    const RESOLVER: End = (Balancer(1), 53);
    fn asks<F: TestFamily>(host: &mut Host<F>, client: u8) -> bool {
        host.node.roll(&[0, 0]);
        let question = opening::<F>(Protocol::Udp, (Outsider(client), 1), RESOLVER);
        host.send(Way::In(UPLINK), question).action == Action::Translate
    }
    fn is_answered<F: TestFamily>(host: &mut Host<F>) {
        let reply = data::<F>(Protocol::Udp, (FarPod(1), 8080), (Node, FIRST_PORT));
        let inside = host.send(Way::In(UPLINK), reply).wire;
        assert_eq!(host.send(Way::Out(UPLINK), inside).action, Action::Translate);
    }
    fn of<F: TestFamily>() {
        let resolver = service(Protocol::Udp)
            .at(FrontendKind::LoadBalancer, Balancer(1), 53)
            .far(FarPod(1), 8080);
        let mut host = Host::<F>::new(&Fixture::default().with(resolver).one_port());
        assert!(asks(&mut host, 1));
        is_answered(&mut host);
        host.node.pass(QUIET);
        assert!(!asks(&mut host, 2), "the answer may not have been the last");
        host.node.pass(1);
        assert!(asks(&mut host, 2));
        is_answered(&mut host);
        assert!(asks(&mut host, 2), "a conversation");
        host.node.pass(lifetime(Protocol::Udp, Phase::Answered));
        assert!(!asks(&mut host, 3));
        host.node.pass(1);
        assert!(asks(&mut host, 3));
        assert_eq!(host.maps().live_records::<F>().len(), 1);
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn a_record_that_is_being_opened_gives_no_port_away_whatever_its_former_flow_was() {
    fn of<F: TestFamily>() {
        for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
            let record = FlowRecord::<F> {
                protocol: protocol.number(),
                ..FlowRecord::default()
            };
            assert!(!gives_way(&record, Phase::Claimed, u64::MAX), "{protocol:?}");
            assert!(gives_way(&record, Phase::Answered, u64::MAX), "{protocol:?}");
        }
    }
    of::<V4>();
    of::<V6>();
}
