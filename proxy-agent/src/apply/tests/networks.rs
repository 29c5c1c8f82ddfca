//! Who may use a service, and which addresses are services'.

use std::collections::BTreeMap;

use ipnet::IpNet;
use proxy_common::network::{Rule, UNANSWERED};
use rstest::rstest;

use super::*;
use crate::desired::{DesiredNode, NodePorts, PodDetector, ProxyMode, policy};

fn ranges(family: FamilyKind, nets: &[u8]) -> Vec<IpNet> {
    let prefix = match family {
        FamilyKind::V4 => 24,
        FamilyKind::V6 => 64,
    };
    nets.iter()
        .map(|net| IpNet::new(ip(family, *net, 0), prefix).expect("a network").trunc())
        .collect()
}

/// Who may use the service of an address.
fn admitted(world: &World, key: &SocketKey) -> Vec<IpNet> {
    let maps = world.maps();
    let frontend = maps.frontend(key).expect("memory").expect("a service");
    maps.networks.of(frontend.service).map(|(network, _)| network).collect()
}

#[rstest]
fn a_network_that_may_no_longer_use_a_service_goes_after_a_grace_period(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
) {
    let world = World::new();
    let (mut applier, hand) = world.agent();
    let limited = |nets: &[u8]| DesiredService {
        flags: policy::SOURCE_RANGES,
        source_ranges: ranges(family, nets),
        ..service(family, &[1], &both(&[1]))
    };
    let of = |desired: DesiredService| everything(&state(&[(1, family, desired)]));
    applier.apply(&of(limited(&[20, 30])));
    assert_eq!(admitted(&world, &key(family, 1)), ranges(family, &[20, 30]));
    applier.apply(&of(limited(&[30, 40])));
    assert_eq!(admitted(&world, &key(family, 1)), ranges(family, &[20, 30, 40]));
    hand.pass();
    applier.settle();
    assert_eq!(admitted(&world, &key(family, 1)), ranges(family, &[30, 40]));
    // Nobody is limited any more, and the one who comes back meanwhile is not forgotten.
    applier.apply(&of(service(family, &[1], &both(&[1]))));
    applier.apply(&of(limited(&[40])));
    hand.pass();
    applier.settle();
    assert_eq!(admitted(&world, &key(family, 1)), ranges(family, &[40]));
    let before = applier.usage().writes;
    applier.apply(&of(limited(&[40])));
    assert_eq!(applier.usage().writes, before);
}

#[rstest]
fn the_networks_of_a_service_that_goes_are_not_those_of_its_numbers_next_owner(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
) {
    let world = World::new();
    let (mut applier, hand) = world.agent();
    let limited = DesiredService {
        flags: policy::SOURCE_RANGES,
        source_ranges: ranges(family, &[20]),
        ..service(family, &[1], &both(&[1]))
    };
    applier.apply(&everything(&state(&[(1, family, limited)])));
    applier.apply(&changes([(id(1, family), None)]));
    hand.pass();
    applier.settle();
    applier.settle();
    let networks = |world: &World| world.maps().networks.scopes().collect::<Vec<u32>>();
    assert_eq!(networks(&world), Vec::<u32>::new());
}

/// In mode nftables, with services that get their addresses from this network.
fn node_with(network: IpNet) -> DesiredNode {
    DesiredNode {
        mode: ProxyMode::Nftables,
        node_ports_v4: NodePorts::default(),
        node_ports_v6: NodePorts::default(),
        detector: PodDetector::Network { v4: None, v6: None },
        masquerade_all: false,
        service_networks: vec![network],
    }
}

/// One that has not been written yet may be answered by whoever has done so before.
#[rstest]
fn nothing_is_dropped_among_services_before_all_of_them_are_there(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
) {
    let world = World::new();
    let (mut applier, _) = world.agent();
    let network = IpNet::new(ip(family, 96, 0), 24).expect("a network").trunc();
    let found = |world: &World| world.maps().networks.of(UNANSWERED).collect::<Vec<_>>();
    applier.apply(&Changes {
        node: Some(node_with(network)),
        ..Changes::default()
    });
    assert_eq!(found(&world), []);
    applier.apply(&Changes {
        complete: true,
        ..Changes::default()
    });
    assert_eq!(found(&world), [(network, Rule::DROP)]);
}

#[rstest]
fn addresses_of_services_are_known_as_long_as_some_service_has_them(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
) {
    let world = World::new();
    let (mut applier, _) = world.agent();
    let network = IpNet::new(ip(family, 96, 0), 24).expect("a network").trunc();
    let node = node_with(network);
    let knowing = |addresses: &[(u8, bool)], node: Option<&DesiredNode>| Changes {
        addresses: addresses
            .iter()
            .map(|(host, is)| (ip(family, 96, *host), *is))
            .collect(),
        node: node.cloned(),
        complete: true,
        ..Changes::default()
    };
    let found = |world: &World| world.maps().networks.of(UNANSWERED).collect::<BTreeMap<_, _>>();
    let at = |host| (IpNet::from(ip(family, 96, host)), Rule::REFUSE);
    applier.apply(&knowing(&[(1, true), (2, true)], Some(&node)));
    assert_eq!(found(&world), [(network, Rule::DROP), at(1), at(2)].into());
    applier.apply(&knowing(&[(1, false)], None));
    assert_eq!(found(&world), [(network, Rule::DROP), at(2)].into());
    // After a restart in a mode that lets all of it pass.
    let (mut applier, _) = world.agent();
    let node = DesiredNode {
        mode: ProxyMode::Iptables,
        ..node
    };
    applier.apply(&knowing(&[], Some(&node)));
    assert_eq!(found(&world), BTreeMap::new());
}
