//! ICMP messages.

use proxy_common::{
    family::FamilyKind,
    net::{Peer, Port},
};

use super::{Body, Draft};
use crate::testing::who::{TestFamily, Who};

/// Where the checksum stands in a message.
pub const CHECKSUM: usize = 2;

/// What an ICMP error complains of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// Nobody listens there.
    PortUnreachable,
    /// There is no way there.
    HostUnreachable,
    /// The next link takes no more than so many bytes.
    TooBig(u16),
    /// It went round for too long.
    TimeExceeded,
    /// Its header says something unknown.
    ParameterProblem,
}

impl Complaint {
    /// All kinds of it.
    pub const ALL: [Complaint; 5] = [
        Complaint::PortUnreachable,
        Complaint::HostUnreachable,
        Complaint::TooBig(1400),
        Complaint::TimeExceeded,
        Complaint::ParameterProblem,
    ];

    /// Type, code and second word (RFC 792, RFC 1191, RFC 4443).
    const fn head(self, family: FamilyKind) -> (u8, u8, [u8; 4]) {
        match (family, self) {
            (FamilyKind::V4, Complaint::PortUnreachable) => (3, 3, [0; 4]),
            (FamilyKind::V4, Complaint::HostUnreachable) => (3, 1, [0; 4]),
            (FamilyKind::V4, Complaint::TooBig(size)) => {
                let size = size.to_be_bytes();
                (3, 4, [0, 0, size[0], size[1]])
            }
            (FamilyKind::V4, Complaint::TimeExceeded) => (11, 0, [0; 4]),
            (FamilyKind::V4, Complaint::ParameterProblem) => (12, 0, [20, 0, 0, 0]),
            (FamilyKind::V6, Complaint::PortUnreachable) => (1, 4, [0; 4]),
            (FamilyKind::V6, Complaint::HostUnreachable) => (1, 3, [0; 4]),
            (FamilyKind::V6, Complaint::TooBig(size)) => {
                let size = size.to_be_bytes();
                (2, 0, [0, 0, size[0], size[1]])
            }
            (FamilyKind::V6, Complaint::TimeExceeded) => (3, 0, [0; 4]),
            (FamilyKind::V6, Complaint::ParameterProblem) => (4, 0, [0, 0, 0, 40]),
        }
    }
}

/// A complaint about a packet, of which it quotes as much as is given.
#[must_use]
pub fn icmp_error<F: TestFamily>(from: Who, to: Who, complaint: Complaint, quoted: &[u8]) -> Draft<F> {
    let (kind, code, rest) = complaint.head(F::KIND);
    message(from, to, kind, code, rest).payload(quoted)
}

/// What a node answers to a packet that it refuses: from the address that was dialled, with the begin of the packet.
#[must_use]
pub fn refusal<F: TestFamily>(refused: &Draft<F>) -> Draft<F> {
    let packet = refused.packet();
    let quote = packet.len().min(128) / 4 * 4;
    let (kind, code, rest) = Complaint::PortUnreachable.head(F::KIND);
    let (from, to) = (refused.destination.address, refused.source.address);
    let end = |address| Peer::new(address, Port::default());
    let mut draft = Draft::new(end(from), end(to), Body::Icmp { kind, code, rest }).payload(&packet[..quote]);
    draft.link.to = refused.link.from;
    draft.link.from = refused.link.to;
    draft.network.identification = 0;
    if F::KIND == FamilyKind::V4 {
        draft.network.class = 0xc0;
    }
    draft
}

/// The news that a packet would better go by another router.
#[must_use]
pub fn redirect<F: TestFamily>(from: Who, to: Who, gateway: Who, quoted: &[u8]) -> Draft<F> {
    let gateway = F::bytes(&F::address(gateway));
    match F::KIND {
        FamilyKind::V4 => {
            let rest = [gateway[0], gateway[1], gateway[2], gateway[3]];
            message(from, to, 5, 1, rest).payload(quoted)
        }
        FamilyKind::V6 => {
            // Target, destination, and a redirected header option, in units of eight bytes (RFC 4861 section 4.5).
            let destination = quoted.get(24..40).unwrap_or(&[0; 16]);
            let mut payload = [&gateway[..], destination].concat();
            // A link-layer address stands first, as routers send it.
            payload.extend([2, 1, 2, 0, 0, 0, 0, 9]);
            let units = u8::try_from(1 + quoted.len().div_ceil(8)).expect("a quote is short");
            payload.extend([4, units, 0, 0, 0, 0, 0, 0]);
            payload.extend_from_slice(quoted);
            payload.resize(payload.len().next_multiple_of(8), 0);
            message(from, to, 137, 0, [0; 4]).payload(&payload)
        }
    }
}

/// A question that asks for an answer.
#[must_use]
pub fn echo<F: TestFamily>(from: Who, to: Who) -> Draft<F> {
    let kind = match F::KIND {
        FamilyKind::V4 => 8,
        FamilyKind::V6 => 128,
    };
    message(from, to, kind, 0, [0, 1, 0, 1]).payload(b"are you there?!!")
}

fn message<F: TestFamily>(from: Who, to: Who, kind: u8, code: u8, rest: [u8; 4]) -> Draft<F> {
    let end = |who| Peer::new(F::address(who), Port::default());
    Draft::new(end(from), end(to), Body::Icmp { kind, code, rest })
}
