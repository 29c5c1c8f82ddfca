//! The host's devices, and which of them are edges: where packets enter and leave the node.

use std::{collections::BTreeMap, io};

use proxy_common::node::{Device, device_flag};

use super::netlink::{Message, Netlink, attributes, half, number_attribute, pairs, word};
use crate::{
    datapath::attach::{Layer, Target},
    desired::PodDetector,
};

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its interface index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its kind, as `ip link show type` takes it; empty for a physical one.
    pub kind: String,
    /// `ARPHRD_...`: what its packets begin with.
    pub layer: u16,
    /// Its hardware address; zero if it has none of six bytes.
    pub mac: [u8; 6],
    /// The device that it is a port of.
    pub master: Option<u32>,
    /// The device that it sits on, or its other end.
    pub lower: Option<u32>,
    /// This namespace's number for the one that `lower` is in, if that is another one.
    pub peer_namespace: Option<i32>,
}

/// A device that is to carry the programs, and what these must know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The device.
    pub target: Target,
    /// Its entry of `DEVICES`.
    pub device: Device,
    /// Whether everything that a namespace sends passes here: it is one end of a pair, and that namespace has the other.
    pub covers_peer: bool,
}

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const INTERFACE_HEADER: usize = 16;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const SKIP_STATISTICS: u32 = 1 << 3;
const ARPHRD_ETHER: u16 = 1;
const ARPHRD_LOOPBACK: u16 = 772;

/// All devices of the thread's network namespace.
///
/// # Errors
/// The kernel's.
pub fn read(socket: &mut Netlink) -> io::Result<BTreeMap<u32, Link>> {
    let mut request = vec![0; INTERFACE_HEADER];
    request.extend(number_attribute(IFLA_EXT_MASK, SKIP_STATISTICS));
    let messages = socket.dump(RTM_GETLINK, &request)?;
    Ok(messages
        .iter()
        .filter_map(parse)
        .map(|link| (link.index, link))
        .collect())
}

fn parse(message: &Message) -> Option<Link> {
    if message.kind != RTM_NEWLINK {
        return None;
    }
    let payload = &message.payload;
    let mut link = Link {
        index: word(payload, 4)?,
        layer: half(payload, 2)?,
        ..Link::default()
    };
    for (kind, value) in attributes(payload, INTERFACE_HEADER) {
        match kind {
            IFLA_ADDRESS => link.mac = value.try_into().unwrap_or_default(),
            IFLA_IFNAME => link.name = text(value),
            IFLA_LINK => link.lower = word(value, 0).filter(|index| *index != 0),
            IFLA_MASTER => link.master = word(value, 0).filter(|index| *index != 0),
            IFLA_LINK_NETNSID => link.peer_namespace = word(value, 0).map(u32::cast_signed).filter(|id| *id >= 0),
            IFLA_LINKINFO => {
                let kind = pairs(value).find(|(kind, _)| *kind == IFLA_INFO_KIND);
                link.kind = kind.map(|(_, value)| text(value)).unwrap_or_default();
            }
            _ => {}
        }
    }
    Some(link)
}

fn text(value: &[u8]) -> String {
    let len = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..len]).into_owned()
}

/// The edges among the devices, in the order of their indices.
#[must_use]
pub fn edges(links: &BTreeMap<u32, Link>, detector: Option<&PodDetector>) -> Vec<Edge> {
    links
        .values()
        .filter(|link| is_edge(link, links))
        .map(|link| edge(link, links, detector))
        .collect()
}

/// Whatever is not known to be something else is an edge. The lower device of a macvlan, ipvlan or VLAN device is one: the
/// host's own packets pass it, and frames for the devices above are told by hardware address or tag.
fn is_edge(link: &Link, links: &BTreeMap<u32, Link>) -> bool {
    let master = link.master.and_then(|master| links.get(&master));
    let is_slave = master.is_some_and(|master| matches!(&master.kind[..], "bond" | "team"));
    let is_inner = matches!(
        &link.kind[..],
        "bridge" | "dummy" | "ifb" | "vrf" | "nlmon" | "vcan" | "vxcan" | "can"
    );
    link.layer != ARPHRD_LOOPBACK && !is_slave && !is_inner
}

fn edge(link: &Link, links: &BTreeMap<u32, Link>, detector: Option<&PodDetector>) -> Edge {
    let bridge = link
        .master
        .and_then(|master| links.get(&master))
        .filter(|master| master.kind == "bridge");
    let router = bridge.unwrap_or(link);
    let carries_vlans = links
        .values()
        .any(|above| above.kind == "vlan" && above.lower == Some(link.index));
    let mut flags = 0;
    if detector.is_some_and(|detector| is_of_pods(detector, router)) {
        flags |= device_flag::PODS;
    }
    if carries_vlans {
        flags |= device_flag::VLANS_ABOVE;
    }
    let layer = if link.layer == ARPHRD_ETHER {
        Layer::Link
    } else {
        Layer::Network
    };
    Edge {
        target: Target {
            ifindex: link.index,
            name: link.name.clone(),
            layer,
        },
        device: Device {
            flags,
            routed_from: router.index,
            mac: router.mac,
            zero: [0; 2],
        },
        covers_peer: matches!(&link.kind[..], "veth" | "netkit") && link.peer_namespace.is_some(),
    }
}

/// `-i NAME` of kube-proxy's rules: the device that the host routes from, which for a bridge's port is the bridge.
fn is_of_pods(detector: &PodDetector, router: &Link) -> bool {
    match detector {
        PodDetector::Network { .. } => false,
        PodDetector::Bridge(name) => router.name == *name,
        PodDetector::InterfacePrefix(prefix) => router.name.starts_with(prefix),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn link(index: u32, name: &str, kind: &str) -> Link {
        let mac = [2, 0, 0, 0, 0, u8::try_from(index).unwrap_or(0)];
        Link {
            index,
            name: name.into(),
            kind: kind.into(),
            layer: ARPHRD_ETHER,
            mac,
            ..Link::default()
        }
    }

    fn node() -> BTreeMap<u32, Link> {
        let port = |index, name, kind, master| Link {
            master: Some(master),
            ..link(index, name, kind)
        };
        let on = |index, name, kind, lower| Link {
            lower: Some(lower),
            ..link(index, name, kind)
        };
        let links = [
            Link {
                layer: ARPHRD_LOOPBACK,
                ..link(1, "lo", "")
            },
            link(2, "eth0", ""),
            link(3, "cni0", "bridge"),
            Link {
                peer_namespace: Some(4),
                ..port(4, "veth1", "veth", 3)
            },
            port(5, "eth1", "", 3),
            link(6, "bond0", "bond"),
            port(7, "eth2", "", 6),
            on(8, "eth0.5", "vlan", 2),
            Link {
                layer: 65534,
                mac: [0; 6],
                ..link(9, "wg0", "wireguard")
            },
            link(10, "vxlan0", "vxlan"),
            link(11, "nodelocaldns", "dummy"),
            link(12, "vrf-red", "vrf"),
            port(13, "eth3", "", 12),
            on(14, "mac0", "macvlan", 2),
            link(15, "who-knows", "something-new"),
            link(16, "ifb0", "ifb"),
            link(17, "team0", "team"),
            port(18, "eth4", "", 17),
        ];
        links.into_iter().map(|link| (link.index, link)).collect()
    }

    fn find(edges: &[Edge], name: &str) -> Option<Edge> {
        edges.iter().find(|edge| edge.target.name == name).cloned()
    }

    #[rstest]
    #[case("lo", false)]
    #[case("eth0", true)]
    #[case("cni0", false)]
    #[case("veth1", true)]
    #[case("eth1", true)]
    #[case("bond0", true)]
    #[case("eth2", false)]
    #[case("eth0.5", true)]
    #[case("wg0", true)]
    #[case("vxlan0", true)]
    #[case("nodelocaldns", false)]
    #[case("vrf-red", false)]
    #[case("eth3", true)]
    #[case("mac0", true)]
    #[case("who-knows", true)]
    #[case("ifb0", false)]
    #[case("eth4", false)]
    fn packets_enter_and_leave_the_node_at_edges(#[case] name: &str, #[case] is_one: bool) {
        assert_eq!(find(&edges(&node(), None), name).is_some(), is_one);
    }

    #[test]
    fn a_bridge_port_is_routed_from_the_bridge() {
        let veth = find(&edges(&node(), None), "veth1").expect("an edge").device;
        assert_eq!((veth.routed_from, veth.mac), (3, [2, 0, 0, 0, 0, 3]));
        let uplink = find(&edges(&node(), None), "eth3").expect("an edge").device;
        assert_eq!((uplink.routed_from, uplink.mac), (13, [2, 0, 0, 0, 0, 13]));
    }

    #[test]
    fn tagged_frames_belong_to_the_vlan_devices_above() {
        let flags = |name| find(&edges(&node(), None), name).expect("an edge").device.flags;
        assert_eq!((flags("eth0"), flags("veth1")), (device_flag::VLANS_ABOVE, 0));
    }

    #[test]
    fn a_device_without_a_link_header_gets_the_programs_for_it() {
        let layer = |name| find(&edges(&node(), None), name).expect("an edge").target.layer;
        assert_eq!((layer("wg0"), layer("vxlan0")), (Layer::Network, Layer::Link));
    }

    #[test]
    fn only_a_pair_into_another_namespace_covers_it() {
        let covering: Vec<_> = edges(&node(), None)
            .into_iter()
            .filter(|edge| edge.covers_peer)
            .collect();
        assert_eq!(covering.len(), 1);
        assert_eq!(covering[0].target.name, "veth1");
    }

    #[rstest]
    #[case(PodDetector::Bridge("cni0".into()), &["veth1", "eth1"])]
    #[case(PodDetector::InterfacePrefix("veth".into()), &[])]
    #[case(PodDetector::InterfacePrefix("cni".into()), &["veth1", "eth1"])]
    #[case(PodDetector::Network { v4: None, v6: None }, &[])]
    fn pods_are_behind_the_devices_that_the_detector_names(#[case] detector: PodDetector, #[case] names: &[&str]) {
        let edges = edges(&node(), Some(&detector));
        let pods = edges.iter().filter(|edge| edge.device.flags & device_flag::PODS != 0);
        assert_eq!(pods.map(|edge| &edge.target.name[..]).collect::<Vec<_>>(), names);
    }

    #[test]
    fn the_loopback_device_is_read_from_this_kernel() {
        let mut socket = Netlink::open(0).expect("a netlink socket");
        let links = read(&mut socket).expect("the kernel's list");
        assert_eq!(
            links.get(&1).map(|link| (&link.name[..], link.layer)),
            Some(("lo", ARPHRD_LOOPBACK))
        );
    }
}
