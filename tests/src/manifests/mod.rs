//! Manifests of Services, EndpointSlices and Nodes, and the folder an agent reads them from.

mod folder;
mod service;

use serde_json::{Value, json};

use crate::cluster::Node;
use crate::plan::{Dual, Ip};

pub use folder::Folder;
pub use service::{Backend, Protocol, Service};

/// The Node object of a node, in zone `zone-LABEL`.
pub fn node(node: &Node) -> Value {
    let (address, network) = (node.address(), node.pod_network());
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.label(),
            "uid": format!("uid-{}", node.label()),
            "labels": {
                "kubernetes.io/hostname": node.label(),
                "topology.kubernetes.io/zone": format!("zone-{}", node.label()),
            },
        },
        "spec": {
            "podCIDR": format!("{}/24", network.v4),
            "podCIDRs": [format!("{}/24", network.v4), format!("{}/64", network.v6)],
        },
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": address.v4 },
                { "type": "InternalIP", "address": address.v6 },
                { "type": "Hostname", "address": node.label() },
            ],
            "conditions": [{ "type": "Ready", "status": "True" }],
        },
    })
}

/// How the API writes an IP version.
fn family(ip: Ip) -> &'static str {
    match ip {
        Ip::V4 => "IPv4",
        Ip::V6 => "IPv6",
    }
}

/// Both addresses, IPv4 first, as the API lists them.
fn both(address: &Dual) -> [String; 2] {
    [address.v4.to_string(), address.v6.to_string()]
}
