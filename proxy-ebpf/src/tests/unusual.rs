//! Packets that are well formed and rarely seen.

use proxy_common::{
    family::{V4, V6},
    net::Protocol,
    reason::Reason,
};
use rstest::rstest;

use crate::{
    testing::{
        fixture::{Fixture, POD_PORT, UPLINK, service},
        machine::{Host, Machine as _, Way},
        packet::{sctp, tcp},
        who::{TestFamily, Who::*},
    },
    verdict::Action,
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
