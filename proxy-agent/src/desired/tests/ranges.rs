//! Source ranges, and the addresses at which nothing but a service answers.

use std::net::IpAddr;

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    agent::Objects,
    desired::{Changes, DesiredService, FamilyKind, ProxyMode, policy},
    settings::NodeSettings,
    testing::{
        cluster_ip, endpoint, external, merge, node_at, objects, only, service, service_gone, set_node, set_service,
        set_slice, settings, slice,
    },
};

const LIMITED: u32 = policy::SOURCE_RANGES;
const NODE: u32 = policy::SOURCE_RANGES | policy::NODE_ADMITTED;

/// A Service with a load balancer's address.
fn balanced(family: FamilyKind, ranges: &[&str]) -> Value {
    let mut object = service(
        "svc",
        &cluster_ip(family, 41),
        &json!({"loadBalancerSourceRanges": ranges}),
    );
    merge(
        &mut object,
        &json!({"status": {"loadBalancer": {"ingress": [{"ip": external(family, 12)}]}}}),
    );
    object
}

fn as_mode(mode: ProxyMode) -> NodeSettings {
    NodeSettings { mode, ..settings() }
}

fn changes(objects: &mut Objects) -> Changes {
    objects.wanted().expect("changes")
}

fn with_endpoint(family: FamilyKind, objects: &mut Objects) {
    let endpoint = json!({"addresses": [endpoint(family, 1)], "conditions": {"ready": true}});
    objects.take(set_slice(&slice("svc-1", "svc", family, &[endpoint])));
}

fn flags(service: &DesiredService) -> u32 {
    service.flags & (policy::SOURCE_RANGES | policy::NODE_ADMITTED)
}

#[rstest]
#[case::none(FamilyKind::V4, &[], &[], 0)]
#[case::two(FamilyKind::V4, &["203.0.113.0/25", "10.0.0.0/8"], &["10.0.0.0/8", "203.0.113.0/25"], LIMITED)]
#[case::two(FamilyKind::V6, &["2001:db8:9::/64", "fd00::/16"], &["2001:db8:9::/64", "fd00::/16"], LIMITED)]
#[case::blanks_and_host_bits(FamilyKind::V4, &[" 10.1.2.3/8 "], &["10.0.0.0/8"], LIMITED)]
#[case::twice_the_same(FamilyKind::V4, &["10.0.0.0/8", "10.9.9.9/8"], &["10.0.0.0/8"], LIMITED)]
#[case::everybody(FamilyKind::V4, &["10.0.0.0/8", "0.0.0.0/0"], &[], 0)]
#[case::everybody(FamilyKind::V6, &["fd00::/8", "::/0"], &[], 0)]
#[case::those_of_the_other_family_only(FamilyKind::V4, &["fd00::/8"], &[], 0)]
#[case::everybody_of_the_other_family(FamilyKind::V4, &["10.0.0.0/8", "::/0"], &["10.0.0.0/8"], LIMITED)]
#[case::what_cannot_be_read(FamilyKind::V4, &["10.0.0.0/8", "everybody"], &["10.0.0.0/8"], LIMITED)]
#[case::the_node_too(FamilyKind::V4, &["192.168.0.0/24"], &["192.168.0.0/24"], NODE)]
#[case::the_node_too(FamilyKind::V6, &["2001:db8::/64"], &["2001:db8::/64"], NODE)]
#[case::a_loopback_address_is_no_sender(FamilyKind::V4, &["127.0.0.0/8"], &["127.0.0.0/8"], LIMITED)]
fn who_may_use_a_load_balancers_address(
    #[case] family: FamilyKind,
    #[case] ranges: &[&str],
    #[case] expected: &[&str],
    #[case] expected_flags: u32,
) {
    let mut objects = objects(&settings());
    // It is the primary addresses that the node sends from.
    let others = ["127.0.0.1", "::1", "10.1.0.1", "2001:db8:9::1"];
    objects.set_node_addresses(others.iter().map(|text| text.parse().expect("an address")).collect());
    objects.take(set_node(&node_at(&["192.168.0.2", "2001:db8::2"])));
    objects.take(set_service(&balanced(family, ranges)));
    let changes = changes(&mut objects);
    let service = only(&changes).1;
    let found: Vec<String> = service.source_ranges.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
    assert_eq!(flags(service), expected_flags);
}

#[test]
fn without_a_load_balancers_address_nobody_is_asked() {
    let mut object = balanced(FamilyKind::V4, &["10.0.0.0/8"]);
    object["status"] = json!({});
    let mut objects = objects(&settings());
    objects.take(set_service(&object));
    let changes = changes(&mut objects);
    assert_eq!(
        (&only(&changes).1.source_ranges[..], flags(only(&changes).1)),
        (&[][..], 0)
    );
}

/// B-73: in mode iptables the refusal of a service without an endpoint comes first.
#[rstest]
#[case(ProxyMode::Nftables, false, LIMITED)]
#[case(ProxyMode::Nftables, true, LIMITED)]
#[case(ProxyMode::Iptables, false, 0)]
#[case(ProxyMode::Iptables, true, LIMITED)]
fn source_ranges_of_a_service_without_endpoints_depend_on_the_mode(
    #[case] mode: ProxyMode,
    #[case] has_endpoint: bool,
    #[case] expected: u32,
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
) {
    let range = match family {
        FamilyKind::V4 => "10.0.0.0/8",
        FamilyKind::V6 => "fd00::/8",
    };
    let mut objects = objects(&as_mode(mode));
    objects.take(set_service(&balanced(family, &[range])));
    if has_endpoint {
        with_endpoint(family, &mut objects);
    }
    let changes = changes(&mut objects);
    assert_eq!(flags(only(&changes).1), expected);
}

#[test]
fn a_node_that_gets_another_address_may_use_other_services() {
    let mut objects = objects(&settings());
    objects.take(set_service(&balanced(FamilyKind::V4, &["192.168.0.0/24"])));
    assert_eq!(flags(only(&changes(&mut objects)).1), LIMITED);
    objects.take(set_node(&node_at(&["192.168.0.2"])));
    assert_eq!(flags(only(&changes(&mut objects)).1), NODE);
    objects.take(set_node(&node_at(&["192.168.1.2"])));
    assert_eq!(flags(only(&changes(&mut objects)).1), LIMITED);
}

/// As long as there is no Node object and nothing is configured.
#[test]
fn a_node_whose_primary_address_is_not_known_may_where_any_of_its_addresses_may() {
    let mut objects = objects(&settings());
    objects.take(set_service(&balanced(FamilyKind::V4, &["192.168.0.0/24"])));
    assert_eq!(flags(only(&changes(&mut objects)).1), LIMITED);
    objects.set_node_addresses([IpAddr::from([192, 168, 0, 9])].into());
    assert_eq!(flags(only(&changes(&mut objects)).1), NODE);
    objects.take(set_node(&node_at(&["192.168.1.2"])));
    assert_eq!(flags(only(&changes(&mut objects)).1), LIMITED);
}

#[test]
fn the_configured_address_is_the_nodes_own() {
    let settings = NodeSettings {
        bind_address: Some(IpAddr::from([192, 168, 0, 2])),
        ..settings()
    };
    let mut objects = objects(&settings);
    objects.take(set_node(&node_at(&["192.168.1.2"])));
    objects.take(set_service(&balanced(FamilyKind::V4, &["192.168.0.0/24"])));
    assert_eq!(flags(only(&changes(&mut objects)).1), NODE);
}

#[rstest]
fn an_address_is_a_services_as_long_as_one_has_it(#[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind) {
    let address: IpAddr = cluster_ip(family, 41).parse().expect("an address");
    let [one, other] = ["one", "other"].map(|name| service(name, &cluster_ip(family, 41), &json!({})));
    let mut objects = objects(&settings());
    objects.take(set_service(&one));
    objects.take(set_service(&other));
    assert_eq!(changes(&mut objects).addresses, [(address, true)].into());
    objects.take(service_gone(&one));
    assert_eq!(changes(&mut objects).addresses, [(address, true)].into());
    objects.take(service_gone(&other));
    assert_eq!(changes(&mut objects).addresses, [(address, false)].into());
}

#[test]
fn in_mode_iptables_what_no_service_answers_passes() {
    let mut objects = objects(&as_mode(ProxyMode::Iptables));
    objects.take(set_service(&balanced(FamilyKind::V4, &[])));
    let changes = changes(&mut objects);
    assert!(changes.addresses.is_empty());
    assert!(
        changes
            .node
            .expect("the node's facts")
            .refused_networks()
            .next()
            .is_none()
    );
}

#[test]
fn in_mode_ipvs_only_ports_that_no_service_has_are_refused() {
    let mut objects = objects(&as_mode(ProxyMode::Ipvs));
    objects.take(set_service(&balanced(FamilyKind::V4, &[])));
    let changes = changes(&mut objects);
    assert_eq!(changes.addresses.len(), 1);
    assert!(
        changes
            .node
            .expect("the node's facts")
            .refused_networks()
            .next()
            .is_none()
    );
}
