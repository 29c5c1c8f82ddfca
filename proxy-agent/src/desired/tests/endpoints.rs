use std::{collections::BTreeSet, net::IpAddr};

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    desired::{DesiredService, FamilyKind, ProxyMode, Views, policy},
    settings::NodeSettings,
    testing::{
        self, NODE, cluster_ip, external, node_in, objects, only, service, set_node, set_service, set_slice, settings,
        slice, view,
    },
};

/// An endpoint written short.
#[derive(Clone, Copy, Default)]
struct Short {
    zones: &'static [&'static str],
    nodes: &'static [&'static str],
    unready: bool,
    terminating: bool,
    dead: bool,
    local: bool,
}

const fn zone(zones: &'static [&'static str]) -> Short {
    Short {
        zones,
        nodes: &[],
        unready: false,
        terminating: false,
        dead: false,
        local: false,
    }
}

const READY: Short = zone(&[]);
const HERE: Short = Short { local: true, ..READY };
const UNREADY: Short = Short {
    unready: true,
    dead: true,
    ..READY
};
const LEAVING: Short = Short {
    unready: true,
    terminating: true,
    ..READY
};
const LEAVING_HERE: Short = Short { local: true, ..LEAVING };
const GONE: Short = Short { dead: true, ..LEAVING };
const FOR_HERE: Short = Short {
    nodes: &[NODE],
    ..READY
};
const FOR_OTHER: Short = Short {
    nodes: &["other"],
    ..READY
};
/// Hints a, b, c, a: the fixture of the upstream test.
const ABCA: [Short; 4] = [
    zone(&["zone-a"]),
    zone(&["zone-b"]),
    zone(&["zone-c"]),
    zone(&["zone-a"]),
];

const fn with(mut row: [Short; 4], index: usize, endpoint: Short) -> [Short; 4] {
    row[index] = endpoint;
    row
}

const fn local(endpoint: Short) -> Short {
    Short {
        local: true,
        ..endpoint
    }
}

fn endpoint(family: FamilyKind, n: u16, short: Short) -> Value {
    let named = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
    json!({
        "addresses": [testing::endpoint(family, n)],
        "nodeName": if short.local { NODE } else { "other" },
        "conditions": {"ready": !short.unready, "serving": !short.dead, "terminating": short.terminating},
        "hints": {"forZones": named(short.zones), "forNodes": named(short.nodes)},
    })
}

/// A service whose endpoints are .3, .4 and so on.
fn desired(family: FamilyKind, spec: &Value, node_zone: Option<&str>, endpoints: &[Short]) -> DesiredService {
    desired_as(ProxyMode::Nftables, family, spec, node_zone, endpoints)
}

/// The same in a mode.
fn desired_as(
    mode: ProxyMode,
    family: FamilyKind,
    spec: &Value,
    node_zone: Option<&str>,
    endpoints: &[Short],
) -> DesiredService {
    let mut objects = objects(&NodeSettings { mode, ..settings() });
    objects.take(set_node(&node_in(node_zone)));
    objects.take(set_service(&service("svc", &cluster_ip(family, 41), spec)));
    let endpoints: Vec<Value> = (3..)
        .zip(endpoints)
        .map(|(n, short)| endpoint(family, n, *short))
        .collect();
    objects.take(set_slice(&slice("svc-1", "svc", family, &endpoints)));
    let changes = objects.wanted().expect("changes");
    only(&changes).1.clone()
}

fn addresses(family: FamilyKind, numbers: &[u16]) -> BTreeSet<IpAddr> {
    numbers
        .iter()
        .map(|n| testing::endpoint(family, *n).parse().expect("an address"))
        .collect()
}

fn internal() -> Value {
    json!({})
}

fn internal_local() -> Value {
    json!({"internalTrafficPolicy": "Local"})
}

fn with_node_port(spec: Value) -> Value {
    let mut spec = spec;
    testing::merge(
        &mut spec,
        &json!({"ports": [{"port": 80, "protocol": "TCP", "nodePort": 3001}]}),
    );
    spec
}

fn external_local() -> Value {
    with_node_port(json!({"externalTrafficPolicy": "Local"}))
}

fn internal_local_with_node_port() -> Value {
    with_node_port(internal_local())
}

fn both_local() -> Value {
    with_node_port(json!({"internalTrafficPolicy": "Local", "externalTrafficPolicy": "Local"}))
}

fn external_local_at_external_addresses() -> Value {
    let addresses = [external(FamilyKind::V4, 1), external(FamilyKind::V6, 1)];
    json!({"externalTrafficPolicy": "Local", "externalIPs": addresses})
}

/// Rows 147 to 170 of the behaviour tables, and their kin: what the policies ask for, the node's zone, the endpoints;
/// then the cluster view, the local view, and whether any endpoint could be used somewhere.
#[rstest]
#[case::hints_narrow(internal(), Some("zone-a"), &ABCA, &[3, 6], &[], true)]
#[case::no_zone_label(internal(), None, &ABCA, &[3, 4, 5, 6], &[], true)]
#[case::an_empty_zone_label(internal(), Some(""), &ABCA, &[3, 4, 5, 6], &[], true)]
#[case::a_zone_without_endpoints(internal(), Some("zone-z"), &ABCA, &[3, 4, 5, 6], &[], true)]
#[case::the_unready_are_left_out(
    internal(), Some("zone-a"), &with(ABCA, 3, Short { unready: true, dead: true, ..ABCA[3] }), &[3], &[], true)]
#[case::one_without_a_hint_switches_hints_off(
    internal(), Some("zone-a"), &with(ABCA, 2, READY), &[3, 4, 5, 6], &[], true)]
#[case::an_unready_one_without_a_hint_does_not(internal(), Some("zone-a"), &with(ABCA, 2, UNREADY), &[3, 6], &[], true)]
#[case::hints_for_several_zones(
    internal(), Some("zone-b"), &[zone(&["zone-a", "zone-b"]), zone(&["zone-c"])], &[3], &[], true)]
#[case::hints_for_nodes(internal(), Some("zone-a"), &[FOR_HERE, FOR_OTHER], &[3], &[], true)]
#[case::hints_for_other_nodes_only(internal(), Some("zone-a"), &[FOR_OTHER, FOR_OTHER], &[3, 4], &[], true)]
#[case::hints_for_other_nodes_and_this_zone(
    internal(), Some("zone-a"),
    &[Short { zones: &["zone-a"], ..FOR_OTHER }, Short { zones: &["zone-b"], ..FOR_OTHER }], &[3], &[], true)]
#[case::hints_for_nodes_of_some_only(internal(), None, &[FOR_HERE, READY], &[3, 4], &[], true)]
#[case::external_local_with_hints(
    external_local(), Some("zone-a"), &with(with(ABCA, 0, local(ABCA[0])), 1, local(ABCA[1])), &[3, 6], &[3, 4], true)]
#[case::internal_local_with_hints(
    internal_local_with_node_port(), Some("zone-a"), &with(with(ABCA, 0, local(ABCA[0])), 1, local(ABCA[1])),
    &[3, 6], &[3, 4], true)]
#[case::no_policy_is_local(internal(), None, &[HERE, READY], &[3, 4], &[], true)]
#[case::internal_local_all_remote(internal_local(), None, &[READY, READY], &[], &[], true)]
#[case::internal_local_some_local(internal_local(), None, &[HERE, READY], &[], &[3], true)]
#[case::internal_local_none_ready(internal_local(), None, &[UNREADY, UNREADY], &[], &[], false)]
#[case::all_leaving(external_local(), None, &[LEAVING_HERE, LEAVING], &[3, 4], &[3], true)]
#[case::leaving_takes_no_notice_of_hints(
    internal(), Some("zone-a"), &[Short { zones: &["zone-b"], ..LEAVING }], &[3], &[], true)]
#[case::one_ready_elsewhere(external_local(), None, &[LEAVING_HERE, READY], &[4], &[3], true)]
#[case::one_ready_here(external_local(), None, &[LEAVING_HERE, HERE, LEAVING], &[4], &[4], true)]
#[case::leaving_and_dead(internal(), None, &[GONE], &[], &[], false)]
#[case::external_local_without_an_external_address(
    json!({"externalTrafficPolicy": "Local"}), None, &[HERE, READY], &[3, 4], &[], true)]
#[case::external_local_by_an_external_address(
    external_local_at_external_addresses(), None, &[HERE, READY], &[3, 4], &[3], true)]
#[case::both_policies_are_local(both_local(), None, &[HERE, READY], &[3, 4], &[3], true)]
#[case::no_endpoints(internal(), None, &[], &[], &[], false)]
fn endpoints_are_in_the_views_that_policies_and_hints_give_them(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
    #[case] spec: Value,
    #[case] node_zone: Option<&str>,
    #[case] endpoints: &[Short],
    #[case] cluster: &[u16],
    #[case] local: &[u16],
    #[case] any: bool,
) {
    let service = desired(family, &spec, node_zone, endpoints);
    assert_eq!(view(&service, false), addresses(family, cluster));
    assert_eq!(view(&service, true), addresses(family, local));
    assert_eq!(service.flags & policy::ANY_ENDPOINT != 0, any);
    assert!(service.endpoints.is_sorted());
}

#[test]
fn a_slice_is_of_a_service_in_its_own_namespace() {
    let family = FamilyKind::V4;
    let mut objects = objects(&settings());
    objects.take(set_service(&service("svc", &cluster_ip(family, 41), &internal())));
    let mut foreign = slice("svc-1", "svc", family, &[endpoint(family, 3, READY)]);
    foreign["metadata"]["namespace"] = json!("other");
    objects.take(set_slice(&foreign));
    let own = slice("svc-1", "svc", family, &[endpoint(family, 4, READY)]);
    objects.take(set_slice(&own));
    let changes = objects.wanted().expect("changes");
    assert_eq!(view(only(&changes).1, false), addresses(family, &[4]));
}

/// In mode ipvs. What the node has counts alone, as everywhere; where it has nothing, the cluster's endpoints do.
#[rstest]
#[case::internal_local_all_remote(internal_local(), &[READY, READY], &[], &[3, 4])]
#[case::internal_local_some_local(internal_local(), &[HERE, READY], &[], &[3])]
#[case::internal_local_here_is_unready(internal_local(), &[local(UNREADY), READY], &[], &[4])]
#[case::internal_local_here_leaves(internal_local(), &[LEAVING_HERE, READY], &[], &[3])]
#[case::external_local_all_remote(external_local(), &[READY, READY], &[3, 4], &[3, 4])]
#[case::external_local_all_leave_elsewhere(external_local(), &[LEAVING, LEAVING], &[3, 4], &[3, 4])]
#[case::external_local_some_local(external_local(), &[HERE, READY], &[3, 4], &[3])]
#[case::no_policy_is_local(internal(), &[READY, READY], &[3, 4], &[])]
fn in_mode_ipvs_a_policy_of_local_means_the_cluster_where_the_node_has_nothing(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
    #[case] spec: Value,
    #[case] endpoints: &[Short],
    #[case] cluster: &[u16],
    #[case] local: &[u16],
) {
    let service = desired_as(ProxyMode::Ipvs, family, &spec, None, endpoints);
    assert_eq!(view(&service, false), addresses(family, cluster));
    assert_eq!(view(&service, true), addresses(family, local));
    assert_ne!(service.flags & policy::NO_EXCEPTIONS, 0);
}

#[rstest]
#[case::it_leaves_while_others_are_ready(&[LEAVING, READY])]
#[case::it_is_meant_for_other_nodes(&[FOR_OTHER, FOR_HERE])]
fn an_endpoint_in_no_view_keeps_its_flows(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
    #[case] endpoints: &[Short],
) {
    let service = desired(family, &internal(), None, endpoints);
    let views: Vec<Views> = service.endpoints.iter().map(|endpoint| endpoint.views).collect();
    assert_eq!(views, [Views::Neither, Views::ClusterOnly]);
}

#[rstest]
#[case::unready(UNREADY)]
#[case::leaving_and_dead(GONE)]
fn an_endpoint_that_does_not_serve_is_not_there(#[case] endpoint: Short) {
    assert_eq!(desired(FamilyKind::V4, &internal(), None, &[endpoint]).endpoints, []);
}

/// What is written of an endpoint, and whether it is in the cluster view and in the local one.
#[rstest]
#[case::nothing(json!({}), true, false)]
#[case::its_node(json!({"nodeName": NODE}), true, true)]
#[case::its_node_in_other_letters(json!({"nodeName": "TEST-node"}), true, true)]
#[case::not_whether_it_serves(json!({"conditions": {"ready": false, "terminating": true}}), true, false)]
#[case::not_whether_it_terminates(json!({"conditions": {"ready": false, "serving": true}}), false, false)]
#[case::not_whether_it_is_ready(json!({"conditions": {"serving": false, "terminating": true}}), true, false)]
fn what_an_endpoint_does_not_say_has_the_defaults_of_the_api(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
    #[case] written: Value,
    #[case] cluster: bool,
    #[case] local: bool,
) {
    let mut objects = objects(&settings());
    objects.take(set_service(&service("svc", &cluster_ip(family, 41), &external_local())));
    let mut endpoint = json!({"addresses": [testing::endpoint(family, 3)]});
    testing::merge(&mut endpoint, &written);
    objects.take(set_slice(&slice("svc-1", "svc", family, &[endpoint])));
    let changes = objects.wanted().expect("changes");
    let has = |local| !view(only(&changes).1, local).is_empty();
    assert_eq!((has(false), has(true)), (cluster, local));
}

#[rstest]
fn of_several_addresses_of_an_endpoint_the_first_counts(#[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind) {
    let mut objects = objects(&settings());
    objects.take(set_service(&service("svc", &cluster_ip(family, 41), &internal())));
    let endpoint = json!({"addresses": [testing::endpoint(family, 4), testing::endpoint(family, 3)]});
    objects.take(set_slice(&slice("svc-1", "svc", family, &[endpoint])));
    let changes = objects.wanted().expect("changes");
    assert_eq!(view(only(&changes).1, false), addresses(family, &[4]));
}

#[rstest]
fn of_two_entries_for_one_endpoint_the_local_one_counts(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
    #[values(true, false)] local_first: bool,
) {
    let mut objects = objects(&settings());
    objects.take(set_service(&service("svc", &cluster_ip(family, 41), &internal_local())));
    for (name, short) in [
        ("svc-1", if local_first { HERE } else { READY }),
        ("svc-2", if local_first { READY } else { HERE }),
    ] {
        objects.take(set_slice(&slice(name, "svc", family, &[endpoint(family, 3, short)])));
    }
    let changes = objects.wanted().expect("changes");
    let (_, service) = only(&changes);
    assert_eq!(service.endpoints.len(), 1);
    assert_eq!(view(service, true), addresses(family, &[3]));
}

#[rstest]
fn slices_may_give_one_port_name_different_numbers(#[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind) {
    let mut objects = objects(&settings());
    objects.take(set_service(&service("svc", &cluster_ip(family, 41), &internal())));
    objects.take(set_slice(&slice("svc-1", "svc", family, &[endpoint(family, 3, READY)])));
    let mut other = slice("svc-2", "svc", family, &[endpoint(family, 3, READY)]);
    other["ports"] =
        json!([{"name": "", "port": 9090}, {"name": "admin", "port": 1}, {"name": "", "port": 5, "protocol": "UDP"}]);
    objects.take(set_slice(&other));
    let changes = objects.wanted().expect("changes");
    let ports: Vec<u16> = only(&changes)
        .1
        .endpoints
        .iter()
        .map(|endpoint| endpoint.port)
        .collect();
    assert_eq!(ports, [8080, 9090]);
}

#[rstest]
fn an_endpoint_with_the_address_of_a_service_is_refused_whichever_comes_first(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
    #[values(true, false)] endpoint_first: bool,
) {
    let mut objects = objects(&settings());
    let own = set_service(&service("svc", &cluster_ip(family, 41), &internal()));
    let other = service("other", &testing::endpoint(family, 3), &internal());
    let slice = set_slice(&slice(
        "svc-1",
        "svc",
        family,
        &[endpoint(family, 3, READY), endpoint(family, 4, READY)],
    ));
    let steps = if endpoint_first {
        [own, slice, set_service(&other)]
    } else {
        [set_service(&other), own, slice]
    };
    let mut last = None;
    for step in steps {
        objects.take(step);
        last = objects.wanted().or(last);
    }
    let changes = last.expect("changes");
    let id = changes
        .services
        .keys()
        .find(|id| &*id.name == "svc")
        .expect("the service is looked at again");
    let service = changes.services[id].as_ref().expect("it is there");
    assert_eq!(view(service, false), addresses(family, &[4]));
    assert_eq!(objects.refused(), 1);

    objects.take(testing::service_gone(&other));
    let changes = objects.wanted().expect("changes");
    assert_eq!(
        view(changes.services[id].as_ref().expect("it is there"), false),
        addresses(family, &[3, 4])
    );
    assert_eq!(objects.refused(), 0);
}

/// A Service cannot take endpoints away from an older one by claiming their addresses.
#[rstest]
fn an_endpoint_keeps_its_address_against_a_younger_service(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
    #[values(true, false)] older_first: bool,
) {
    let mut objects = objects(&settings());
    let aged = |name: &str, address: &str, created: &str| {
        let mut object = service(name, address, &internal());
        object["metadata"]["creationTimestamp"] = json!(created);
        set_service(&object)
    };
    let older = aged("svc", &cluster_ip(family, 41), "2020-01-01T00:00:00Z");
    let younger = aged("a-younger-one", &testing::endpoint(family, 3), "2021-01-01T00:00:00Z");
    objects.take(set_slice(&slice("svc-1", "svc", family, &[endpoint(family, 3, READY)])));
    for step in if older_first {
        [older, younger]
    } else {
        [younger, older]
    } {
        objects.take(step);
    }
    let changes = objects.wanted().expect("changes");
    let (_, service) = changes
        .services
        .iter()
        .find(|(id, _)| &*id.name == "svc")
        .expect("the service");
    assert_eq!(
        view(service.as_ref().expect("it is there"), false),
        addresses(family, &[3])
    );
    assert_eq!(objects.refused(), 0);
}

/// A host-network backend whose node's address is the load balancer's as well.
#[rstest]
fn an_endpoint_may_have_a_load_balancer_address(#[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind) {
    let mut objects = objects(&settings());
    let mut balanced = service("svc", &cluster_ip(family, 41), &internal());
    balanced["status"] = json!({"loadBalancer": {"ingress": [{"ip": external(family, 1)}]}});
    objects.take(set_service(&balanced));
    let endpoint = json!({"addresses": [external(family, 1)]});
    objects.take(set_slice(&slice("svc-1", "svc", family, &[endpoint])));
    let changes = objects.wanted().expect("changes");
    assert_eq!(only(&changes).1.endpoints.len(), 1);
}
