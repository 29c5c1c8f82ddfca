//! The ports of a fragmented packet, remembered from its first fragment for the later ones: the map `FRAGMENTS`.

use bytemuck::{Pod, Zeroable};

use crate::{family::Family, net::Port, plain::plain};

/// What the fragments of one packet share (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FragmentKey<F: Family> {
    /// The sender.
    pub source: F::Address,
    /// The receiver.
    pub destination: F::Address,
    /// The identification, network byte order; IPv4's stands in the first two bytes.
    pub identification: [u8; 4],
    /// The protocol's number.
    pub protocol: u8,
    /// A [`crate::node::Hook`] as a number: a packet has one form at ingress and another at egress.
    pub hook: u8,
    /// Zero.
    pub zero: [u8; 2],
}

plain! { FragmentKey: 16, 40; }

/// The ports that the first fragment carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct FragmentPorts {
    /// When: `CLOCK_MONOTONIC`, ns.
    pub seen: u64,
    /// The sender's port.
    pub source: Port,
    /// The receiver's port.
    pub destination: Port,
    /// Zero.
    pub zero: [u8; 4],
}
