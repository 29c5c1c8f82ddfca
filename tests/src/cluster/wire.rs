//! The `ip` commands that make the network.

use anyhow::{Context, Result};

use super::build::{Between, NodePlan, PodNetwork, Uplink};
use super::macvlan;
use crate::netns::NetNs;
use crate::plan::{self, Dual};
use crate::tool;

/// An Ethernet MTU less what VXLAN over IPv4 adds.
pub(super) const VXLAN_MTU: u32 = 1450;

/// An Ethernet MTU less an IPv4 header.
pub(super) const TUNNEL_MTU: u32 = 1480;

/// The bond of a node whose uplink is a member of it.
const BOND: &str = "bond0";

/// The hardware address of the host's end of every routed veth, as a well-known CNI does it: its link-local address is
/// then the same on each.
const ROUTED_MAC: &str = "ee:ee:ee:ee:ee:ee";
const ROUTED_GATEWAY_V4: &str = "169.254.1.1";
const ROUTED_GATEWAY_V6: &str = "fe80::ecee:eeff:feee:eeee";

/// The bridge of a node, also when it has no pods in it.
const BRIDGE: &str = "cni0";

/// A veth pair between two namespaces.
fn veth(left: &NetNs, left_name: &str, right: &NetNs, right_name: &str) -> Result<()> {
    let (left, right) = (left.name(), right.name());
    let line = format!("link add {left_name} netns {left} type veth peer name {right_name} netns {right}");
    let arguments: Vec<&str> = line.split(' ').collect();
    tool::run("ip", &arguments).map(drop)
}

fn forwarding(netns: &NetNs) -> Result<()> {
    netns.sysctls(&[("net/ipv4/ip_forward", "1"), ("net/ipv6/conf/all/forwarding", "1")])
}

/// The router: a bridge as the nodes' network, and the routes to what the nodes hold.
pub(super) fn router(router: &NetNs, nodes: &[NodePlan]) -> Result<()> {
    forwarding(router)?;
    let own = plan::router();
    let mut lines = format!(
        "link add br0 type bridge\n\
         link set br0 up\n\
         addr add {}/24 dev br0\n\
         addr add {}/64 dev br0 nodad\n",
        own.v4, own.v6
    );
    for (number, plan) in nodes.iter().enumerate() {
        lines += &routes_to_pods(number, plan, "br0");
    }
    let first = plan::node(0);
    lines += &format!("route add 198.51.100.0/24 via {} dev br0\n", first.v4);
    lines += &format!("route add 2001:db8:1b::/64 via {} dev br0\n", first.v6);
    router.ip(&lines)
}

/// Routes to the pods of node `number` through `via`.
fn pod_routes(number: usize, via: Dual, device: &str) -> String {
    let network = plan::in_pod_network(number, 0);
    format!(
        "route add {}/24 via {} dev {device} onlink\nroute add {}/64 via {} dev {device} onlink\n",
        network.v4, via.v4, network.v6, via.v6
    )
}

/// Routes to the pods of node `number`: through the node, or straight to them where they are its neighbours.
fn routes_to_pods(number: usize, plan: &NodePlan, device: &str) -> String {
    match plan.network {
        PodNetwork::Bridge | PodNetwork::Routed => pod_routes(number, plan::node(number), device),
        PodNetwork::Macvlan => {
            let network = plan::in_pod_network(number, 0);
            format!(
                "route add {}/24 dev {device}\nroute add {}/64 dev {device}\n",
                network.v4, network.v6
            )
        }
    }
}

/// Routes to a network through `via`; `more` ends each line.
pub(super) fn routes_via(via: Dual, network: Dual, lengths: (u8, u8), more: &str) -> String {
    format!(
        "route add {}/{} via {} {more}\nroute add {}/{} via {} {more}\n",
        network.v4, lengths.0, via.v4, network.v6, lengths.1, via.v6
    )
}

/// The node's device that a pod's first hop is.
pub(super) fn gateway_device<'a>(plan: &NodePlan, host_device: &'a str) -> &'a str {
    match plan.network {
        PodNetwork::Bridge => BRIDGE,
        PodNetwork::Routed => host_device,
        PodNetwork::Macvlan => macvlan::DEVICE,
    }
}

/// The client outside, behind the router.
pub(super) fn client(client: &NetNs, router: &NetNs) -> Result<()> {
    veth(client, "eth0", router, "client")?;
    let (own, gateway) = (plan::outside(2), plan::outside(1));
    router.ip(&addresses("client", gateway, 24, 64))?;
    client.ip(&(addresses("eth0", own, 24, 64) + &default_routes(gateway)))
}

pub(super) fn addresses(device: &str, own: Dual, v4_length: u8, v6_length: u8) -> String {
    format!(
        "link set {device} up\n\
         addr add {}/{v4_length} dev {device}\n\
         addr add {}/{v6_length} dev {device} nodad\n",
        own.v4, own.v6
    )
}

pub(super) fn default_routes(gateway: Dual) -> String {
    format!(
        "route add default via {}\nroute add default via {}\n",
        gateway.v4, gateway.v6
    )
}

/// A node's own settings, its uplink, and its bridge where it has one.
pub(super) fn node(node: &NetNs, router: &NetNs, number: usize, plan: &NodePlan) -> Result<()> {
    forwarding(node)?;
    let rp_filter = plan.rp_filter.to_string();
    node.sysctls(&[
        ("net/ipv4/conf/all/rp_filter", &rp_filter),
        ("net/ipv4/conf/default/rp_filter", &rp_filter),
    ])?;
    bridge_netfilter(node, plan.bridge_netfilter)?;
    let port = format!("node{number}");
    veth(node, "eth0", router, &port)?;
    router.ip(&format!("link set {port} master br0 up"))?;

    let mut lines = String::new();
    if plan.network == PodNetwork::Bridge || plan.uplink == Uplink::BridgePort {
        lines += &format!("link add {BRIDGE} mtu {} type bridge\n", plan.mtu);
    }
    if plan.network == PodNetwork::Bridge {
        lines += &addresses(BRIDGE, plan::in_pod_network(number, 1), 24, 64);
    }
    lines += &uplink(plan.uplink, plan::node(number));
    node.ip(&(lines + &default_routes(plan::router())))?;
    if plan.network == PodNetwork::Macvlan {
        macvlan::node(node, number)?;
    }
    if plan.conntrack {
        track_connections(node)?;
    }
    Ok(())
}

/// The uplink, and where the node's own address is.
fn uplink(uplink: Uplink, own: Dual) -> String {
    match uplink {
        Uplink::Direct => addresses("eth0", own, 24, 64),
        Uplink::BridgePort => format!("link set eth0 master {BRIDGE} up\n") + &addresses(BRIDGE, own, 24, 64),
        Uplink::Bond => {
            format!(
                "link add {BOND} type bond mode active-backup\nlink set eth0 down\n\
                 link set eth0 master {BOND}\n"
            ) + &addresses(BOND, own, 24, 64)
        }
    }
}

/// Bridged packets through the hooks of IP, or not; the module behind it is loaded when it is wanted.
fn bridge_netfilter(node: &NetNs, on: bool) -> Result<()> {
    let value = if on { "1" } else { "0" };
    let settings = [
        ("net/bridge/bridge-nf-call-iptables", value),
        ("net/bridge/bridge-nf-call-ip6tables", value),
    ];
    match node.sysctls(&settings) {
        Err(_) if !on => Ok(()),
        Err(_) => {
            tool::run("modprobe", &["br_netfilter"])?;
            node.sysctls(&settings)
        }
        done @ Ok(()) => done,
    }
}

/// A rule that looks at a connection's state makes the kernel track all of them.
fn track_connections(node: &NetNs) -> Result<()> {
    node.tool(
        "nft",
        &[
            "add table inet tracked; add chain inet tracked forward { type filter hook forward priority 0; }; \
           add rule inet tracked forward ct state established,related,new counter accept",
        ],
    )
    .map(drop)
}

/// The way from node `number` to the pods of every other node.
pub(super) fn between(node: &NetNs, number: usize, nodes: &[NodePlan], between: Between) -> Result<()> {
    let others = (0..nodes.len()).filter(|other| *other != number);
    let device = match nodes[number].uplink {
        Uplink::Direct => "eth0",
        Uplink::BridgePort => BRIDGE,
        Uplink::Bond => BOND,
    };
    match between {
        Between::Routes => node.ip(&others
            .map(|other| routes_to_pods(other, &nodes[other], device))
            .collect::<String>()),
        Between::Vxlan => vxlan(node, number, others.collect()),
        Between::Tunnels => others.into_iter().try_for_each(|other| tunnels(node, number, other)),
    }
}

fn tunnels(node: &NetNs, number: usize, other: usize) -> Result<()> {
    let (local, remote) = (plan::node(number).v4, plan::node(other).v4);
    let network = plan::in_pod_network(other, 0);
    node.ip(&format!(
        "link add four{other} type ipip local {local} remote {remote} ttl 64\n\
         link add six{other} type sit local {local} remote {remote} ttl 64\n\
         link set four{other} up\nlink set six{other} up\n\
         route add {}/24 dev four{other}\nroute add {}/64 dev six{other}\n",
        network.v4, network.v6
    ))
}

fn vxlan_mac(number: usize) -> String {
    format!("02:00:00:00:ff:{:02x}", number + 1)
}

fn vxlan(node: &NetNs, number: usize, others: Vec<usize>) -> Result<()> {
    let (local, own) = (plan::node(number), plan::in_pod_network(number, 0));
    let mac = vxlan_mac(number);
    let mut lines = format!(
        "link add vxlan0 address {mac} mtu {VXLAN_MTU} type vxlan id 1 dstport 8472 local {} nolearning\n",
        local.v4
    );
    lines += &addresses("vxlan0", own, 32, 128);
    for &other in &others {
        let (mac, inner) = (vxlan_mac(other), plan::in_pod_network(other, 0));
        lines += &format!("neigh replace {} lladdr {mac} dev vxlan0 nud permanent\n", inner.v4);
        lines += &format!("neigh replace {} lladdr {mac} dev vxlan0 nud permanent\n", inner.v6);
        lines += &pod_routes(other, inner, "vxlan0");
    }
    node.ip(&lines)?;
    for other in others {
        let (mac, outer) = (vxlan_mac(other), plan::node(other).v4.to_string());
        node.tool("bridge", &["fdb", "append", &mac, "dev", "vxlan0", "dst", &outer])?;
    }
    Ok(())
}

/// A pod's link, addresses and routes, and the node's side of them.
pub(super) fn pod(
    node: &NetNs,
    pod: &NetNs,
    number: usize,
    plan: &NodePlan,
    address: Dual,
    host_device: &str,
) -> Result<()> {
    let made = match plan.network {
        PodNetwork::Bridge => bridged_pod(
            (node, host_device),
            pod,
            plan.mtu,
            address,
            plan::in_pod_network(number, 1),
        ),
        PodNetwork::Routed => routed_pod((node, host_device), pod, plan.mtu, address),
        PodNetwork::Macvlan => macvlan::pod(node, pod, number, address),
    };
    made.with_context(|| format!("link of {}", pod.name()))
}

fn bridged_pod(host: (&NetNs, &str), pod: &NetNs, mtu: u32, address: Dual, gateway: Dual) -> Result<()> {
    let (node, device) = host;
    veth(pod, "eth0", node, device)?;
    node.ip(&format!(
        "link set {device} mtu {mtu}\nlink set {device} master {BRIDGE} up"
    ))?;
    let mtu = format!("link set eth0 mtu {mtu}\n");
    pod.ip(&(mtu + &addresses("eth0", address, 24, 64) + &default_routes(gateway)))
}

fn routed_pod(host: (&NetNs, &str), pod: &NetNs, mtu: u32, address: Dual) -> Result<()> {
    let (node, device) = host;
    veth(pod, "eth0", node, device)?;
    node.sysctls(&[
        (&format!("net/ipv4/conf/{device}/proxy_arp"), "1"),
        (&format!("net/ipv4/neigh/{device}/proxy_delay"), "0"),
    ])?;
    node.ip(&format!(
        "link set {device} mtu {mtu}\n\
         link set {device} address {ROUTED_MAC} up\n\
         route add {}/32 dev {device}\n\
         route add {}/128 dev {device}\n",
        address.v4, address.v6
    ))?;
    let mtu = format!("link set eth0 mtu {mtu}\n");
    let routes = format!(
        "route add {ROUTED_GATEWAY_V4} dev eth0 scope link\n\
         route add default via {ROUTED_GATEWAY_V4} dev eth0\n\
         route add default via {ROUTED_GATEWAY_V6} dev eth0\n"
    );
    pod.ip(&(mtu + &addresses("eth0", address, 32, 128) + &routes))
}
