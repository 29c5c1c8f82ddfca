//! Pods that are hosts of the nodes' segment: each has a macvlan device on the uplink, and what it sends does not pass the
//! node's stack.
//!
//! Between the uplink and the devices on it the kernel carries nothing, so the node has one of these too, as such networks
//! do: there it is the neighbour of its own pods, and of nobody else.

use anyhow::Result;

use super::wire::{addresses, default_routes};
use crate::netns::NetNs;
use crate::plan::{self, Dual};

/// The node's own device among those of its pods.
pub(super) const DEVICE: &str = "shim0";
/// What all of them are on.
const UPLINK: &str = "eth0";

/// The node's side: to be done when its uplink is up.
pub(super) fn node(node: &NetNs, number: usize) -> Result<()> {
    // An address is answered for by the device that has it; otherwise both would for the node's own.
    node.sysctls(&[("net/ipv4/conf/all/arp_ignore", "1")])?;
    let own = addresses(DEVICE, plan::in_pod_network(number, 1), 24, 64);
    node.ip(&format!(
        "link add {DEVICE} link {UPLINK} type macvlan mode bridge\n{own}"
    ))
}

/// A pod's link, addresses and routes.
pub(super) fn pod(node: &NetNs, pod: &NetNs, number: usize, address: Dual) -> Result<()> {
    let beside = pod.name();
    node.ip(&format!(
        "link add link {UPLINK} name eth0 netns {beside} type macvlan mode bridge\n"
    ))?;
    let (of_node, node_as_neighbour) = (plan::node(number), plan::in_pod_network(number, 1));
    let segment = plan::in_nodes_network(0);
    let routes = format!(
        "route add {}/24 dev eth0\nroute add {}/64 dev eth0\n\
         route add {}/32 via {}\nroute add {}/128 via {}\n",
        segment.v4, segment.v6, of_node.v4, node_as_neighbour.v4, of_node.v6, node_as_neighbour.v6
    );
    pod.ip(&(addresses("eth0", address, 24, 64) + &routes + &default_routes(plan::router())))
}
