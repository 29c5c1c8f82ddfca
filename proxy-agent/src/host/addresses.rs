//! The host's addresses, and which of them a packet that leaves by a device would carry.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use proxy_common::family::FamilyKind;

use super::{
    links::Link,
    netlink::{Message, Netlink, attributes, word},
};
use crate::address;

/// An address of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeAddress {
    /// The device that has it.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// How far it is known: `RT_SCOPE_...`, 0 being everywhere.
    pub scope: u8,
    /// `IFA_F_...`.
    pub flags: u32,
}

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const ADDRESS_HEADER: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const SECONDARY: u32 = 0x01;
const DAD_FAILED: u32 = 0x08;
const DEPRECATED: u32 = 0x20;
const TENTATIVE: u32 = 0x40;
const SCOPE_LINK: u8 = 253;

/// All addresses of the thread's network namespace.
///
/// # Errors
/// The kernel's.
pub fn read(socket: &mut Netlink) -> io::Result<Vec<NodeAddress>> {
    let messages = socket.dump(RTM_GETADDR, &[0; ADDRESS_HEADER])?;
    Ok(messages.iter().filter_map(parse).collect())
}

fn parse(message: &Message) -> Option<NodeAddress> {
    if message.kind != RTM_NEWADDR {
        return None;
    }
    let [_, _, flags, scope, ..] = message.payload[..] else {
        return None;
    };
    let (mut flags, mut own, mut other) = (u32::from(flags), None, None);
    for (kind, value) in attributes(&message.payload, ADDRESS_HEADER) {
        match kind {
            // On a device between two points this is the other one.
            IFA_ADDRESS => other = ip(value),
            IFA_LOCAL => own = ip(value),
            IFA_FLAGS => flags = word(value, 0).unwrap_or(flags),
            _ => {}
        }
    }
    Some(NodeAddress {
        index: word(&message.payload, 4)?,
        address: own.or(other)?,
        scope,
        flags,
    })
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(value) {
        return Some(Ipv4Addr::from(bytes).into());
    }
    <[u8; 16]>::try_from(value)
        .ok()
        .map(|bytes| Ipv6Addr::from(bytes).into())
}

impl NodeAddress {
    /// Whether the kernel does not answer at it yet, or never will: another machine may have it (RFC 4862 section 5.4).
    #[must_use]
    pub const fn is_tentative(&self) -> bool {
        self.flags & (TENTATIVE | DAD_FAILED) != 0
    }

    /// Whether a packet to another machine may carry it: not a loopback, link-local or tentative one.
    fn may_leave(&self) -> bool {
        let is_link_local = match self.address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        !self.is_tentative() && !is_link_local && !self.address.is_loopback() && self.scope < SCOPE_LINK
    }

    /// The smaller, the sooner the kernel takes it among those of one device.
    const fn rank(&self) -> (bool, bool, u8) {
        (self.flags & DEPRECATED != 0, self.flags & SECONDARY != 0, self.scope)
    }
}

/// The source address by outgoing device, for kernels that cannot say it to a program: the device's own, for a port of a
/// bridge the bridge's, and where neither has one that of another device, as `inet_select_addr` chooses it.
#[must_use]
pub fn sources(links: &BTreeMap<u32, Link>, addresses: &[NodeAddress], family: FamilyKind) -> BTreeMap<u32, IpAddr> {
    let usable = addresses
        .iter()
        .filter(|known| address::family(known.address) == family && known.may_leave());
    let mut best: BTreeMap<u32, &NodeAddress> = BTreeMap::new();
    for known in usable {
        let first = best.entry(known.index).or_insert(known);
        if known.rank() < first.rank() {
            *first = known;
        }
    }
    let anywhere = best.values().find(|known| known.scope == 0).map(|known| known.address);
    let source = |link: &Link| {
        let own = best.get(&link.index).or_else(|| best.get(&link.master?));
        Some((link.index, own.map(|known| known.address).or(anywhere)?))
    };
    links.values().filter_map(source).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, master: Option<u32>) -> (u32, Link) {
        (
            index,
            Link {
                index,
                master,
                ..Link::default()
            },
        )
    }

    fn at(index: u32, address: &str, scope: u8, flags: u32) -> NodeAddress {
        NodeAddress {
            index,
            address: address.parse().expect("an address"),
            scope,
            flags,
        }
    }

    #[test]
    fn a_packet_carries_the_address_of_the_device_it_leaves_by() {
        let links = BTreeMap::from([
            link(1, None),
            link(2, None),
            link(3, None),
            link(4, Some(3)),
            link(5, None),
        ]);
        let addresses = [
            at(1, "127.0.0.1", 254, 0),
            at(1, "::1", 254, 0),
            at(2, "192.0.2.9", 0, SECONDARY),
            at(2, "192.0.2.1", 0, 0),
            at(2, "fe80::1", SCOPE_LINK, 0),
            at(2, "2001:db8::9", 0, TENTATIVE),
            at(2, "2001:db8::8", 0, DEPRECATED),
            at(2, "2001:db8::1", 0, 0),
            at(3, "10.0.0.1", 0, 0),
            at(5, "169.254.1.1", SCOPE_LINK, 0),
        ];
        let of = |family| sources(&links, &addresses, family);
        let text = |found: &BTreeMap<u32, IpAddr>, index| found.get(&index).map(ToString::to_string);
        let (v4, v6) = (of(FamilyKind::V4), of(FamilyKind::V6));
        let expected = [
            (2, "192.0.2.1", "2001:db8::1"),
            (3, "10.0.0.1", "2001:db8::1"),
            (4, "10.0.0.1", "2001:db8::1"),
            (5, "192.0.2.1", "2001:db8::1"),
        ];
        for (index, in_v4, in_v6) in expected {
            assert_eq!(
                (text(&v4, index), text(&v6, index)),
                (Some(in_v4.into()), Some(in_v6.into())),
                "{index}"
            );
        }
    }

    #[test]
    fn a_host_without_addresses_has_no_source() {
        let links = BTreeMap::from([link(1, None)]);
        assert_eq!(
            sources(&links, &[at(1, "127.0.0.1", 254, 0)], FamilyKind::V4),
            BTreeMap::new()
        );
    }

    #[test]
    fn the_loopback_address_is_read_from_this_kernel() {
        let mut socket = Netlink::open(0).expect("a netlink socket");
        let addresses = read(&mut socket).expect("the kernel's list");
        assert!(
            addresses.iter().any(|known| known.address.is_loopback()),
            "{addresses:?}"
        );
    }
}
