//! Network headers.

use proxy_common::{
    family::{Family as _, V4, V6},
    net::Address,
};

use super::{
    Draft,
    sums::{internet, put},
};
use crate::parse::Parse;

/// What a network header says besides addresses and protocol.
#[derive(Clone, Debug)]
pub struct Network {
    /// The length that the header says, if it shall lie.
    pub length: Option<u16>,
    /// Type of service.
    pub class: u8,
    /// Time to live, hop limit.
    pub hops: u8,
    /// The identification of a fragmented packet.
    pub identification: u32,
    /// Where in the whole a fragment begins, in bytes, and whether more of it follows.
    pub fragment: Option<(u16, bool)>,
    /// IPv4 options; padded to words.
    pub options: Vec<u8>,
    /// IPv6 extension headers in front of a fragment header: numbers, and what follows next header and length.
    pub extensions: Vec<(u8, Vec<u8>)>,
}

impl Default for Network {
    fn default() -> Self {
        Network {
            length: None,
            class: 0,
            hops: 64,
            identification: 0x1234,
            fragment: None,
            options: Vec::new(),
            extensions: Vec::new(),
        }
    }
}

/// What the two families write differently.
pub trait Build: Parse {
    /// A packet of a message.
    fn build(draft: &Draft<Self>, message: &[u8]) -> Vec<u8>
    where
        Self: super::super::who::TestFamily;
    /// An address as it stands in a packet.
    fn bytes(address: &Self::Address) -> Vec<u8>;
}

impl Build for V4 {
    fn build(draft: &Draft<V4>, message: &[u8]) -> Vec<u8> {
        let network = &draft.network;
        let mut header = vec![0; 20];
        header.extend_from_slice(&network.options);
        header.resize(header.len().next_multiple_of(4), 0);
        header[0] = 0x40 | u8::try_from(header.len() / 4).expect("at most 40 bytes of options");
        header[1] = network.class;
        let whole = header.len() + message.len();
        put(&mut header, 2, network.length.unwrap_or_else(|| length(whole)));
        put(&mut header, 4, (network.identification & 0xffff) as u16);
        if let Some((offset, more)) = network.fragment {
            put(&mut header, 6, (offset / 8) | if more { 0x2000 } else { 0 });
        }
        header[8] = network.hops;
        header[9] = draft.protocol();
        header[12..16].copy_from_slice(&draft.source.address.0);
        header[16..20].copy_from_slice(&draft.destination.address.0);
        let sum = internet(&[&header]);
        put(&mut header, 10, sum);
        header.extend_from_slice(message);
        header
    }

    fn bytes(address: &Self::Address) -> Vec<u8> {
        address.0.to_vec()
    }
}

impl Build for V6 {
    fn build(draft: &Draft<V6>, message: &[u8]) -> Vec<u8> {
        let network = &draft.network;
        let mut chain = network.extensions.clone();
        if let Some((offset, more)) = network.fragment {
            let field = (offset | u16::from(more)).to_be_bytes();
            chain.push((FRAGMENT, [&field[..], &network.identification.to_be_bytes()].concat()));
        }
        let numbers: Vec<u8> = chain
            .iter()
            .map(|(number, _)| *number)
            .chain([draft.protocol()])
            .collect();
        let mut packet = vec![0; V6::HEADER_LEN as usize];
        for ((number, body), next) in chain.iter().zip(&numbers[1..]) {
            packet.extend(extension(*number, body, *next));
        }
        packet.extend_from_slice(message);
        packet[0] = 0x60;
        let behind = network.length.unwrap_or_else(|| length(packet.len() - 40));
        put(&mut packet, 4, behind);
        packet[6] = numbers[0];
        packet[7] = network.hops;
        packet[8..24].copy_from_slice(&draft.source.address.widen().0);
        packet[24..40].copy_from_slice(&draft.destination.address.widen().0);
        packet
    }

    fn bytes(address: &Self::Address) -> Vec<u8> {
        address.0.to_vec()
    }
}

const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

/// An extension header (RFC 8200 section 4, RFC 4302 section 2).
fn extension(number: u8, body: &[u8], next: u8) -> Vec<u8> {
    let mut header = vec![next, 0];
    header.extend_from_slice(body);
    let unit = if number == AUTHENTICATION { 4 } else { 8 };
    header.resize(header.len().next_multiple_of(unit).max(8), 0);
    let units = header.len() / unit;
    header[1] = match number {
        // Its second byte is reserved.
        FRAGMENT => 0,
        AUTHENTICATION => u8::try_from(units - 2).expect("short"),
        _ => u8::try_from(units - 1).expect("short"),
    };
    header
}

/// A packet of more than 64 KiB, which is cut apart later, says zero.
fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(0)
}

impl<F: super::super::who::TestFamily> Draft<F> {
    /// With this many hops to go.
    #[must_use]
    pub fn hops(mut self, hops: u8) -> Self {
        self.network.hops = hops;
        self
    }

    /// With a header that says this length, whatever it is.
    #[must_use]
    pub fn length(mut self, length: u16) -> Self {
        self.network.length = Some(length);
        self
    }

    /// With another identification.
    #[must_use]
    pub fn identification(mut self, identification: u32) -> Self {
        self.network.identification = identification;
        self
    }

    /// With IPv4 options.
    #[must_use]
    pub fn options(mut self, options: &[u8]) -> Self {
        self.network.options = options.to_vec();
        self
    }

    /// With another IPv6 extension header: its number, and what follows next header and length.
    #[must_use]
    pub fn extension(mut self, number: u8, body: &[u8]) -> Self {
        self.network.extensions.push((number, body.to_vec()));
        self
    }
}
