//! The addressing plan of every world, in both families.
//!
//! | what | IPv4 | IPv6 |
//! |---|---|---|
//! | node `n` | `192.168.0.(2+n)/24` | `2001:db8::(2+n)/64` |
//! | router, on the nodes' side | `192.168.0.1` | `2001:db8::1` |
//! | outside client | `203.0.113.2/24` | `2001:db8:c::2/64` |
//! | pods of node `n` | `10.244.(1+n).0/24` | `fd00:10:244:(1+n)::/64` |
//! | cluster addresses | `10.96.0.0/12` | `fd00:10:96::/112` |
//! | load-balancer addresses | `198.51.100.0/24` | `2001:db8:1b::/64` |

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The networks of the cluster addresses, as an API server is told them.
pub const SERVICE_NETWORKS: &str = "10.96.0.0/12,fd00:10:96::/112";

/// Which version of IP a row of a test speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ip {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Ip {
    /// Both versions, IPv4 first.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// One host's address in each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dual {
    /// The IPv4 address.
    pub v4: Ipv4Addr,
    /// The IPv6 address.
    pub v6: Ipv6Addr,
}

impl Dual {
    /// The address of one family.
    pub fn of(self, ip: Ip) -> IpAddr {
        match ip {
            Ip::V4 => self.v4.into(),
            Ip::V6 => self.v6.into(),
        }
    }

    /// The address of one family with a port.
    pub fn at(self, ip: Ip, port: u16) -> SocketAddr {
        SocketAddr::new(self.of(ip), port)
    }
}

/// The numbers of the plan are one byte: worlds are small.
fn byte(number: usize) -> u8 {
    u8::try_from(number).expect("a world has fewer than 250 of anything")
}

/// Node `n`, counted from 0.
pub fn node(n: usize) -> Dual {
    in_nodes_network(byte(n + 2))
}

/// An address in the nodes' network by its last number; no machine has those from 100 on.
pub fn in_nodes_network(last: u8) -> Dual {
    Dual {
        v4: Ipv4Addr::new(192, 168, 0, last),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()),
    }
}

/// The router between the nodes and the outside, on the nodes' network.
pub fn router() -> Dual {
    in_nodes_network(1)
}

/// The client outside the cluster has 2 as its last number, the router's side of that network 1.
pub fn outside(last: u8) -> Dual {
    Dual {
        v4: Ipv4Addr::new(203, 0, 113, last),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, last.into()),
    }
}

/// Pod `i` of node `n`, both counted from 0; 0 and 1 are the network's and the bridge's own last numbers.
pub fn pod(n: usize, i: usize) -> Dual {
    in_pod_network(n, byte(i + 2))
}

/// An address in node `n`'s pod network by its last number.
pub fn in_pod_network(n: usize, last: u8) -> Dual {
    let network = byte(n + 1);
    Dual {
        v4: Ipv4Addr::new(10, 244, network, last),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x244, network.into(), 0, 0, 0, last.into()),
    }
}

/// The cluster address with number `k`.
pub fn cluster_ip(k: u8) -> Dual {
    Dual {
        v4: Ipv4Addr::new(10, 96, 0, k),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, k.into()),
    }
}

/// The load-balancer (or external) address with number `k`.
pub fn load_balancer(k: u8) -> Dual {
    Dual {
        v4: Ipv4Addr::new(198, 51, 100, k),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0x1b, 0, 0, 0, 0, k.into()),
    }
}
