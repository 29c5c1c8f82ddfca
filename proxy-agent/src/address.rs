//! Addresses between the standard library's form and the maps'.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proxy_common::{
    family::FamilyKind,
    net::{Address as _, Ip4, Ip6},
};

/// The family of an address.
#[must_use]
pub const fn family(address: IpAddr) -> FamilyKind {
    match address {
        IpAddr::V4(_) => FamilyKind::V4,
        IpAddr::V6(_) => FamilyKind::V6,
    }
}

/// The 16-byte form in which both families stand in a map; IPv4 takes the first four bytes.
#[must_use]
pub fn widen(address: IpAddr) -> Ip6 {
    match address {
        IpAddr::V4(address) => Ip4(address.octets()).widen(),
        IpAddr::V6(address) => Ip6(address.octets()),
    }
}

/// The inverse of [`widen`].
#[must_use]
pub fn narrow(family: FamilyKind, wide: &Ip6) -> IpAddr {
    match family {
        FamilyKind::V4 => IpAddr::V4(Ipv4Addr::from(Ip4::narrow(wide).0)),
        FamilyKind::V6 => IpAddr::V6(Ipv6Addr::from(wide.0)),
    }
}
