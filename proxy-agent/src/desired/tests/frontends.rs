use std::collections::{BTreeMap, BTreeSet};

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    desired::{Changes, FamilyKind, FrontendKind},
    testing::{cluster_ip, external, merge, objects, only, service, service_gone, set_service, settings},
};

use FrontendKind::{ClusterIp, External, LoadBalancer, NodePort};

fn everything(family: FamilyKind, name: &str, n: u16) -> Value {
    let spec = json!({
        "ports": [{"port": 80, "protocol": "TCP", "nodePort": 3001}],
        "externalIPs": [external(family, 11)],
    });
    let mut object = service(name, &cluster_ip(family, n), &spec);
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": external(family, 12)}]}});
    object
}

const fn unspecified(family: FamilyKind) -> &'static str {
    match family {
        FamilyKind::V4 => "0.0.0.0",
        FamilyKind::V6 => "::",
    }
}

/// The frontends of a service, by its name.
fn of(changes: &Changes, name: &str) -> BTreeSet<(String, u16, FrontendKind)> {
    let service = changes
        .services
        .iter()
        .find(|(id, _)| &*id.name == name)
        .and_then(|(_, service)| service.as_ref());
    let frontends = &service.unwrap_or_else(|| panic!("{name} is not in the pass")).frontends;
    assert!(frontends.is_sorted());
    frontends
        .iter()
        .map(|frontend| (frontend.address.to_string(), frontend.port, frontend.kind))
        .collect()
}

fn set(frontends: &[(&str, u16, FrontendKind)]) -> BTreeSet<(String, u16, FrontendKind)> {
    frontends
        .iter()
        .map(|(address, port, kind)| ((*address).to_owned(), *port, *kind))
        .collect()
}

#[rstest]
fn every_kind_of_address_leads_to_a_service(#[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind) {
    let mut objects = objects(&settings());
    objects.take(set_service(&everything(family, "svc", 41)));
    let expected = [
        (cluster_ip(family, 41), 80, ClusterIp),
        (external(family, 11), 80, External),
        (external(family, 12), 80, LoadBalancer),
        (unspecified(family).to_owned(), 3001, NodePort),
    ];
    assert_eq!(of(&objects.wanted().expect("changes"), "svc"), BTreeSet::from(expected));
}

/// Rows 118 to 120 of the behaviour tables.
#[rstest]
#[case::unset(Value::Null, true)]
#[case::vip(json!("VIP"), true)]
#[case::proxy(json!("Proxy"), false)]
#[case::unknown(json!("Tunnel"), false)]
#[case::empty(json!(""), false)]
fn a_load_balancer_that_proxies_is_left_alone(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
    #[case] mode: Value,
    #[case] served: bool,
) {
    let mut object = service("svc", &cluster_ip(family, 41), &json!({}));
    object["status"] = json!({"loadBalancer": {"ingress": [
        {"ip": external(family, 12), "ipMode": mode},
        {"hostname": "balancer.example"},
    ]}});
    let mut objects = objects(&settings());
    objects.take(set_service(&object));
    let frontends = of(&objects.wanted().expect("changes"), "svc");
    assert_eq!(frontends.contains(&(external(family, 12), 80, LoadBalancer)), served);
    assert_eq!(frontends.len(), if served { 2 } else { 1 });
}

#[rstest]
fn an_address_of_two_kinds_is_of_the_first(#[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind) {
    let spec = json!({"externalIPs": [external(family, 12), cluster_ip(family, 41)]});
    let mut object = service("svc", &cluster_ip(family, 41), &spec);
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": external(family, 12)}]}});
    let mut objects = objects(&settings());
    objects.take(set_service(&object));
    let expected = [
        (cluster_ip(family, 41), 80, ClusterIp),
        (external(family, 12), 80, LoadBalancer),
    ];
    assert_eq!(of(&objects.wanted().expect("changes"), "svc"), BTreeSet::from(expected));
}

#[rstest]
fn a_cluster_ip_of_this_node_is_left_to_the_node_and_other_addresses_are_not(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
) {
    let mut objects = objects(&settings());
    objects.take(set_service(&everything(family, "svc", 41)));
    let all = of(&objects.wanted().expect("changes"), "svc");
    let parse = |text: String| text.parse().expect("an address");
    objects.set_node_addresses(BTreeSet::from([
        parse(cluster_ip(family, 41)),
        parse(external(family, 12)),
    ]));
    let left = of(&objects.wanted().expect("changes"), "svc");
    assert_eq!(
        all.difference(&left).collect::<Vec<_>>(),
        [&(cluster_ip(family, 41), 80, ClusterIp)]
    );
    objects.set_node_addresses(BTreeSet::new());
    assert_eq!(of(&objects.wanted().expect("changes"), "svc"), all);
    objects.set_node_addresses(BTreeSet::from([parse(external(family, 77))]));
    assert_eq!(objects.wanted(), None);
}

fn aged(mut object: Value, created: &str) -> Value {
    merge(&mut object, &json!({"metadata": {"creationTimestamp": created}}));
    object
}

/// Who names the ClusterIP of another as its external address does not get it, were it there long before.
#[rstest]
fn a_cluster_ip_belongs_to_its_service(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
    #[values(true, false)] older_first: bool,
) {
    let greedy = json!({"externalIPs": [cluster_ip(family, 2)]});
    let greedy = aged(service("a", &cluster_ip(family, 1), &greedy), "2020-01-01T00:00:00Z");
    let victim = aged(service("b", &cluster_ip(family, 2), &json!({})), "2021-01-01T00:00:00Z");
    let mut objects = objects(&settings());
    for object in if older_first {
        [&greedy, &victim]
    } else {
        [&victim, &greedy]
    } {
        objects.take(set_service(object));
    }
    let changes = objects.wanted().expect("changes");
    assert_eq!(of(&changes, "a"), set(&[(&cluster_ip(family, 1), 80, ClusterIp)]));
    assert_eq!(of(&changes, "b"), set(&[(&cluster_ip(family, 2), 80, ClusterIp)]));
    let lines = objects.take_refusals();
    assert!(
        lines.len() == 1 && lines[0].contains("Service ns/b, whose ClusterIP it is"),
        "{lines:?}"
    );
}

/// Two Services that claim the same in all ways: which one has it, whatever the order in which they come.
#[rstest]
#[case::the_older(("b", "2020-01-01T00:00:00Z"), ("a", "2021-01-01T00:00:00Z"))]
#[case::of_one_age_the_first_by_name(("a", "2020-01-01T00:00:00Z"), ("b", "2020-01-01T00:00:00Z"))]
fn the_older_service_has_an_address_and_the_next_takes_over(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
    #[values(true, false)] winner_first: bool,
    #[case] winner: (&str, &str),
    #[case] loser: (&str, &str),
) {
    let (wins, loses) = (
        aged(everything(family, winner.0, 1), winner.1),
        aged(everything(family, loser.0, 2), loser.1),
    );
    let mut objects = objects(&settings());
    let order = if winner_first { [&wins, &loses] } else { [&loses, &wins] };
    let passes = order.map(|object| {
        objects.take(set_service(object));
        objects.wanted().expect("changes")
    });
    let shared = set(&[
        (&external(family, 11), 80, External),
        (&external(family, 12), 80, LoadBalancer),
        (unspecified(family), 3001, NodePort),
    ]);
    assert!(of(&passes[1], loser.0).is_disjoint(&shared));
    assert!(of(&passes[usize::from(!winner_first)], winner.0).is_superset(&shared));
    assert_eq!(objects.refused(), 3);
    let lines = objects.take_refusals();
    assert!(
        lines
            .iter()
            .all(|line| line.contains(&format!("ns/{}", winner.0)) && line.contains(&format!("ns/{}", loser.0)))
    );

    objects.take(service_gone(&wins));
    let after = objects.wanted().expect("changes");
    assert!(of(&after, loser.0).is_superset(&shared));
    assert!(
        after
            .services
            .iter()
            .any(|(id, service)| &*id.name == winner.0 && service.is_none())
    );
    assert_eq!(objects.refused(), 0);
}

#[rstest]
fn a_port_with_another_protocol_is_another_claim(#[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind) {
    let mut objects = objects(&settings());
    for (name, protocol) in [("a", "TCP"), ("b", "UDP"), ("c", "SCTP")] {
        let spec = json!({"ports": [{"port": 80, "protocol": protocol}]});
        objects.take(set_service(&service(name, &cluster_ip(family, 41), &spec)));
    }
    let changes = objects.wanted().expect("changes");
    for name in ["a", "b", "c"] {
        assert_eq!(of(&changes, name), set(&[(&cluster_ip(family, 41), 80, ClusterIp)]));
    }
}

#[rstest]
fn a_port_that_comes_or_goes_leaves_the_others_as_they_are(
    #[values(FamilyKind::V4, FamilyKind::V6)] family: FamilyKind,
) {
    let mut objects = objects(&settings());
    let mut pass = |names: &[&str]| {
        let ports = names
            .iter()
            .zip(80..)
            .map(|(name, port)| json!({"name": name, "port": port}));
        let spec = json!({"ports": ports.collect::<Vec<_>>()});
        objects.take(set_service(&service("svc", &cluster_ip(family, 41), &spec)));
        let services = objects.wanted().expect("changes").services.into_iter();
        let by_port = services.map(|(id, service)| (id.port.to_string(), service));
        by_port.collect::<BTreeMap<_, _>>()
    };
    let (one, two, again) = (pass(&["a"]), pass(&["a", "b"]), pass(&["a"]));
    assert!(one["a"].is_some() && two["b"].is_some());
    assert_eq!((&two["a"], &again["a"]), (&one["a"], &one["a"]));
    assert_eq!(again["b"], None);
}

#[test]
fn a_service_has_addresses_only_of_the_families_of_its_cluster_ips() {
    let spec = json!({
        "ports": [{"port": 80, "nodePort": 3001}],
        "externalIPs": [external(FamilyKind::V4, 1), external(FamilyKind::V6, 1)],
    });
    let mut objects = objects(&settings());
    objects.take(set_service(&service("svc", &cluster_ip(FamilyKind::V6, 41), &spec)));
    let changes = objects.wanted().expect("changes");
    let (id, service) = only(&changes);
    assert_eq!(id.family, FamilyKind::V6);
    assert!(service.frontends.iter().all(|frontend| frontend.address.is_ipv6()));
}

#[test]
fn a_dual_stack_service_is_a_service_of_each_family() {
    let mut object = service("svc", "", &json!({}));
    object["spec"]["clusterIPs"] = json!([cluster_ip(FamilyKind::V4, 1), cluster_ip(FamilyKind::V6, 1)]);
    let mut objects = objects(&settings());
    objects.take(set_service(&object));
    let families: Vec<FamilyKind> = objects
        .wanted()
        .expect("changes")
        .services
        .into_keys()
        .map(|id| id.family)
        .collect();
    assert_eq!(families, [FamilyKind::V4, FamilyKind::V6]);
    object["spec"]["clusterIPs"] = json!([cluster_ip(FamilyKind::V4, 1)]);
    objects.take(set_service(&object));
    let changes = objects.wanted().expect("changes");
    assert!(
        changes
            .services
            .iter()
            .any(|(id, service)| id.family == FamilyKind::V6 && service.is_none())
    );
}

/// The first state comes in parts, and only the last one says that it is all.
#[test]
fn a_large_first_state_is_handed_over_in_parts() {
    let mut objects = objects(&settings());
    for n in 0..3000 {
        objects.take(set_service(&service(
            &format!("s{n}"),
            &cluster_ip(FamilyKind::V4, n),
            &json!({}),
        )));
    }
    let mut names = BTreeSet::new();
    let mut complete = Vec::new();
    while let Some(changes) = objects.wanted() {
        assert_eq!(changes.node.is_some(), complete.is_empty());
        names.extend(changes.services.keys().map(|id| id.name.clone()));
        complete.push(changes.complete);
    }
    assert_eq!(names.len(), 3000);
    assert_eq!(complete, [false, false, true]);
}

#[test]
fn the_last_part_is_handed_over_although_nothing_is_left_of_it() {
    let mut objects = objects(&settings());
    let all: Vec<Value> = (0..1030)
        .map(|n| service(&format!("s{n:04}"), &cluster_ip(FamilyKind::V4, n), &json!({})))
        .collect();
    all.iter().for_each(|object| objects.take(set_service(object)));
    assert!(!objects.wanted().expect("the first part").complete);
    all[1024..].iter().for_each(|object| objects.take(service_gone(object)));
    assert!(objects.wanted().expect("the last part").complete);
    assert_eq!(objects.wanted(), None);
}
