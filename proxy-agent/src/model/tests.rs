use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    agent::Objects,
    testing::{self, cluster_ip, endpoint, objects, service, set_service, set_slice, settings, slice},
    watch::{Change, Event},
};

use proxy_common::family::FamilyKind::{self, V4, V6};

/// How many services a pass has, and the lines about what was refused.
fn outcome(mut objects: Objects) -> (usize, Vec<String>) {
    let changes = objects.wanted().unwrap_or_default();
    (changes.services.values().flatten().count(), objects.take_refusals())
}

fn of_service(spec: &Value) -> (usize, Vec<String>) {
    let mut objects = objects(&settings());
    let mut object = service("svc", &cluster_ip(V4, 1), &json!({}));
    testing::merge(&mut object, spec);
    objects.take(set_service(&object));
    outcome(objects)
}

/// What is wrong with a Service, how many service ports are left of it, and the field that is named.
#[rstest]
#[case::nothing(json!({}), 1, None)]
#[case::a_bad_address(json!({"spec": {"clusterIPs": ["10.96.0.300"]}}), 0, Some("spec.clusterIPs[0]"))]
#[case::one_bad_address_of_two(
    json!({"spec": {"clusterIPs": ["nonsense", "fd00::1"]}}), 1, Some("spec.clusterIPs[0]"))]
#[case::two_of_a_family(
    json!({"spec": {"clusterIPs": ["172.30.0.1", "172.30.0.2"]}}), 1, Some("spec.clusterIPs[1]"))]
#[case::a_loopback_address(json!({"spec": {"clusterIPs": ["127.0.0.1"]}}), 0, Some("spec.clusterIPs[0]"))]
#[case::a_multicast_address(json!({"spec": {"clusterIPs": ["ff02::1"]}}), 0, Some("spec.clusterIPs[0]"))]
#[case::port_zero(json!({"spec": {"ports": [{"port": 0}]}}), 0, Some("spec.ports[0].port"))]
#[case::a_port_too_large(json!({"spec": {"ports": [{"port": 65536}]}}), 0, Some("spec.ports[0].port"))]
#[case::a_negative_port(
    json!({"spec": {"ports": [{"port": -1}, {"name": "b", "port": 81}]}}), 1, Some("spec.ports[0].port"))]
#[case::no_port(json!({"spec": {"ports": [{"name": "a"}]}}), 0, Some("spec.ports[0].port"))]
#[case::an_unknown_protocol(
    json!({"spec": {"ports": [{"port": 80, "protocol": "ICMP"}]}}), 0, Some("spec.ports[0].protocol"))]
#[case::a_bad_node_port(json!({"spec": {"ports": [{"port": 80, "nodePort": 70000}]}}), 1, Some("spec.ports[0].nodePort"))]
#[case::one_node_port_twice(
    json!({"spec": {"ports": [{"name": "a", "port": 80, "nodePort": 3001}, {"name": "b", "port": 81, "nodePort": 3001}]}}),
    2, Some("spec.ports[1].nodePort"))]
#[case::one_name_twice(
    json!({"spec": {"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]}}), 1, Some("spec.ports[1].name"))]
#[case::one_number_twice(
    json!({"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]}}), 1, Some("spec.ports[1].port"))]
#[case::one_number_for_two_protocols(
    json!({"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80, "protocol": "UDP"}]}}), 2, None)]
#[case::a_bad_external_address(json!({"spec": {"externalIPs": ["1.2.3"]}}), 1, Some("spec.externalIPs[0]"))]
#[case::a_link_local_external_address(
    json!({"spec": {"externalIPs": ["169.254.1.1"]}}), 1, Some("spec.externalIPs[0]"))]
#[case::a_bad_balancer_address(
    json!({"status": {"loadBalancer": {"ingress": [{"ip": "x"}]}}}), 1, Some("status.loadBalancer.ingress[0].ip"))]
#[case::an_unknown_address_mode(
    json!({"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4", "ipMode": "Tunnel"}]}}}),
    1, Some("status.loadBalancer.ingress[0].ipMode"))]
#[case::an_unknown_policy(
    json!({"spec": {"internalTrafficPolicy": "Near"}}), 1, Some("spec.internalTrafficPolicy"))]
#[case::an_unknown_affinity(json!({"spec": {"sessionAffinity": "Cookie"}}), 1, Some("spec.sessionAffinity"))]
#[case::a_bad_affinity_time(
    json!({"spec": {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90000}}}}),
    1, Some("spec.sessionAffinityConfig.clientIP.timeoutSeconds"))]
#[case::an_unknown_type(json!({"spec": {"type": "Anycast"}}), 1, Some("spec.type"))]
#[case::another_first_address(json!({"spec": {"clusterIP": "172.30.0.9"}}), 1, Some("spec.clusterIP"))]
#[case::headless_and_not(json!({"spec": {"clusterIP": "None"}}), 1, Some("spec.clusterIP"))]
#[case::the_first_address_written_otherwise(json!({"spec": {"clusterIP": "172.030.000.001"}}), 1, None)]
#[case::an_external_address_of_another_family(json!({"spec": {"externalIPs": ["fd00::1"]}}), 1, Some("spec.externalIPs[0]"))]
#[case::an_external_address_twice(
    json!({"spec": {"externalIPs": ["1.2.3.4", "1.2.3.4"]}}), 1, Some("spec.externalIPs[1]"))]
#[case::a_balancer_address_of_another_family(
    json!({"status": {"loadBalancer": {"ingress": [{"hostname": "x"}, {"ip": "fd00::1"}]}}}),
    1, Some("status.loadBalancer.ingress[1].ip"))]
#[case::an_affinity_time_without_affinity(
    json!({"spec": {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}}),
    1, Some("spec.sessionAffinityConfig.clientIP"))]
#[case::a_name_with_a_zero(json!({"metadata": {"name": "a\u{0}"}}), 0, Some("metadata.name"))]
#[case::no_name(json!({"metadata": {"name": ""}}), 0, Some("metadata.name"))]
#[case::a_port_name_that_is_none(
    json!({"spec": {"ports": [{"name": "a:b", "port": 80}, {"port": 81}]}}), 1, Some("spec.ports[0].name"))]
#[case::a_name_too_long(json!({"metadata": {"name": "x".repeat(64)}}), 0, Some("metadata.name"))]
#[case::a_bad_source_range(
    json!({"spec": {"loadBalancerSourceRanges": ["10.0.0.0/8", "10.0.0.0/33"]}}), 1, Some("spec.loadBalancerSourceRanges[1]"))]
#[case::source_ranges(json!({"spec": {"loadBalancerSourceRanges": [" 10.0.0.1/8 ", "fd00::/8", "0.0.0.0/0"]}}), 1, None)]
fn of_a_service_only_what_cannot_be_used_is_refused(
    #[case] object: Value,
    #[case] services: usize,
    #[case] field: Option<&str>,
) {
    let (left, lines) = of_service(&object);
    assert_eq!(left, services, "{lines:?}");
    match field {
        None => assert_eq!(lines, Vec::<String>::new()),
        Some(field) => {
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(
                lines[0].starts_with(&format!("Service ns/{}: {field}: ", name_of(&object).escape_debug())),
                "{lines:?}"
            );
        }
    }
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or("svc")
}

/// Rows 202 and 203 of the behaviour tables, and the labels of B-11: not served, and nothing to say about it.
#[rstest]
#[case::headless(json!({"spec": {"clusterIPs": ["None"]}}))]
#[case::without_ports(json!({"spec": {"clusterIPs": ["None"], "ports": []}}))]
#[case::no_address(json!({"spec": {"clusterIPs": [""]}}))]
#[case::a_name_only(json!({"spec": {"type": "ExternalName"}}))]
#[case::of_another_proxy(json!({"metadata": {"labels": {"service.kubernetes.io/service-proxy-name": "x"}}}))]
fn a_service_that_is_not_ours_is_passed_over_in_silence(#[case] object: Value) {
    assert_eq!(of_service(&object), (0, Vec::new()));
}

/// Found by `cargo xtask differential --seed 20`: kube-proxy 1.36 serves it.
#[test]
fn a_service_with_an_address_is_served_although_it_is_labelled_headless() {
    let labelled = json!({"metadata": {"labels": {"service.kubernetes.io/headless": ""}}});
    assert_eq!(of_service(&labelled), (1, Vec::new()));
}

fn of_slice(family: FamilyKind, slice: &Value) -> (usize, Vec<String>) {
    let mut objects = objects(&settings());
    objects.take(set_service(&service("svc", &cluster_ip(family, 1), &json!({}))));
    objects.take(set_slice(slice));
    let changes = objects.wanted().expect("changes");
    let endpoints = changes
        .services
        .values()
        .flatten()
        .map(|service| service.endpoints.len())
        .sum();
    (endpoints, objects.take_refusals())
}

/// What is wrong with the first of two endpoints: an address of the other family, or one that nothing can be sent to.
#[rstest]
#[case::text(["nonsense", "nonsense"])]
#[case::empty(["", ""])]
#[case::loopback(["127.0.0.1", "::1"])]
#[case::link_local(["169.254.0.1", "fe80::1"])]
#[case::unspecified(["0.0.0.0", "::"])]
#[case::multicast(["224.0.0.1", "ff05::1"])]
#[case::the_other_family(["fd00::1", "10.0.0.1"])]
#[case::a_service(["172.30.0.1", "fd00:172:30::1"])]
fn of_a_slice_only_the_bad_endpoint_is_refused(#[values(V4, V6)] family: FamilyKind, #[case] address: [&str; 2]) {
    let address = address[usize::from(family == V6)];
    let endpoints = [
        json!({"addresses": [address]}),
        json!({"addresses": [endpoint(family, 4)]}),
    ];
    let (left, lines) = of_slice(family, &slice("svc-1", "svc", family, &endpoints));
    assert_eq!(left, 1, "{lines:?}");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("svc-1") && lines[0].contains("endpoints"),
        "{lines:?}"
    );
}

#[rstest]
#[case::without_service(json!({"metadata": {"labels": {"kubernetes.io/service-name": ""}}}), 0, Some("metadata.labels"))]
#[case::unknown_family(json!({"addressType": "IPX"}), 0, Some("addressType"))]
#[case::names(json!({"addressType": "FQDN"}), 0, None)]
#[case::labelled_as_a_service_of_another_proxy(
    json!({"metadata": {"labels": {"service.kubernetes.io/service-proxy-name": "x"}}}), 1, None)]
#[case::labelled_headless(json!({"metadata": {"labels": {"service.kubernetes.io/headless": ""}}}), 0, None)]
#[case::port_zero(json!({"ports": [{"name": "", "port": 0}]}), 0, Some("ports[0].port"))]
#[case::no_port(json!({"ports": [{"name": ""}]}), 0, Some("ports[0].port"))]
#[case::one_bad_port(json!({"ports": [{"port": 99999}, {"port": 80}]}), 1, Some("ports[0].port"))]
#[case::bad_protocol(json!({"ports": [{"port": 80, "protocol": "QUIC"}]}), 0, Some("ports[0].protocol"))]
#[case::a_second_address(json!({"endpoints": "TWO"}), 1, Some("endpoints[0].addresses[1]"))]
fn of_a_slice_only_what_cannot_be_used_is_refused(
    #[values(V4, V6)] family: FamilyKind,
    #[case] change: Value,
    #[case] endpoints: usize,
    #[case] field: Option<&str>,
) {
    let mut object = slice("svc-1", "svc", family, &[json!({"addresses": [endpoint(family, 3)]})]);
    if change["endpoints"] == "TWO" {
        object["endpoints"] = json!([{"addresses": [endpoint(family, 3), endpoint(family, 4)]}]);
    } else {
        testing::merge(&mut object, &change);
    }
    let (left, lines) = of_slice(family, &object);
    assert_eq!(left, endpoints, "{lines:?}");
    assert_eq!(lines.len(), usize::from(field.is_some()), "{lines:?}");
    let named = field.is_none_or(|field| lines[0].starts_with(&format!("EndpointSlice ns/svc-1: {field}")));
    assert!(named, "{lines:?}");
}

/// What is wrong with a Node or a ServiceCIDR.
#[rstest]
#[case::nothing(json!({"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd00:1::/64"]}), None)]
#[case::no_network(json!({"podCIDRs": ["10.1.0.0"]}), Some("Node test-node: spec.podCIDRs[0]"))]
#[case::a_single_one(json!({"podCIDR": "10.1.0.0/99"}), Some("Node test-node: spec.podCIDR[0]"))]
#[case::two_of_a_family(json!({"podCIDRs": ["10.1.0.0/24", "10.2.0.0/24"]}), Some("Node test-node: spec.podCIDRs"))]
#[case::another_first(
    json!({"podCIDR": "10.2.0.0/24", "podCIDRs": ["10.1.0.0/24"]}), Some("Node test-node: spec.podCIDR"))]
#[case::the_world(json!({"podCIDRs": ["0.0.0.0/0"]}), Some("Node test-node: spec.podCIDRs[0]"))]
#[case::services_of_nowhere(json!({"cidrs": ["10.96.0.0/12", "x"]}), Some("ServiceCIDR test-node: spec.cidrs[1]"))]
#[case::services_of_the_world(json!({"cidrs": ["::/0"]}), Some("ServiceCIDR test-node: spec.cidrs[0]"))]
fn of_a_network_that_cannot_be_one_object_and_field_are_named(#[case] spec: Value, #[case] expected: Option<&str>) {
    let mut objects = objects(&settings());
    let object = json!({"metadata": {"name": testing::NODE}, "spec": spec});
    objects.take(if spec["cidrs"].is_null() {
        testing::set_node(&object)
    } else {
        Change::ServiceCidr(Event::Set(serde_json::from_value(object).expect("a ServiceCIDR")))
    });
    let lines = objects.take_refusals();
    assert_eq!(lines.len(), usize::from(expected.is_some()), "{lines:?}");
    assert!(
        lines
            .iter()
            .zip(expected)
            .all(|(line, begin)| line.starts_with(&format!("{begin}: "))),
        "{lines:?}"
    );
}

#[test]
fn a_refusal_is_told_once_and_again_after_it_was_mended() {
    let mut objects = objects(&settings());
    let bad = service("svc", "10.0.0.999", &json!({}));
    for _ in 0..3 {
        objects.take(set_service(&bad));
    }
    assert_eq!(objects.take_refusals().len(), 1);
    objects.take(set_service(&service("svc", &cluster_ip(V4, 1), &json!({}))));
    assert_eq!((objects.refused(), objects.take_refusals().len()), (0, 0));
    objects.take(set_service(&bad));
    assert_eq!(objects.take_refusals().len(), 1);
    objects.take(testing::service_gone(&bad));
    assert_eq!(objects.refused(), 0);
}

/// Row 214 of the behaviour tables.
#[test]
fn leading_zeros_are_decimal() {
    let mut objects = objects(&settings());
    objects.take(set_service(&service(
        "svc",
        "172.030.000.010",
        &json!({"externalIPs": ["001.002.003.004"]}),
    )));
    let changes = objects.wanted().expect("changes");
    let frontends = &testing::only(&changes).1.frontends;
    let addresses: Vec<String> = frontends.iter().map(|frontend| frontend.address.to_string()).collect();
    assert_eq!(addresses, ["1.2.3.4", "172.30.0.10"]);
}

/// Row 215 of the behaviour tables.
#[test]
fn a_change_that_changes_nothing_touches_nothing() {
    let mut objects = objects(&settings());
    let object = service("svc", &cluster_ip(V4, 1), &json!({}));
    let endpoints = slice("svc-1", "svc", V4, &[json!({"addresses": [endpoint(V4, 3)]})]);
    objects.take(set_service(&object));
    objects.take(set_slice(&endpoints));
    assert!(objects.wanted().is_some());
    objects.take(set_service(&object));
    objects.take(set_slice(&endpoints));
    assert_eq!(objects.wanted(), None);
}

#[test]
fn nothing_is_wanted_before_everything_has_been_listed() {
    let mut objects = Objects::new(&settings());
    let object = service("svc", &cluster_ip(V4, 1), &json!({}));
    let decoded = || serde_json::from_value(object.clone()).expect("a Service");
    for change in [
        Change::Service(Event::Begin),
        Change::Service(Event::Listed(decoded())),
        Change::Service(Event::End),
        Change::Node(Event::End),
        Change::Slice(Event::Begin),
        Change::ServiceCidr(Event::Unavailable),
    ] {
        objects.take(change);
        assert_eq!(objects.wanted(), None);
    }
    objects.take(Change::Slice(Event::End));
    let changes = objects.wanted().expect("everything");
    assert_eq!(changes.services.len(), 1);
    assert!(changes.complete && changes.node.is_some());
}

/// A list that replaces an earlier one takes effect at its end, all at once, and what it lacks goes.
#[test]
fn a_new_list_is_a_difference_at_its_end() {
    let mut objects = objects(&settings());
    let make = |name: &str, n: u16| service(name, &cluster_ip(V4, n), &json!({}));
    for (name, n) in [("same", 1), ("changed", 2), ("gone", 3)] {
        objects.take(set_service(&make(name, n)));
        objects.take(set_slice(&slice(
            &format!("{name}-1"),
            name,
            V4,
            &[json!({"addresses": [endpoint(V4, n)]})],
        )));
    }
    objects.wanted().expect("changes");
    let listed = |object: &Value| {
        Change::Service(Event::Listed(
            serde_json::from_value(object.clone()).expect("a Service"),
        ))
    };
    let steps = [
        Change::Service(Event::Begin),
        listed(&make("same", 1)),
        // Broken off, and begun again.
        Change::Service(Event::Begin),
        listed(&make("same", 1)),
        listed(&make("changed", 22)),
        listed(&make("new", 4)),
    ];
    for step in steps {
        objects.take(step);
        assert_eq!(objects.wanted(), None);
    }
    objects.take(Change::Service(Event::End));
    let changes = objects.wanted().expect("changes");
    let names: Vec<(&str, bool)> = changes
        .services
        .iter()
        .map(|(id, service)| (&*id.name, service.is_some()))
        .collect();
    assert_eq!(names, [("changed", true), ("gone", false), ("new", true)]);
}

#[test]
fn a_slice_that_moves_to_another_service_leaves_the_first() {
    let mut objects = objects(&settings());
    objects.take(set_service(&service("a", &cluster_ip(V4, 1), &json!({}))));
    objects.take(set_service(&service("b", &cluster_ip(V4, 2), &json!({}))));
    let endpoints = [json!({"addresses": [endpoint(V4, 3)]})];
    objects.take(set_slice(&slice("x", "a", V4, &endpoints)));
    objects.wanted().expect("changes");
    objects.take(set_slice(&slice("x", "b", V4, &endpoints)));
    let changes = objects.wanted().expect("changes");
    let counts: Vec<usize> = changes
        .services
        .values()
        .flatten()
        .map(|service| service.endpoints.len())
        .collect();
    assert_eq!(counts, [0, 1]);
}

#[test]
fn slices_may_come_before_their_service() {
    let mut objects = objects(&settings());
    objects.take(set_slice(&slice(
        "x",
        "svc",
        V6,
        &[json!({"addresses": [endpoint(V6, 3)]})],
    )));
    assert_eq!(objects.wanted().expect("the node").services.len(), 0);
    objects.take(set_service(&service("svc", &cluster_ip(V6, 1), &json!({}))));
    let changes = objects.wanted().expect("changes");
    assert_eq!(testing::only(&changes).1.endpoints.len(), 1);
}

/// Any JSON, with the words of the API in it.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "TCP",
        "Local",
        "ClientIP",
        "IPv4",
        "10.0.0.1",
        "fd00::1",
        "None",
        "10.0.0.0/8",
        "VIP",
        "a",
        "",
        "\u{0}é",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    let field = prop::sample::select(vec![
        "metadata",
        "name",
        "namespace",
        "labels",
        "kubernetes.io/service-name",
        "creationTimestamp",
        "spec",
        "status",
        "clusterIP",
        "clusterIPs",
        "externalIPs",
        "ports",
        "port",
        "nodePort",
        "protocol",
        "type",
        "addressType",
        "endpoints",
        "addresses",
        "conditions",
        "ready",
        "hints",
        "forZones",
        "loadBalancer",
        "ingress",
        "ip",
        "sessionAffinity",
        "internalTrafficPolicy",
        "podCIDRs",
        "address",
        "cidrs",
        "nodeName",
        "key",
        "taints",
    ]);
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((field.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().map(|(f, v)| (f.to_owned(), v)).collect())),
        ]
    })
}

/// An object with some of its fields replaced by anything.
fn spoilt() -> impl Strategy<Value = Value> {
    let whole = json!({
        "metadata": {"namespace": "ns", "name": "svc", "labels": {"kubernetes.io/service-name": "svc"}},
        "spec": {
            "clusterIPs": ["10.0.0.1", "fd00::1"], "ports": [{"port": 80, "nodePort": 30000}],
            "externalIPs": ["1.2.3.4"], "podCIDRs": ["10.0.0.0/8"], "cidrs": ["10.0.0.0/8"], "sessionAffinity": "ClientIP"
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "5.6.7.8"}]}, "addresses": [{"type": "InternalIP", "address": "1.1.1.1"}]},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.7"], "hints": {"forZones": [{"name": "a"}]}}],
        "ports": [{"port": 80}],
    });
    any_json().prop_map(move |change| {
        let mut object = whole.clone();
        testing::merge(&mut object, &change);
        object
    })
}

proptest! {
    #[test]
    fn no_object_makes_the_stages_panic(spoilt in prop::collection::vec((0u8..8, spoilt()), 1..8)) {
        let mut objects = objects(&settings());
        for (what, object) in spoilt {
            fn change<T: serde::de::DeserializeOwned>(object: Value, wrap: fn(Event<T>) -> Change, gone: bool) -> Option<Change> {
                let object = serde_json::from_value(object).ok()?;
                Some(wrap(if gone { Event::Gone(object) } else { Event::Set(object) }))
            }
            let gone = what >= 4;
            let change = match what % 4 {
                0 => change(object, Change::Service, gone),
                1 => change(object, Change::Slice, gone),
                2 => change(object, Change::Node, gone),
                _ => change(object, Change::ServiceCidr, gone),
            };
            if let Some(change) = change {
                objects.take(change);
                objects.wanted();
            }
        }
    }
}
