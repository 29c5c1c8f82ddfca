//! The two address families, as types: what is written once for `F: Family` serves both.

use bytemuck::{Pod, Zeroable};

use crate::net::{Address, Ip4, Ip6};

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::V4 {}
    impl Sealed for super::V6 {}
}

/// IPv4 or IPv6, chosen once, where a packet or a socket address enters the program.
pub trait Family: sealed::Sealed + Copy + Ord + core::hash::Hash + core::fmt::Debug + Default + 'static {
    /// An address of this family, in network byte order.
    type Address: Address;
    /// Which of the two it is, where only a value will do.
    const KIND: FamilyKind;
    /// The Ethernet type (RFC 894, RFC 2464), host byte order.
    const ETHERTYPE: u16;
    /// Length of the fixed header in bytes (RFC 791 section 3.1, RFC 8200 section 3).
    const HEADER_LEN: u32;
    /// Where the source address stands in the header; the destination follows at once.
    const ADDRESSES_OFFSET: u32;
    /// The protocol number of this family's ICMP.
    const ICMP: u8;
}

/// IPv4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct V4;

/// IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct V6;

impl Family for V4 {
    type Address = Ip4;
    const KIND: FamilyKind = FamilyKind::V4;
    const ETHERTYPE: u16 = 0x0800;
    const HEADER_LEN: u32 = 20;
    const ADDRESSES_OFFSET: u32 = 12;
    const ICMP: u8 = 1;
}

impl Family for V6 {
    type Address = Ip6;
    const KIND: FamilyKind = FamilyKind::V6;
    const ETHERTYPE: u16 = 0x86dd;
    const HEADER_LEN: u32 = 40;
    const ADDRESSES_OFFSET: u32 = 8;
    const ICMP: u8 = 58;
}

/// A family as a value: in names, in reports, in the agent's model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FamilyKind {
    /// IPv4.
    V4 = 4,
    /// IPv6.
    V6 = 6,
}

// SAFETY: a unit struct has no bytes, so every bit pattern of them is valid.
unsafe impl Zeroable for V4 {}
// SAFETY: as above; it is `Copy`, `'static` and has no padding.
unsafe impl Pod for V4 {}
// SAFETY: a unit struct has no bytes, so every bit pattern of them is valid.
unsafe impl Zeroable for V6 {}
// SAFETY: as above; it is `Copy`, `'static` and has no padding.
unsafe impl Pod for V6 {}
