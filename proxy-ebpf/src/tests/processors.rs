//! What two processors do at once, and what one finds that the other has left half done.

use std::{cell::RefCell, rc::Rc};

use proxy_common::{
    family::{V4, V6},
    flow::{FlowKey, FlowRef, flag},
    frontend::FrontendKind,
    lifetime::lifetime,
    net::{Peer, Port, Protocol, Tuple},
    phase::Phase,
    reason::Reason,
    schema,
};

use crate::{
    testing::{
        fixture::{Fixture, POD_PORT, UPLINK, service, state},
        machine::{Host, Machine as _, Sent, Way, run},
        maps::{Maps as _, TypedMaps as _},
        node::MemoryNode,
        packet::{Draft, Wire, opening, tcp},
        who::{IntoPeer, TestFamily, Who, Who::*},
    },
    verdict::Action,
    work::Work,
};

type End = (Who, u16);

const VIP: End = (ClusterIp(1), 80);
const BACKEND: End = (FarPod(1), 8080);

fn tuple<F: TestFamily>(source: End, destination: End) -> Tuple<F> {
    Tuple {
        source: source.peer(),
        destination: destination.peer(),
        protocol: Protocol::Tcp,
    }
}

/// A node with one backend behind a cluster and a load-balancer address, and room for so many flows.
fn host<F: TestFamily>(records: u32) -> Host<F> {
    let both = service(Protocol::Tcp)
        .cluster_ip(1, 80)
        .at(FrontendKind::LoadBalancer, Balancer(1), 80)
        .far(FarPod(1), 8080);
    Host::new(&Fixture::default().with(both).config(|config| config.records = records))
}

/// Lets another processor do something with a packet when this one is about to insert a key.
fn meanwhile<F: TestFamily>(host: &Host<F>, key: FlowKey<F>, way: Way, packet: Draft<F>) -> Rc<RefCell<Option<Sent>>> {
    let seen = Rc::new(RefCell::new(None));
    let theirs = Rc::clone(&seen);
    let wire = Wire::from(packet);
    host.node.interrupt(key, move |node: &MemoryNode<F>| {
        *theirs.borrow_mut() = Some(run(node, &mut Work::default(), way, &wire));
    });
    seen
}

/// The key of the answers to a masquerade port.
fn answers<F: TestFamily>(port: u16) -> FlowKey<F> {
    FlowKey::wire(&tuple(BACKEND, (Node, port)))
}

#[test]
fn a_flow_that_is_being_opened_changes_no_packet_by_what_its_record_said_before() {
    fn of<F: TestFamily>() {
        let mut host = host::<F>(1);
        host.send(Way::In(POD_PORT), tcp::<F>((Pod(2), 4000), VIP).syn());
        // The only record goes to the next flow, which has its canonical key before the record is filled.
        host.node.roll(&[0, 0]);
        let early = tcp::<F>((Outsider(7), 5000), BACKEND);
        let seen = meanwhile(&host, answers(61_000), Way::Out(UPLINK), early.clone());
        let opened = host.send(Way::In(UPLINK), tcp::<F>((Outsider(7), 5000), (Balancer(1), 80)).syn());
        assert_eq!(opened.action, Action::Translate);
        let seen = seen.borrow_mut().take().expect("a port is reserved");
        assert_eq!((seen.action, seen.reason), (Action::Pass, Reason::NoFlow));
        assert_eq!(seen.wire, early.wire());
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn a_record_is_not_taken_from_a_flow_that_is_being_opened_however_old_its_contents_are() {
    fn of<F: TestFamily>() {
        let mut host = host::<F>(2);
        for port in [1, 2] {
            host.send(Way::In(POD_PORT), tcp::<F>((Pod(2), port), VIP).syn());
        }
        host.node.pass(lifetime(Protocol::Tcp, Phase::Opening) + 1);
        host.node.roll(&[0, 0, 0, 0, 5]);
        // The same client from the same port, towards another address of the same backend.
        let client = (Outsider(7), 5000);
        let other = tcp::<F>(client, VIP).syn();
        let seen = meanwhile(&host, answers(61_000), Way::In(UPLINK), other);
        let first = host.send(Way::In(UPLINK), tcp::<F>(client, (Balancer(1), 80)).syn());
        assert_eq!(first.action, Action::Translate);
        let second = seen.borrow_mut().take().expect("a port is reserved");
        assert_eq!(second.action, Action::Translate);
        assert_ne!(first.wire, second.wire, "each has a client port of its own");
        for dialled in [VIP, (Balancer(1), 80)] {
            let record = host.maps().flow_of(&FlowKey::wire(&tuple::<F>(client, dialled)));
            assert_eq!(record.map(|record| record.dialled()), Some(dialled.peer()));
        }
        assert_eq!(state(host.maps(), 1).flows, 2);
        assert_eq!(host.maps().flow_keys::<F>(), 6);
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn a_key_that_leads_to_another_flows_record_changes_no_packet() {
    fn of<F: TestFamily>() {
        let mut host = host::<F>(4);
        let (one, other) = ((Pod(2), 4000), (Pod(3), 4000));
        for client in [one, other] {
            host.send(Way::In(POD_PORT), tcp::<F>(client, VIP).syn());
        }
        // What a reader sees whose place in the table is given to another key meanwhile.
        let keys = |client| {
            let canonical = FlowKey::canonical(&tuple::<F>(client, BACKEND));
            [FlowKey::wire(&tuple::<F>(client, VIP)), canonical]
        };
        for (mine, theirs) in keys(one).iter().zip(keys(other)) {
            let at: FlowRef = host.maps().value(&F::MAPS.flows, &theirs).expect("it is open");
            host.maps().put_value(&F::MAPS.flows, mine, &at);
        }
        for (way, packet) in [
            (Way::In(POD_PORT), tcp::<F>(one, VIP)),
            (Way::Out(POD_PORT), tcp::<F>(BACKEND, one).syn_ack()),
        ] {
            let sent = host.send(way, packet.clone());
            assert_eq!((sent.action, sent.reason), (Action::Pass, Reason::NoFlow), "{way:?}");
            assert_eq!(sent.wire, packet.wire());
        }
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn a_flow_that_goes_takes_no_key_with_it_that_is_another_flows_by_now() {
    fn of<F: TestFamily>() {
        let mut host = host::<F>(2);
        let (client, vip) = ((Outsider(7), 5000), (Balancer(1), 80));
        host.send(Way::In(UPLINK), tcp::<F>(client, vip).syn());
        let request = FlowKey::wire(&tuple::<F>(client, vip));
        let record = host.maps().flow_of(&request).expect("it is open");
        assert!(record.is(flag::MASQUERADE));
        // The masquerade address leaves the node, and the agent forgets the flow's keys.
        for key in [request, FlowKey::wire(&record.reply())] {
            host.node.maps.delete(&F::MAPS.flows, bytemuck::bytes_of(&key));
        }
        host.node.pass(lifetime(Protocol::Tcp, Phase::Opening));
        let again = host.send(Way::In(UPLINK), tcp::<F>(client, vip).syn());
        assert_eq!(again.action, Action::Translate);
        host.node.pass(1);
        // The first flow's record is given to a third one.
        let third = host.send(Way::In(UPLINK), tcp::<F>((Outsider(8), 5000), vip).syn());
        assert_eq!(third.action, Action::Translate);
        let later = host.send(Way::In(UPLINK), tcp::<F>(client, vip));
        assert_eq!(later.action, Action::Translate);
        let inner: Peer<F> = host.maps().flow_of(&request).expect("it goes on").inner_client();
        assert_ne!(inner.port, Port::new(client.1));
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn two_processors_that_open_one_flow_agree_on_the_one_that_was_first() {
    fn of<F: TestFamily>() {
        let two = service(Protocol::Tcp)
            .cluster_ip(1, 80)
            .far(FarPod(1), 8080)
            .far(FarPod(2), 8080);
        let mut host = Host::new(&Fixture::<F>::default().with(two));
        let client = (Pod(2), 4000);
        let request = FlowKey::wire(&tuple::<F>(client, VIP));
        // This one's dice fall on the first backend, the other's on the second.
        host.node.roll(&[0, 1 << 31]);
        let syn = |to| tcp::<F>(client, to).syn();
        let first = meanwhile(&host, request, Way::In(POD_PORT), syn(VIP));
        let second = host.send(Way::In(POD_PORT), syn(VIP));
        let first = first.borrow_mut().take().expect("the key is inserted last");
        assert_eq!(first.wire, syn((FarPod(2), 8080)).wire());
        assert_eq!(second.wire, first.wire);
        assert_eq!(host.maps().live_records::<F>().len(), 1);
        assert_eq!(host.maps().flow_keys::<F>(), 2);
        assert_eq!([1, 2].map(|endpoint| state(host.maps(), endpoint).flows), [0, 1]);
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn a_key_that_could_not_be_deleted_is_counted_and_is_the_next_flows_that_needs_it() {
    fn of<F: TestFamily>() {
        let mut host = host::<F>(1);
        let (client, vip) = ((Outsider(7), 5000), (Balancer(1), 80));
        host.send(Way::In(UPLINK), tcp::<F>(client, vip).syn());
        // Another takes the record, and none of the keys can be deleted.
        host.node.refuse_deletes(3);
        host.send(Way::In(UPLINK), tcp::<F>((Outsider(8), 5000), vip).syn());
        let counted = host.maps().value(&schema::COUNTERS, &Reason::KEYS_LEFT_BEHIND);
        assert_eq!(counted, Some(3_u64));
        assert_eq!(host.maps().flow_keys::<F>(), 6);
        let stray = host.send(Way::In(UPLINK), tcp::<F>(client, vip));
        assert_eq!((stray.action, stray.reason), (Action::Pass, Reason::NoFlow));
        let again = host.send(Way::In(UPLINK), tcp::<F>(client, vip).syn());
        assert_eq!(again.action, Action::Translate);
        let record = host.maps().flow_of(&FlowKey::wire(&tuple::<F>(client, vip)));
        assert_eq!(
            record.map(|record| record.inner_client()),
            Some(client.peer()),
            "none is in its way"
        );
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn a_key_that_leads_to_a_flow_of_another_protocol_changes_no_packet() {
    fn of<F: TestFamily>() {
        let of = |protocol| service(protocol).cluster_ip(1, 80).far(FarPod(1), 8080);
        let mut host = Host::new(&Fixture::<F>::default().with(of(Protocol::Tcp)).with(of(Protocol::Udp)));
        let client = (Pod(2), 4000);
        let udp = |source: End, destination: End| Tuple::<F> {
            protocol: Protocol::Udp,
            ..tuple(source, destination)
        };
        host.send(Way::In(POD_PORT), opening::<F>(Protocol::Udp, client, VIP));
        let wires = (
            FlowKey::wire(&udp(client, VIP)),
            FlowKey::wire(&tuple::<F>(client, VIP)),
        );
        let insides = (
            FlowKey::canonical(&udp(client, BACKEND)),
            FlowKey::canonical(&tuple::<F>(client, BACKEND)),
        );
        for (theirs, mine) in [wires, insides] {
            let at: FlowRef = host.maps().value(&F::MAPS.flows, &theirs).expect("it is open");
            host.maps().put_value(&F::MAPS.flows, &mine, &at);
        }
        for (way, packet) in [
            (Way::In(POD_PORT), tcp::<F>(client, VIP)),
            (Way::Out(POD_PORT), tcp::<F>(BACKEND, client)),
        ] {
            let sent = host.send(way, packet.clone());
            assert_eq!((sent.action, sent.reason), (Action::Pass, Reason::NoFlow), "{way:?}");
            assert_eq!(sent.wire, packet.wire());
        }
    }
    of::<V4>();
    of::<V6>();
}
