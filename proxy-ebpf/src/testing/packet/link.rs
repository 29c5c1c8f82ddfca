//! The link header, and the packet as it travels.

use super::Draft;
use crate::testing::who::TestFamily;

/// The hardware address of every device that the tests' packets come in by.
pub const PORT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
/// The hardware address of the pods' bridge.
pub const BRIDGE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x11];
/// The hardware address of whoever sends.
pub const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x99];

const VLAN: u16 = 0x8100;

/// An Ethernet header.
#[derive(Clone, Debug)]
pub struct Link {
    /// To whom.
    pub to: [u8; 6],
    /// By whom.
    pub from: [u8; 6],
    /// The VLAN's number.
    pub vlan: Option<u16>,
    /// The type of what follows, if it shall lie.
    pub ethertype: Option<u16>,
    /// How many segments the packet stands for; 0: it is one.
    pub segments: u32,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            to: PORT_MAC,
            from: PEER_MAC,
            vlan: None,
            ethertype: None,
            segments: 0,
        }
    }
}

/// A packet as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The frame.
    pub bytes: Vec<u8>,
    /// How many segments it stands for; 0: it is one.
    pub segments: u32,
}

impl Link {
    /// The header with a packet behind it.
    #[must_use]
    pub fn wire(&self, ethertype: u16, packet: &[u8]) -> Wire {
        let mut bytes = [self.to, self.from].concat();
        if let Some(number) = self.vlan {
            bytes.extend(VLAN.to_be_bytes());
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(self.ethertype.unwrap_or(ethertype).to_be_bytes());
        bytes.extend_from_slice(packet);
        Wire {
            bytes,
            segments: self.segments,
        }
    }
}

impl Wire {
    /// The same, cut after so many bytes of the network header and what follows it.
    #[must_use]
    pub fn cut(mut self, length: usize) -> Self {
        self.bytes.truncate(self.network() + length);
        self
    }

    /// The same with one byte of the packet changed; the place counts from the network header.
    #[must_use]
    pub fn with(mut self, at: usize, byte: u8) -> Self {
        let base = self.network();
        self.bytes[base + at] = byte;
        self
    }

    /// The packet from the network header on.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        &self.bytes[self.network()..]
    }

    /// The Ethernet type, or what the tag says follows it.
    #[must_use]
    pub fn ethertype(&self) -> u16 {
        let at = self.network() - 2;
        u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// Whether there is a tag.
    #[must_use]
    pub fn is_tagged(&self) -> bool {
        [[0x81, 0x00], [0x88, 0xa8]].contains(&[self.bytes[12], self.bytes[13]])
    }

    /// Where the network header begins.
    #[must_use]
    pub fn network(&self) -> usize {
        if self.is_tagged() { 18 } else { 14 }
    }
}

impl<F: TestFamily> From<&Draft<F>> for Wire {
    fn from(draft: &Draft<F>) -> Self {
        draft.wire()
    }
}

impl<F: TestFamily> From<Draft<F>> for Wire {
    fn from(draft: Draft<F>) -> Self {
        draft.wire()
    }
}

impl<F: TestFamily> Draft<F> {
    /// In a VLAN.
    #[must_use]
    pub fn vlan(mut self, number: u16) -> Self {
        self.link.vlan = Some(number);
        self
    }

    /// To another hardware address.
    #[must_use]
    pub fn at_mac(mut self, mac: [u8; 6]) -> Self {
        self.link.to = mac;
        self
    }

    /// As so many segments that are cut apart later.
    #[must_use]
    pub fn segments(mut self, segments: u32) -> Self {
        self.link.segments = segments;
        self
    }

    /// Under another Ethernet type.
    #[must_use]
    pub fn ethertype(mut self, ethertype: u16) -> Self {
        self.link.ethertype = Some(ethertype);
        self
    }
}
