//! Services and EndpointSlices by number.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

/// What Services are dialled at.
pub(crate) const PORT: u16 = 80;
const TARGET: u16 = 8080;

/// The cluster address of Service `n`: the cluster network's second quarter, which a server gives nobody by itself
/// before the first is full.
pub(crate) fn cluster_ip(n: usize) -> Ipv4Addr {
    numbered(Ipv4Addr::new(10, 100, 0, 0), n)
}

/// Service `n` and its slice.
pub(crate) fn service(n: usize, endpoints: usize) -> [Value; 2] {
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name(n), "namespace": "default", "labels": { "app": name(n) } },
        "spec": {
            "clusterIP": cluster_ip(n),
            "ports": [{ "name": "http", "protocol": "TCP", "port": PORT, "targetPort": TARGET }],
        },
    });
    [service, slice(n, endpoints, 0)]
}

/// The slice of Service `n`, after so many changes.
pub(crate) fn slice(n: usize, endpoints: usize, changes: usize) -> Value {
    // The last endpoint is another one after each change.
    let address = |i: usize| match i + 1 == endpoints {
        true => numbered(Ipv4Addr::new(10, 160, 0, 0), n * 16 + changes),
        false => numbered(Ipv4Addr::new(10, 128, 0, 0), n * endpoints + i),
    };
    let endpoint = |i| {
        json!({
            "addresses": [address(i)],
            "conditions": { "ready": true, "serving": true, "terminating": false },
            "nodeName": "node-a",
            "targetRef": { "kind": "Pod", "name": format!("{}-{i}", name(n)), "namespace": "default" },
            "zone": "zone-a",
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{}-v4", name(n)),
            "namespace": "default",
            "labels": { "kubernetes.io/service-name": name(n), "app": name(n) },
        },
        "addressType": "IPv4",
        "ports": [{ "name": "http", "protocol": "TCP", "port": TARGET }],
        "endpoints": (0..endpoints).map(endpoint).collect::<Vec<_>>(),
    })
}

fn name(n: usize) -> String {
    format!("service-{n:05}")
}

/// The `n`th address after `first`.
fn numbered(first: Ipv4Addr, n: usize) -> Ipv4Addr {
    let n = u32::try_from(n).unwrap_or(u32::MAX);
    Ipv4Addr::from(u32::from(first).saturating_add(n))
}
