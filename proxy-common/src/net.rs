//! Addresses, ports and protocols as they stand in packets: byte arrays in network byte order.
//!
//! The types are aligned so that the kernel programs can move them by words. Host byte order exists only as the
//! return value of an accessor.

use bytemuck::{Pod, Zeroable};

use crate::family::Family;

/// What both kinds of address can do.
pub trait Address: Pod + Ord + core::hash::Hash + core::fmt::Debug + Default + Send + Sync {
    /// The address as the first bytes of a 16-byte field that serves both families; the rest is zero.
    fn widen(&self) -> Ip6;
    /// The inverse of [`Address::widen`].
    fn narrow(wide: &Ip6) -> Self;
    /// Whether no packet from a device may carry it as its source: unspecified, loopback, multicast, broadcast
    /// (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5).
    fn never_a_source(&self) -> bool;
    /// Zero if the two are equal: a comparison without branches, of which the verifier would follow each.
    fn difference(&self, other: &Self) -> u64;
    /// Whether every bit in which the two differ is zero in `mask`.
    fn within(&self, network: &Self, mask: &Self) -> bool;
}

/// An IPv4 address.
#[derive(Clone, Copy, Debug, Default, Eq, Pod, Zeroable)]
#[repr(C, align(4))]
pub struct Ip4(pub [u8; 4]);

/// An IPv6 address.
#[derive(Clone, Copy, Debug, Default, Eq, Pod, Zeroable)]
#[repr(C, align(4))]
pub struct Ip6(pub [u8; 16]);

/// Equality, order and hash by words: what would be derived compares bytes one by one, in a loop that the kernel programs
/// would pay for.
macro_rules! by_words {
    ($name:ident, $words:ident) => {
        impl PartialEq for $name {
            #[inline(always)]
            fn eq(&self, other: &Self) -> bool {
                self.$words() == other.$words()
            }
        }

        impl core::hash::Hash for $name {
            fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
                self.$words().hash(state);
            }
        }

        impl PartialOrd for $name {
            #[inline(always)]
            fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            #[inline(always)]
            fn cmp(&self, other: &Self) -> core::cmp::Ordering {
                self.$words().cmp(&other.$words())
            }
        }
    };
}

by_words!(Ip4, to_u32);
by_words!(Ip6, to_halves);
by_words!(Port, get);

impl Ip4 {
    /// The four bytes as one number, host byte order.
    #[inline(always)]
    #[must_use]
    pub const fn to_u32(self) -> u32 {
        u32::from_be_bytes(self.0)
    }
}

impl Ip6 {
    /// The two halves as numbers, host byte order.
    #[inline(always)]
    #[must_use]
    pub fn to_halves(self) -> (u64, u64) {
        let w: [u32; 4] = bytemuck::must_cast(self);
        let half = |high: u32, low: u32| u64::from(u32::from_be(high)) << 32 | u64::from(u32::from_be(low));
        (half(w[0], w[1]), half(w[2], w[3]))
    }
}

impl Address for Ip4 {
    #[inline(always)]
    fn widen(&self) -> Ip6 {
        let word: u32 = bytemuck::must_cast(*self);
        bytemuck::must_cast([word, 0, 0, 0])
    }

    #[inline(always)]
    fn narrow(wide: &Ip6) -> Self {
        let words: [u32; 4] = bytemuck::must_cast(*wide);
        bytemuck::must_cast(words[0])
    }

    #[inline(always)]
    fn never_a_source(&self) -> bool {
        let first = self.0[0];
        // 240.0.0.0/4 is reserved (RFC 1112 section 4), but Linux routes it, and pods have it in some clouds.
        first == 0 || first == 127 || (first & 0xf0) == 224 || self.0 == [255; 4]
    }

    #[inline(always)]
    fn difference(&self, other: &Self) -> u64 {
        u64::from(self.to_u32() ^ other.to_u32())
    }

    #[inline(always)]
    fn within(&self, network: &Self, mask: &Self) -> bool {
        (self.to_u32() ^ network.to_u32()) & mask.to_u32() == 0
    }
}

impl Address for Ip6 {
    #[inline(always)]
    fn widen(&self) -> Ip6 {
        *self
    }

    #[inline(always)]
    fn narrow(wide: &Ip6) -> Self {
        *wide
    }

    #[inline(always)]
    fn never_a_source(&self) -> bool {
        let (high, low) = self.to_halves();
        self.0[0] == 0xff || (high == 0 && low <= 1)
    }

    #[inline(always)]
    fn difference(&self, other: &Self) -> u64 {
        let (a, b) = (self.to_halves(), other.to_halves());
        (a.0 ^ b.0) | (a.1 ^ b.1)
    }

    #[inline(always)]
    fn within(&self, network: &Self, mask: &Self) -> bool {
        let (a, b, m) = (self.to_halves(), network.to_halves(), mask.to_halves());
        (a.0 ^ b.0) & m.0 == 0 && (a.1 ^ b.1) & m.1 == 0
    }
}

/// A transport port in network byte order.
#[derive(Clone, Copy, Debug, Default, Eq, Pod, Zeroable)]
#[repr(C, align(2))]
pub struct Port(pub [u8; 2]);

impl Port {
    /// From host byte order.
    #[inline(always)]
    #[must_use]
    pub const fn new(host_order: u16) -> Self {
        Port(host_order.to_be_bytes())
    }

    /// In host byte order.
    #[inline(always)]
    #[must_use]
    pub const fn get(self) -> u16 {
        u16::from_be_bytes(self.0)
    }
}

/// A transport protocol that services may use, with its number on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// RFC 9293.
    #[default]
    Tcp = 6,
    /// RFC 768.
    Udp = 17,
    /// RFC 9260.
    Sctp = 132,
}

impl Protocol {
    /// The protocol of an IP header's number, if it is one that services may use.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Protocol::Tcp),
            17 => Some(Protocol::Udp),
            132 => Some(Protocol::Sctp),
            _ => None,
        }
    }

    /// The number on the wire.
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// One end of a flow: an address and a port.
#[derive(Clone, Copy, Debug, Default, Eq)]
pub struct Peer<F: Family> {
    /// The address.
    pub address: F::Address,
    /// The port.
    pub port: Port,
}

impl<F: Family> Peer<F> {
    /// An end from its two parts.
    #[inline(always)]
    pub const fn new(address: F::Address, port: Port) -> Self {
        Peer { address, port }
    }

    /// Zero if the two are equal, as [`Address::difference`].
    #[inline(always)]
    fn difference(&self, other: &Self) -> u64 {
        self.address.difference(&other.address) | u64::from(self.port.get() ^ other.port.get())
    }
}

impl<F: Family> PartialEq for Peer<F> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.difference(other) == 0
    }
}

/// Who sends to whom, over what.
#[derive(Clone, Copy, Debug, Default, Eq)]
pub struct Tuple<F: Family> {
    /// The sender.
    pub source: Peer<F>,
    /// The receiver.
    pub destination: Peer<F>,
    /// The protocol.
    pub protocol: Protocol,
}

impl<F: Family> PartialEq for Tuple<F> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let protocol = u64::from(self.protocol.number() ^ other.protocol.number());
        self.source.difference(&other.source) | self.destination.difference(&other.destination) | protocol == 0
    }
}

impl<F: Family> Tuple<F> {
    /// Whether it has these ends and this protocol's number.
    #[inline(always)]
    #[must_use]
    pub fn is_of(&self, source: &Peer<F>, destination: &Peer<F>, protocol: u8) -> bool {
        let protocol = u64::from(self.protocol.number() ^ protocol);
        self.source.difference(source) | self.destination.difference(destination) | protocol == 0
    }

    /// Whether it has these ends.
    #[inline(always)]
    #[must_use]
    pub fn is_between(&self, source: &Peer<F>, destination: &Peer<F>) -> bool {
        self.source.difference(source) | self.destination.difference(destination) == 0
    }

    /// The same flow, seen from the other end.
    #[inline(always)]
    #[must_use]
    pub const fn reversed(self) -> Self {
        Tuple {
            source: self.destination,
            destination: self.source,
            protocol: self.protocol,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_send_a_packet_from_a_device() {
        let senders = [
            [10, 0, 0, 1],
            [192, 0, 2, 1],
            [223, 255, 255, 255],
            [240, 0, 0, 1],
            [255, 255, 255, 254],
        ];
        let nobody = [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [239, 1, 2, 3], [255; 4]];
        for address in senders {
            assert!(!Ip4(address).never_a_source(), "{address:?}");
        }
        for address in nobody {
            assert!(Ip4(address).never_a_source(), "{address:?}");
        }
    }
}
