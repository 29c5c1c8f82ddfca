//! Packets that are well formed and rarely seen.

use proxy_common::{
    family::{V4, V6},
    net::Protocol,
    reason::Reason,
};
use rstest::rstest;

use crate::{
    node::Route,
    pipeline::{self, Arrival},
    testing::{
        fixture::{Fixture, POD_PORT, UPLINK, service},
        frame::MemoryFrame,
        machine::{Host, Machine as _, Way},
        node::MemoryNode,
        packet::{sctp, tcp},
        who::{TestFamily, Who::*},
    },
    verdict::{Action, Verdict},
    work::Work,
};

#[test]
fn a_checksum_that_the_card_has_yet_to_compute_is_left_to_it() {
    fn of<F: TestFamily>() {
        let fixture = Fixture::<F>::default().with(service(Protocol::Sctp).cluster_ip(1, 80).far(FarPod(1), 8080));
        let mut host = Host::new(&fixture);
        let (client, vip, backend) = ((Pod(2), 4000), (ClusterIp(1), 80), (FarPod(1), 8080));
        let sum = F::HEADER_LEN as usize + 8;
        let without_sum = |wire: crate::testing::packet::Wire| (sum..sum + 4).fold(wire, |wire, at| wire.with(at, 0));
        let sent = host.send(Way::In(POD_PORT), without_sum(sctp::<F>(client, vip).wire()));
        assert_eq!(sent.action, Action::Translate);
        assert_eq!(sent.wire, without_sum(sctp::<F>(client, backend).wire()));
    }
    of::<V4>();
    of::<V6>();
}

/// A service at every kind of address, with an endpoint on another node.
fn everywhere<F: TestFamily>() -> Fixture<F> {
    Fixture::default().with(service(Protocol::Tcp).everywhere(1, 80, 30_080).far(FarPod(1), 8080))
}

#[test]
fn a_packet_that_cannot_be_written_whole_goes_nowhere() {
    fn of<F: TestFamily>() {
        let wire = tcp::<F>((Pod(2), 4000), (ClusterIp(1), 80)).syn().wire();
        let arrival = Arrival {
            interface: POD_PORT,
            ..Arrival::default()
        };
        let verdict_after = |writes| {
            let mut frame = MemoryFrame::new(&wire).refusing_after(writes);
            let node = MemoryNode::<F>::new(&everywhere());
            pipeline::ingress(&mut frame, &node, &arrival, &mut Work::default())
        };
        let needed = (0..10).find(|writes| verdict_after(*writes) == Verdict::TRANSLATED);
        let needed = needed.expect("a translation has few writes");
        assert!(needed > 0);
        for writes in 0..needed {
            assert_eq!(
                verdict_after(writes),
                Verdict::drop(Reason::RewriteFailed),
                "after {writes}"
            );
        }
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn before_the_agent_has_written_the_nodes_facts_everything_passes() {
    fn of<F: TestFamily>() {
        let mut host = Host::new(&everywhere::<F>());
        host.node.forget_config();
        for (way, client) in [(POD_PORT, Pod(2)), (UPLINK, Outsider(1))] {
            let packet = tcp::<F>((client, 4000), (Balancer(1), 80)).syn();
            let sent = host.send(Way::In(way), packet.clone());
            assert_eq!((sent.action, sent.reason), (Action::Pass, Reason::NoService));
            assert_eq!(sent.wire, packet.wire());
        }
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn a_client_cannot_be_masqueraded_where_no_way_leads_to_the_endpoint() {
    fn of<F: TestFamily>() {
        let mut host = Host::new(&everywhere::<F>());
        host.node.set_route(FarPod(1), Route::None);
        let packet = tcp::<F>((Outsider(1), 4000), (Balancer(1), 80)).syn();
        let sent = host.send(Way::In(UPLINK), packet);
        assert_eq!((sent.action, sent.reason), (Action::Drop, Reason::NoSourceAddress));
    }
    of::<V4>();
    of::<V6>();
}

#[rstest]
fn the_unspecified_address_is_no_address_of_node_ports(#[values(POD_PORT, UPLINK)] interface: u32) {
    fn of<F: TestFamily>(interface: u32) {
        let fixture = Fixture::<F>::default().with(service(Protocol::Tcp).node_port(30_080).far(FarPod(1), 8080));
        let packet = tcp::<F>((Pod(2), 4000), (Unspecified, 30_080)).syn();
        let sent = Host::new(&fixture).send(Way::In(interface), packet.clone());
        assert_eq!((sent.action, sent.reason), (Action::Pass, Reason::NoService));
        assert_eq!(sent.wire, packet.wire());
    }
    of::<V4>(interface);
    of::<V6>(interface);
}
