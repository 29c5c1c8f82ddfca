//! For tests of the pure stages: objects written short, and the stages behind them.

use std::{collections::BTreeSet, net::IpAddr};

use serde_json::{Value, json};

use crate::{
    agent::Objects,
    desired::{Changes, DesiredService, FamilyKind, ProxyMode, ServicePortId, Views},
    settings::{DetectSettings, NodePortSettings, NodeSettings},
    watch::{Change, Event},
};

/// The name of the node on which tests take place.
pub(crate) const NODE: &str = "test-node";

/// Settings as they are without a configuration file.
pub(crate) fn settings() -> NodeSettings {
    NodeSettings {
        name: NODE.to_owned(),
        mode: ProxyMode::Nftables,
        bind_address: None,
        detect: DetectSettings::default(),
        node_ports: NodePortSettings::default(),
        masquerade_all: false,
    }
}

/// The address of an endpoint: `10.1.2.n`, `fd00:1:2::n`.
pub(crate) fn endpoint(family: FamilyKind, n: u16) -> String {
    match family {
        FamilyKind::V4 => format!("10.1.{}.{}", 2 + n / 256, n % 256),
        FamilyKind::V6 => format!("fd00:1:2::{n:x}"),
    }
}

/// A ClusterIP: `172.30.0.n`, `fd00:172:30::n`.
pub(crate) fn cluster_ip(family: FamilyKind, n: u16) -> String {
    match family {
        FamilyKind::V4 => format!("172.30.{}.{}", n / 256, n % 256),
        FamilyKind::V6 => format!("fd00:172:30::{n:x}"),
    }
}

/// An external address: `192.168.99.n`, `2001:db8:99::n`.
pub(crate) fn external(family: FamilyKind, n: u16) -> String {
    match family {
        FamilyKind::V4 => format!("192.168.99.{n}"),
        FamilyKind::V6 => format!("2001:db8:99::{n:x}"),
    }
}

/// A Service `ns/name` with one ClusterIP and a TCP port 80; `more` is merged into its `spec`.
pub(crate) fn service(name: &str, address: &str, more: &Value) -> Value {
    let mut spec = json!({"clusterIPs": [address], "ports": [{"port": 80, "protocol": "TCP"}]});
    merge(&mut spec, more);
    json!({"metadata": {"namespace": "ns", "name": name}, "spec": spec})
}

/// A slice `ns/name` of a Service with an unnamed TCP port 8080.
pub(crate) fn slice(name: &str, of: &str, family: FamilyKind, endpoints: &[Value]) -> Value {
    json!({
        "metadata": {"namespace": "ns", "name": name, "labels": {"kubernetes.io/service-name": of}},
        "addressType": match family { FamilyKind::V4 => "IPv4", FamilyKind::V6 => "IPv6" },
        "endpoints": endpoints,
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
    })
}

/// Adds the fields of `from` to `into`.
pub(crate) fn merge(into: &mut Value, from: &Value) {
    if let (Value::Object(into), Value::Object(from)) = (&mut *into, from) {
        for (field, value) in from {
            merge(into.entry(field).or_insert(Value::Null), value);
        }
    } else if !from.is_null() {
        into.clone_from(from);
    }
}

/// The stages up to what is wanted, everything listed and empty.
pub(crate) fn objects(settings: &NodeSettings) -> Objects {
    let mut objects = Objects::new(settings);
    for change in [
        Change::Service(Event::End),
        Change::Slice(Event::End),
        Change::Node(Event::End),
        Change::ServiceCidr(Event::End),
    ] {
        objects.take(change);
    }
    objects
}

/// A Service is new or has changed.
pub(crate) fn set_service(service: &Value) -> Change {
    Change::Service(Event::Set(decode(service)))
}

/// A Service is gone.
pub(crate) fn service_gone(service: &Value) -> Change {
    Change::Service(Event::Gone(decode(service)))
}

/// A slice is new or has changed.
pub(crate) fn set_slice(slice: &Value) -> Change {
    Change::Slice(Event::Set(decode(slice)))
}

/// A slice is gone.
pub(crate) fn slice_gone(slice: &Value) -> Change {
    Change::Slice(Event::Gone(decode(slice)))
}

/// The Node is new or has changed.
pub(crate) fn set_node(node: &Value) -> Change {
    Change::Node(Event::Set(decode(node)))
}

/// A Node of this name with a zone.
pub(crate) fn node_in(zone: Option<&str>) -> Value {
    let labels = zone.map(|zone| json!({"topology.kubernetes.io/zone": zone}));
    json!({"metadata": {"name": NODE, "labels": labels}})
}

/// A Node of this name with internal addresses.
pub(crate) fn node_at(addresses: &[&str]) -> Value {
    let internal = |address: &&str| json!({"type": "InternalIP", "address": address});
    let addresses: Vec<Value> = addresses.iter().map(internal).collect();
    json!({"metadata": {"name": NODE}, "status": {"addresses": addresses}})
}

fn decode<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("an object of a test can be decoded")
}

/// The only service of a pass.
pub(crate) fn only(changes: &Changes) -> (&ServicePortId, &DesiredService) {
    let mut present = changes
        .services
        .iter()
        .filter_map(|(id, service)| Some((id, service.as_ref()?)));
    let first = present.next().expect("a service");
    assert_eq!(present.next(), None);
    first
}

/// The addresses of a service's endpoints that one of two views has, sorted.
pub(crate) fn view(service: &DesiredService, local: bool) -> BTreeSet<IpAddr> {
    let other = if local { Views::LocalOnly } else { Views::ClusterOnly };
    let wanted = service
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.views == Views::Both || endpoint.views == other);
    wanted.map(|endpoint| endpoint.address).collect()
}
