//! What the data path must know of the node itself: `NODE`, `NODE_ADDRESSES`, `DEVICES`, `SOURCES`, `FREE_PORTS`.

use bytemuck::{Pod, Zeroable};

use crate::{family::Family, plain::plain};

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Hook {
    /// A packet comes in from a device.
    Ingress = 0,
    /// A packet leaves by a device.
    Egress = 1,
    /// A socket of this machine connects, sends, receives or asks for its peer.
    Socket = 2,
}

impl Hook {
    /// All hooks, in the order of their numbers.
    pub const ALL: [Hook; 3] = [Hook::Ingress, Hook::Egress, Hook::Socket];
}

/// The node's facts for one family: the one entry of `NODE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct NodeConfig<F: Family> {
    /// The network namespace cookie of the host (`SO_NETNS_COOKIE`).
    pub host_netns: u64,
    /// Of [`node_flag`].
    pub flags: u32,
    /// How many flow records there are: those of `RECORDS`.
    pub records: u32,
    /// The first port of the masquerade range, host byte order.
    pub masquerade_first: u32,
    /// How many ports the masquerade range has.
    pub masquerade_count: u32,
    /// The pods' network, if [`node_flag::DETECT_NETWORK`].
    pub pods: F::Address,
    /// Its mask.
    pub pods_mask: F::Address,
}

plain! { NodeConfig: 32, 56; }

/// Bits of [`NodeConfig::flags`].
pub mod node_flag {
    /// Masquerade all that goes to a ClusterIP.
    pub const MASQUERADE_ALL: u32 = 1;
    /// A sender inside `pods` is a pod (`detectLocalMode: ClusterCIDR`, `NodeCIDR`).
    pub const DETECT_NETWORK: u32 = 2;
    /// A sender on a device with [`super::device_flag::PODS`] is a pod (`BridgeInterface`, `InterfaceNamePrefix`).
    pub const DETECT_DEVICE: u32 = 4;
    /// The kernel can say which source address it would use (`BPF_FIB_LOOKUP_SRC`, Linux 6.7 and stable back-ports).
    pub const FIB_SOURCE: u32 = 8;
    /// 127.0.0.1 and ::1 take node ports, for sockets of the host.
    pub const LOOPBACK_NODE_PORTS: u32 = 16;
    /// Sockets outside the host's namespace are served too while their namespace is not in `COVERED`.
    pub const SOCKETS_UNCOVERED: u32 = 32;
    /// Sockets of every namespace are served.
    pub const SOCKETS_ALL: u32 = 64;
    /// Packets to addresses of services at which no service answers are refused or dropped: `NETWORKS` says which.
    pub const REFUSES_UNANSWERED: u32 = 128;
}

/// Bits of a value of `NODE_ADDRESSES`: the key is an address of this node.
pub mod address_flag {
    /// Node ports are answered at this address.
    pub const NODE_PORTS: u32 = 1;
}

/// What is known of an edge device: a value of `DEVICES`; the key is the interface index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Device {
    /// Of [`device_flag`].
    pub flags: u32,
    /// The interface index from which the host routes what comes in here: the bridge's for a port of a bridge, else
    /// the device's own.
    pub routed_from: u32,
    /// The hardware address of `routed_from`: frames to it are addressed to this host.
    pub mac: [u8; 6],
    /// Zero.
    pub zero: [u8; 2],
}

/// Bits of [`Device::flags`].
pub mod device_flag {
    /// Senders behind it are pods of this node.
    pub const PODS: u32 = 1;
    /// VLAN devices sit on it: tagged frames are theirs.
    pub const VLANS_ABOVE: u32 = 2;
}

/// How many refusals one processor has sent lately: the one entry of `REJECTS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RejectBudget {
    /// When the current second began: `CLOCK_MONOTONIC`, ns.
    pub since: u64,
    /// How many were sent in it.
    pub sent: u64,
}
