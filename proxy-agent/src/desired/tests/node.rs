use std::net::IpAddr;

use rstest::rstest;
use serde_json::json;

use crate::{
    desired::{DesiredNode, FamilyKind, PodDetector, ProxyMode},
    settings::{DetectSettings, NodePortSettings, NodeSettings},
    testing::{NODE, objects, set_node, settings},
};

/// The addresses of the node of the behaviour tables.
const ADDRESSES: [&str; 8] = [
    "192.168.0.2",
    "192.168.1.2",
    "192.168.99.11",
    "2001:db8::1",
    "2001:db8:1::2",
    "127.0.0.1",
    "127.0.0.5",
    "::1",
];

const ALL: &[&str] = &[
    "192.168.0.2",
    "192.168.1.2",
    "192.168.99.11",
    "2001:db8::1",
    "2001:db8:1::2",
];
const ALL_V6: &[&str] = &["2001:db8::1", "2001:db8:1::2"];
const V4_FIRST: &[&str] = &["192.168.0.2"];
const V4_TWO: &[&str] = &["192.168.0.2", "192.168.1.2"];
const V6_FIRST: &[&str] = &["2001:db8::1"];
const PRIMARY: &[&str] = &["192.168.0.2", "2001:db8::1"];

fn desired(settings: &NodeSettings) -> DesiredNode {
    let mut objects = objects(settings);
    objects.take(set_node(&json!({
        "metadata": {"name": NODE},
        "spec": {"podCIDRs": ["10.244.1.0/24", "fd00:10:244:1::/64"]},
        "status": {"addresses": [
            {"type": "Hostname", "address": "test-node"},
            {"type": "ExternalIP", "address": "203.0.113.9"},
            {"type": "InternalIP", "address": "192.168.0.2"},
            {"type": "InternalIP", "address": "192.168.1.2"},
            {"type": "InternalIP", "address": "2001:db8::1"},
        ]},
    })));
    objects
        .wanted()
        .expect("changes")
        .node
        .expect("the node is handed over at first")
}

fn with_node_ports(mode: ProxyMode, list: &[&str], iptables_localhost: bool) -> DesiredNode {
    let mut node_ports = NodePortSettings {
        iptables_localhost,
        ..NodePortSettings::default()
    };
    for entry in list {
        match *entry {
            "primary" => node_ports.primary = true,
            "all" => node_ports.all = true,
            "localhost" => node_ports.localhost = true,
            network => node_ports.networks.push(network.parse().expect("a network")),
        }
    }
    desired(&NodeSettings {
        mode,
        node_ports,
        ..settings()
    })
}

const I: ProxyMode = ProxyMode::Iptables;
const N: ProxyMode = ProxyMode::Nftables;
const V: ProxyMode = ProxyMode::Ipvs;

/// Rows 121 to 124 and 135 to 145 of the behaviour tables: mode, the list, the addresses that take node ports on packets;
/// then whether loopback does for sockets of the host, IPv4 and IPv6.
#[rstest]
#[case::i_empty(I, &[], &[ALL], (true, false))]
#[case::v_empty(V, &[], &[ALL], (false, false))]
#[case::v_primary(V, &["primary"], &[PRIMARY], (false, false))]
#[case::n_empty(N, &[], &[PRIMARY], (false, false))]
#[case::i_primary(I, &["primary"], &[PRIMARY], (false, false))]
#[case::n_primary(N, &["primary"], &[PRIMARY], (false, false))]
#[case::n_every_address(N, &["0.0.0.0/0", "::/0"], &[ALL], (false, false))]
#[case::i_every_address(I, &["0.0.0.0/0", "::/0"], &[ALL], (true, false))]
#[case::every_v4_address(N, &["0.0.0.0/0"], &[ALL], (false, false))]
#[case::a_v4_network(N, &["192.168.0.0/24"], &[V4_FIRST, ALL_V6], (false, false))]
#[case::i_a_v4_network(I, &["192.168.0.0/24"], &[V4_FIRST, ALL_V6], (false, false))]
#[case::a_network_each(N, &["192.168.0.0/24", "2001:db8::/64"], &[PRIMARY], (false, false))]
#[case::networks(
    N, &["192.168.0.0/24", "192.168.1.0/24", "2001:db8::/64", "2001:db8:1::2/128"],
    &[V4_TWO, ALL_V6], (false, false))]
#[case::i_loopback(I, &["192.168.0.0/24", "127.0.0.1/32"], &[V4_FIRST, ALL_V6], (true, false))]
#[case::none_of_ours(N, &["10.99.0.0/16", "fd99::/64"], &[], (false, false))]
#[case::primary_and_a_network(
    N, &["primary", "192.168.1.0/24"], &[V4_TWO, V6_FIRST], (false, false))]
#[case::n_all(N, &["all"], &[ALL], (true, true))]
#[case::n_localhost(N, &["localhost"], &[], (true, true))]
#[case::n_localhost_and_primary(N, &["localhost", "primary"], &[PRIMARY], (true, true))]
#[case::n_loopback_by_network(N, &["127.0.0.0/8", "192.168.0.0/24"], &[V4_FIRST, ALL_V6], (true, false))]
fn node_ports_are_taken_at_the_addresses_that_are_configured(
    #[case] mode: ProxyMode,
    #[case] list: &[&str],
    #[case] expected: &[&[&str]],
    #[case] loopback: (bool, bool),
) {
    let node = with_node_ports(mode, list, true);
    let accepts = |address: &&str| {
        let address: IpAddr = address.parse().expect("an address");
        let family = if address.is_ipv4() {
            FamilyKind::V4
        } else {
            FamilyKind::V6
        };
        node.node_ports(family).accepts(address)
    };
    let mut accepted: Vec<&str> = ADDRESSES.into_iter().filter(accepts).collect();
    let mut expected = expected.concat();
    accepted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(accepted, expected);
    assert_eq!((node.node_ports_v4.loopback, node.node_ports_v6.loopback), loopback);
}

#[test]
fn loopback_node_ports_of_mode_iptables_can_be_switched_off() {
    assert!(!with_node_ports(I, &[], false).node_ports_v4.loopback);
}

#[test]
fn a_configured_address_stands_before_that_of_the_object() {
    let node = desired(&NodeSettings {
        bind_address: Some("192.168.99.11".parse().expect("an address")),
        ..settings()
    });
    assert!(node.node_ports_v4.accepts("192.168.99.11".parse().expect("an address")));
    assert!(!node.node_ports_v4.accepts("192.168.0.2".parse().expect("an address")));
    assert!(node.node_ports_v6.accepts("2001:db8::1".parse().expect("an address")));
}

#[test]
fn pods_of_this_node_are_known_by_the_networks_of_its_object() {
    let node = desired(&NodeSettings {
        detect: DetectSettings::NodeCidr,
        ..settings()
    });
    let expected = PodDetector::Network {
        v4: "10.244.1.0/24".parse().ok(),
        v6: "fd00:10:244:1::/64".parse().ok(),
    };
    assert_eq!(node.detector, expected);
}
