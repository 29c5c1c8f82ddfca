//! Transport headers.

use proxy_common::{family::FamilyKind, net::Protocol, phase::TcpFlags};

use super::{
    Draft, Wire, icmp,
    sums::{crc32c, internet, pseudo_header, put},
};
use crate::{
    parse::transport::checksum_offset,
    testing::who::{IntoPeer, TestFamily},
};

/// What is behind a network header.
#[derive(Clone, Debug)]
pub enum Body {
    /// A TCP segment.
    Tcp(Tcp),
    /// A UDP datagram.
    Udp {
        /// Whether it has a checksum.
        checksum: bool,
    },
    /// An SCTP packet of one chunk.
    Sctp {
        /// The chunk's type.
        chunk: u8,
    },
    /// An ICMP message.
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// The second word of its header.
        rest: [u8; 4],
    },
    /// These bytes.
    Raw {
        /// The protocol's number.
        protocol: u8,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// What a TCP header says besides ports.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// Control bits.
    pub flags: u8,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Options, in whole words.
    pub options: Vec<u8>,
}

/// A TCP segment: an ACK, unless more is said, of what [`answer`] says.
#[must_use]
pub fn tcp<F: TestFamily>(from: impl IntoPeer<F>, to: impl IntoPeer<F>) -> Draft<F> {
    let tcp = Tcp {
        flags: TcpFlags::ACK,
        sequence: 1000,
        acknowledgement: 1001,
        options: Vec::new(),
    };
    Draft::new(from.peer(), to.peer(), Body::Tcp(tcp))
}

/// A UDP datagram.
#[must_use]
pub fn udp<F: TestFamily>(from: impl IntoPeer<F>, to: impl IntoPeer<F>) -> Draft<F> {
    Draft::new(from.peer(), to.peer(), Body::Udp { checksum: true })
}

/// An SCTP packet: an INIT, unless more is said.
#[must_use]
pub fn sctp<F: TestFamily>(from: impl IntoPeer<F>, to: impl IntoPeer<F>) -> Draft<F> {
    Draft::new(from.peer(), to.peer(), Body::Sctp { chunk: 1 })
}

/// The packet that opens a flow.
#[must_use]
pub fn opening<F: TestFamily>(protocol: Protocol, from: impl IntoPeer<F>, to: impl IntoPeer<F>) -> Draft<F> {
    match protocol {
        Protocol::Tcp => tcp(from, to).syn(),
        Protocol::Udp => udp(from, to).payload(b"question"),
        Protocol::Sctp => sctp(from, to).payload(&[0; 16]),
    }
}

/// The first packet of the other side.
#[must_use]
pub fn answer<F: TestFamily>(protocol: Protocol, from: impl IntoPeer<F>, to: impl IntoPeer<F>) -> Draft<F> {
    match protocol {
        Protocol::Tcp => tcp(from, to).syn_ack(),
        Protocol::Udp => udp(from, to).payload(b"the answer"),
        Protocol::Sctp => sctp(from, to).chunk(2).payload(&[0; 20]),
    }
}

/// A packet in the middle of a conversation.
#[must_use]
pub fn data<F: TestFamily>(protocol: Protocol, from: impl IntoPeer<F>, to: impl IntoPeer<F>) -> Draft<F> {
    match protocol {
        Protocol::Tcp => tcp(from, to),
        Protocol::Udp => udp(from, to),
        Protocol::Sctp => sctp(from, to).chunk(0),
    }
    .payload(b"some of many bytes")
}

/// A packet of any protocol.
#[must_use]
pub fn raw<F: TestFamily>(from: impl IntoPeer<F>, to: impl IntoPeer<F>, protocol: u8, bytes: &[u8]) -> Draft<F> {
    let body = Body::Raw {
        protocol,
        bytes: bytes.to_vec(),
    };
    Draft::new(from.peer(), to.peer(), body)
}

impl<F: TestFamily> Draft<F> {
    /// What is behind the network header, with its checksum.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        match &self.body {
            Body::Tcp(tcp) => self.covered(tcp.header(), 16),
            Body::Udp { checksum: true } => self.udp_with_checksum(),
            Body::Udp { checksum: false } => [self.udp_header(), self.payload.clone()].concat(),
            Body::Sctp { chunk } => self.sctp(*chunk),
            Body::Icmp { kind, code, rest } => self.icmp([*kind, *code], *rest),
            Body::Raw { bytes, .. } => [bytes.as_slice(), &self.payload].concat(),
        }
    }

    /// With other control bits.
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        if let Body::Tcp(tcp) = &mut self.body {
            tcp.flags = flags;
        }
        self
    }

    /// The packet that opens a connection.
    #[must_use]
    pub fn syn(self) -> Self {
        self.flags(TcpFlags::SYN)
    }

    /// The answer to it.
    #[must_use]
    pub fn syn_ack(self) -> Self {
        self.flags(TcpFlags::SYN | TcpFlags::ACK)
    }

    /// The sender's last.
    #[must_use]
    pub fn fin(self) -> Self {
        self.flags(TcpFlags::FIN | TcpFlags::ACK)
    }

    /// The end of it.
    #[must_use]
    pub fn rst(self) -> Self {
        self.flags(TcpFlags::RST)
    }

    /// With another sequence number.
    #[must_use]
    pub fn sequence(mut self, sequence: u32) -> Self {
        if let Body::Tcp(tcp) = &mut self.body {
            tcp.sequence = sequence;
        }
        self
    }

    /// With another acknowledgement number.
    #[must_use]
    pub fn acknowledging(mut self, acknowledgement: u32) -> Self {
        if let Body::Tcp(tcp) = &mut self.body {
            tcp.acknowledgement = acknowledgement;
        }
        self
    }

    /// A datagram without checksum.
    #[must_use]
    pub fn without_checksum(mut self) -> Self {
        self.body = Body::Udp { checksum: false };
        self
    }

    /// An SCTP packet with another chunk.
    #[must_use]
    pub fn chunk(mut self, chunk: u8) -> Self {
        self.body = Body::Sctp { chunk };
        self
    }

    /// Where the transport checksum stands, counted from the network header.
    ///
    /// # Panics
    ///
    /// If it has none.
    #[must_use]
    pub fn checksum_at(&self) -> usize {
        let protocol = Protocol::from_number(self.protocol()).expect("a protocol of services");
        self.packet().len() - self.message().len() + checksum_offset(protocol) as usize
    }

    /// The packet as it leaves a socket that leaves the checksum to the card: in its place stands the sum of the pseudo
    /// header.
    #[must_use]
    pub fn without_its_own_sum(&self) -> Wire {
        let sum = !internet(&[&self.pseudo_header(self.message().len())]);
        let (at, [high, low]) = (self.checksum_at(), sum.to_be_bytes());
        self.wire().with(at, high).with(at + 1, low)
    }

    fn ports(&self) -> [u8; 4] {
        let (source, destination) = (self.source.port.0, self.destination.port.0);
        [source[0], source[1], destination[0], destination[1]]
    }

    /// A header with ports and payload behind it, and the checksum over all of it and the pseudo header.
    fn covered(&self, mut header: Vec<u8>, sum_at: usize) -> Vec<u8> {
        header[..4].copy_from_slice(&self.ports());
        header.extend_from_slice(&self.payload);
        let pseudo = self.pseudo_header(header.len());
        let sum = internet(&[&pseudo, &header]);
        put(&mut header, sum_at, sum);
        header
    }

    fn pseudo_header(&self, length: usize) -> Vec<u8> {
        let (source, destination) = (F::bytes(&self.source.address), F::bytes(&self.destination.address));
        pseudo_header(&source, &destination, self.protocol(), length)
    }

    fn udp_header(&self) -> Vec<u8> {
        let length = u16::try_from(8 + self.payload.len()).unwrap_or(0).to_be_bytes();
        [&self.ports()[..], &length, &[0, 0]].concat()
    }

    fn udp_with_checksum(&self) -> Vec<u8> {
        let mut datagram = self.covered(self.udp_header(), 6);
        if datagram[6..8] == [0, 0] {
            datagram[6..8].fill(0xff);
        }
        datagram
    }

    fn sctp(&self, chunk: u8) -> Vec<u8> {
        let length = u16::try_from(4 + self.payload.len()).expect("one chunk is short");
        let mut packet = [
            &self.ports()[..],
            &[0, 0, 0, 7],
            &[0; 4],
            &[chunk, 0],
            &length.to_be_bytes(),
        ]
        .concat();
        packet.extend_from_slice(&self.payload);
        packet.resize(packet.len().next_multiple_of(4), 0);
        let sum = crc32c(&[&packet]);
        packet[8..12].copy_from_slice(&sum);
        packet
    }

    fn icmp(&self, head: [u8; 2], rest: [u8; 4]) -> Vec<u8> {
        let mut message = [&head[..], &[0, 0], &rest, &self.payload].concat();
        let pseudo = self.pseudo_header(message.len());
        let sum = match F::KIND {
            FamilyKind::V4 => internet(&[&message]),
            FamilyKind::V6 => internet(&[&pseudo, &message]),
        };
        put(&mut message, icmp::CHECKSUM, sum);
        message
    }
}

impl Tcp {
    fn header(&self) -> Vec<u8> {
        let length = 20 + self.options.len();
        let mut header = vec![0; 20];
        header[4..8].copy_from_slice(&self.sequence.to_be_bytes());
        header[8..12].copy_from_slice(&self.acknowledgement.to_be_bytes());
        header[12] = u8::try_from(length / 4 * 16).expect("at most 40 bytes of options");
        header[13] = self.flags;
        put(&mut header, 14, 64240);
        header.extend_from_slice(&self.options);
        header
    }
}
