//! Objects with anything in their fields beside good ones: nothing panics, and the good ones are served as if they were
//! alone.

use std::collections::BTreeMap;

use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use crate::{
    agent::Objects,
    desired::{DesiredService, FamilyKind, ServicePortId},
    testing::{self, NODE, cluster_ip, endpoint, external, node_in, objects, set_node, settings},
    watch::{Change, Event},
};

use FamilyKind::{V4, V6};

/// Services of every shape, with their slices, older than whatever comes.
fn good() -> Vec<(Value, Vec<Value>)> {
    let mut plain = testing::service("good-v4", &cluster_ip(V4, 1), &json!({}));
    let mut single = testing::service("good-v6", &cluster_ip(V6, 2), &json!({"sessionAffinity": "ClientIP"}));
    let spec = json!({
        "clusterIPs": [cluster_ip(V4, 3), cluster_ip(V6, 3)],
        "ports": [
            {"name": "web", "port": 80, "nodePort": 30_080},
            {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30_053},
        ],
        "externalIPs": [external(V4, 1), external(V6, 1)],
        "externalTrafficPolicy": "Local",
    });
    let mut dual = testing::service("good-dual", &cluster_ip(V4, 3), &spec);
    dual["status"] = json!({"loadBalancer": {"ingress": [{"ip": external(V4, 2)}, {"ip": external(V6, 2)}]}});
    let mut empty = testing::service("good-empty", &cluster_ip(V4, 4), &json!({}));
    for service in [&mut plain, &mut single, &mut dual, &mut empty] {
        service["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
    }
    let ports = json!([{"name": "web", "port": 8080}, {"name": "dns", "port": 5353, "protocol": "UDP"}]);
    let of_dual = [V4, V6].map(|family| {
        let mut slice = a_slice("good-dual", family, 3);
        slice["ports"] = ports.clone();
        slice
    });
    vec![
        (plain, vec![a_slice("good-v4", V4, 1)]),
        (single, vec![a_slice("good-v6", V6, 2)]),
        (dual, of_dual.into()),
        (empty, Vec::new()),
    ]
}

/// A slice with two endpoints, one of them on this node.
fn a_slice(of: &str, family: FamilyKind, n: u16) -> Value {
    let endpoints = [
        json!({"addresses": [endpoint(family, 2 * n)], "nodeName": NODE}),
        json!({"addresses": [endpoint(family, 2 * n + 1)], "conditions": {"ready": true}}),
    ];
    testing::slice(&format!("{of}-{family:?}"), of, family, &endpoints)
}

/// An object of one kind with every field that is read.
fn whole(kind: Kind) -> Value {
    match kind {
        Kind::Service => json!({
            "metadata": {
                "namespace": "ns", "name": "bad", "uid": "u", "creationTimestamp": "2024-01-01T00:00:00Z",
                "labels": {"app": "bad"}, "annotations": {},
            },
            "spec": {
                "type": "LoadBalancer", "clusterIP": cluster_ip(V4, 90), "clusterIPs": [cluster_ip(V4, 90), cluster_ip(V6, 90)],
                "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack",
                "externalIPs": [external(V4, 90)], "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster",
                "allocateLoadBalancerNodePorts": true, "healthCheckNodePort": 30_091, "publishNotReadyAddresses": false,
                "loadBalancerIP": external(V4, 91), "loadBalancerSourceRanges": ["10.0.0.0/8"], "loadBalancerClass": "x",
                "ports": [
                    {"name": "web", "port": 80, "protocol": "TCP", "nodePort": 30_090, "targetPort": 8080, "appProtocol": "http"},
                    {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30_092},
                ],
                "selector": {"app": "bad"}, "trafficDistribution": "PreferClose",
                "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            },
            "status": {"loadBalancer": {"ingress": [
                {"ip": external(V4, 91), "ipMode": "VIP", "ports": []}, {"hostname": "balancer.example"},
            ]}},
        }),
        Kind::Slice => json!({
            "metadata": {
                "namespace": "ns", "name": "bad-1", "labels": {"kubernetes.io/service-name": "bad"},
                "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2024-01-01T00:00:00Z"},
            },
            "addressType": "IPv4",
            "endpoints": [{
                "addresses": [endpoint(V4, 200)], "nodeName": NODE, "zone": "a", "hostname": "h",
                "conditions": {"ready": true, "serving": true, "terminating": false},
                "hints": {"forZones": [{"name": "a"}], "forNodes": [{"name": NODE}]},
                "targetRef": {"kind": "Pod", "name": "p"},
            }],
            "ports": [{"name": "web", "port": 8080, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}],
        }),
        Kind::Node => json!({
            "metadata": {"name": NODE, "labels": {"topology.kubernetes.io/zone": "a"}, "deletionTimestamp": null},
            "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd00:1::/64"], "taints": [{"key": "k"}]},
            "status": {"addresses": [{"type": "InternalIP", "address": "192.168.0.2"}]},
        }),
        Kind::ServiceCidr => json!({
            "metadata": {"name": "bad"},
            "spec": {"cidrs": ["172.30.0.0/16", "fd00:172:30::/112"]},
        }),
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Service,
    Slice,
    Node,
    ServiceCidr,
}

/// Something that may stand in a field: wrong, huge, or what belongs to a good object.
fn anything() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(vec![
        "",
        " ",
        "None",
        "TCP",
        "UDP",
        "QUIC",
        "Local",
        "ClientIP",
        "ExternalName",
        "IPv4",
        "IPv6",
        "FQDN",
        "Proxy",
        "Tunnel",
        "0.0.0.0",
        "::",
        "127.0.0.1",
        "::1",
        "224.0.0.1",
        "255.255.255.255",
        "169.254.0.1",
        "fe80::1",
        "::ffff:172.30.0.1",
        "010.001.002.002",
        "10.1.2.300",
        "1.2.3",
        "fd00::g",
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/33",
        "10.0.0.0/8",
        "-1/8",
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2024-13-01T00:00:00Z",
        "yesterday",
        "a b",
        "a/b",
        "a\0",
        "a\nb",
        "\u{1F980}",
        "ns",
        "zone-a",
    ]);
    let n = 1u16..6;
    let number = prop::sample::select(vec![
        0,
        1,
        -1,
        53,
        80,
        8080,
        30_053,
        30_080,
        65_535,
        65_536,
        i64::MIN,
        i64::MAX,
    ]);
    let leaf = prop_oneof![
        2 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        4 => number.prop_map(Value::from),
        1 => any::<f64>().prop_map(|number| json!(number)),
        8 => text.prop_map(Value::from),
        2 => any::<String>().prop_map(Value::from),
        1 => (1usize..70_000).prop_map(|length| Value::from("x".repeat(length))),
        2 => (any::<bool>(), n.clone()).prop_map(|(v6, n)| json!(endpoint(family(v6), 2 * n))),
        2 => (any::<bool>(), n.clone()).prop_map(|(v6, n)| json!(cluster_ip(family(v6), n))),
        2 => (any::<bool>(), n).prop_map(|(v6, n)| json!(external(family(v6), n))),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,8}", inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

const fn family(v6: bool) -> FamilyKind {
    if v6 { V6 } else { V4 }
}

/// What is done to one place of an object.
#[derive(Clone, Debug)]
enum Spoil {
    Replace(Value),
    Remove,
    /// Items of a list, or the value as a list, so many times.
    Repeat(usize),
    /// A second item beside those of a list.
    Add(Value),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    prop_oneof![
        6 => anything().prop_map(Spoil::Replace),
        1 => Just(Spoil::Remove),
        1 => (2usize..600).prop_map(Spoil::Repeat),
        2 => anything().prop_map(Spoil::Add),
    ]
}

/// The places of an object, deepest last, as JSON pointers.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    let mut inner = |name: &str, value: &Value| {
        let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        all.push(place.clone());
        places(value, &place, all);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| inner(name, value)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| inner(&index.to_string(), value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn apply(object: &mut Value, place: &Index, spoil: Spoil) {
    let mut all = Vec::new();
    places(object, "", &mut all);
    if all.is_empty() {
        return;
    }
    let place = place.get(&all);
    let Some(value) = object.pointer_mut(place) else {
        return;
    };
    match spoil {
        Spoil::Replace(with) => *value = with,
        Spoil::Remove => *value = Value::Null,
        Spoil::Repeat(times) => {
            let items = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            *value = items.into_iter().cycle().take(times).collect();
        }
        Spoil::Add(item) => match value {
            Value::Array(items) => items.push(item),
            Value::Object(fields) => fields.extend([("more".to_owned(), item)]),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => *value = json!([value, item]),
        },
    }
}

/// An object of some kind of which up to three places are spoilt.
fn bad() -> impl Strategy<Value = (Kind, Value)> {
    let kind = prop_oneof![
        6 => Just(Kind::Service),
        4 => Just(Kind::Slice),
        1 => Just(Kind::Node),
        1 => Just(Kind::ServiceCidr),
    ];
    (kind, prop::collection::vec((any::<Index>(), spoil()), 1..4)).prop_map(|(kind, spoils)| {
        let mut object = whole(kind);
        for (place, spoil) in spoils {
            apply(&mut object, &place, spoil);
        }
        (kind, object)
    })
}

/// An address of a good object.
fn address() -> impl Strategy<Value = String> {
    (any::<bool>(), 0u8..3, 1u16..6).prop_map(|(v6, kind, n)| match kind {
        0 => endpoint(family(v6), n + 1),
        1 => cluster_ip(family(v6), n),
        _ => external(family(v6), n),
    })
}

/// A Service in which nothing is wrong but that it wants what good ones have.
fn greedy() -> impl Strategy<Value = (Kind, Value)> {
    let addresses = || prop::collection::vec(address(), 0..4);
    let node_port = prop::sample::select(vec![30_080, 30_053]);
    (address(), addresses(), addresses(), node_port).prop_map(|(cluster_ip, external, balancer, node_port)| {
        let mut object = whole(Kind::Service);
        object["spec"]["clusterIP"] = json!(cluster_ip);
        object["spec"]["clusterIPs"] = json!([cluster_ip]);
        object["spec"]["externalIPs"] = json!(external);
        object["spec"]["ports"][0]["nodePort"] = json!(node_port);
        object["spec"]["ports"][1]["nodePort"] = json!(node_port);
        let ingress: Vec<Value> = balancer.iter().map(|ip| json!({"ip": ip})).collect();
        object["status"]["loadBalancer"]["ingress"] = json!(ingress);
        (Kind::Service, object)
    })
}

/// A change, if the object has the types that the API server and the reader of manifests make sure of. A good object is
/// not replaced by the bad one, nor made older than it is.
fn change((kind, object): &(Kind, Value)) -> Option<Change> {
    fn read<T: serde::de::DeserializeOwned>(object: &Value, wrap: fn(Event<T>) -> Change) -> Option<Change> {
        serde_json::from_value(object.clone())
            .ok()
            .map(|object| wrap(Event::Set(object)))
    }
    let created = object["metadata"]["creationTimestamp"].as_str().unwrap_or("9");
    // The cluster gives ClusterIPs from networks of their own; one that is somebody's external address has the better claim.
    let spec = &object["spec"];
    let claimed = format!("{}{}", spec["clusterIP"], spec["clusterIPs"]);
    if created < "2021" || claimed.contains("192.168.99.") || claimed.contains("2001:db8:99:") {
        return None;
    }
    match kind {
        Kind::Service => read(object, Change::Service),
        Kind::Slice => read(object, Change::Slice),
        Kind::Node => read(object, Change::Node),
        Kind::ServiceCidr => read(object, Change::ServiceCidr),
    }
}

type Wanted = BTreeMap<ServicePortId, DesiredService>;

/// What is wanted after all passes.
fn wanted(objects: &mut Objects, all: &mut Wanted) {
    while let Some(changes) = objects.wanted() {
        for (id, service) in changes.services {
            match service {
                Some(service) => all.insert(id, service),
                None => all.remove(&id),
            };
        }
    }
}

fn take_good(objects: &mut Objects) {
    objects.take(set_node(&node_in(Some("a"))));
    for (service, slices) in good() {
        slices.iter().for_each(|slice| objects.take(testing::set_slice(slice)));
        objects.take(testing::set_service(&service));
    }
}

proptest! {
    #[test]
    fn a_bad_object_harms_no_service_but_its_own(
        bad in prop::collection::vec(prop_oneof![4 => bad(), 1 => greedy()], 1..3),
        first in any::<bool>(),
    ) {
        let (mut alone, mut expected) = (objects(&settings()), Wanted::new());
        take_good(&mut alone);
        wanted(&mut alone, &mut expected);
        prop_assert_eq!(alone.refused(), 0);

        let (mut beside, mut found) = (objects(&settings()), Wanted::new());
        if !first {
            take_good(&mut beside);
            wanted(&mut beside, &mut found);
        }
        let mut read = 0;
        for change in bad.iter().filter_map(change) {
            beside.take(change);
            read += 1;
        }
        if first {
            take_good(&mut beside);
        }
        wanted(&mut beside, &mut found);
        found.retain(|id, _| id.name.starts_with("good-"));
        prop_assert_eq!(&found, &expected);

        let complaints = beside.take_complaints();
        prop_assert!(complaints.len() <= 64 * read, "{complaints:?}");
        for complaint in &complaints {
            let (line, pattern) = (complaint.to_string(), complaint.pattern());
            prop_assert!(!line.contains('\n') && !complaint.name.name.starts_with("good-"), "{line}");
            prop_assert!(pattern.len() < 70 && !pattern.contains(|c: char| c.is_ascii_digit()), "{pattern}");
        }
    }
}
