//! Whether a receiver would take a packet: every checksum in it, computed from nothing, and every length. What is read
//! here is read apart from the library's own parser.

use proxy_common::{
    family::{Family, FamilyKind},
    net::Protocol,
};

use super::packet::sums::{crc32c, internet, pseudo_header};

/// What is wrong with a packet; empty if nothing is. A fragment's transport checksum is not looked at.
#[must_use]
pub fn faults<F: Family>(packet: &[u8]) -> Vec<String> {
    let mut faults = Vec::new();
    match header::<F>(packet) {
        Ok(header) => check(&header, packet, &mut faults),
        Err(fault) => faults.push(fault),
    }
    faults
}

/// The pieces of a fragmented packet, put together again: what the transport sees, with the first piece's header.
///
/// # Panics
///
/// If a piece cannot be read.
#[must_use]
pub fn reassembled<F: Family>(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut message = Vec::new();
    for piece in pieces {
        let header = header::<F>(piece).expect("a piece has a header");
        let end = header.offset + header.message.len();
        message.resize(end.max(message.len()), 0);
        message[header.offset..end].copy_from_slice(header.message);
    }
    message
}

/// What is wrong with the transport header of a packet whose pieces were put together.
///
/// # Panics
///
/// If the first piece cannot be read.
#[must_use]
pub fn faults_of_whole<F: Family>(pieces: &[Vec<u8>]) -> Vec<String> {
    let message = reassembled::<F>(pieces);
    let first = header::<F>(&pieces[0]).expect("a piece has a header");
    let mut faults = Vec::new();
    check_message(
        &Header {
            message: &message,
            is_fragment: false,
            ..first
        },
        &mut faults,
    );
    faults
}

/// A packet as a receiver reads it.
struct Header<'a> {
    family: FamilyKind,
    source: &'a [u8],
    destination: &'a [u8],
    protocol: u8,
    /// The network header, if it has a checksum.
    summed: Option<&'a [u8]>,
    /// What is behind the network header and its extensions.
    message: &'a [u8],
    offset: usize,
    is_fragment: bool,
}

fn header<F: Family>(packet: &[u8]) -> Result<Header<'_>, String> {
    match F::KIND {
        FamilyKind::V4 => v4(packet),
        FamilyKind::V6 => v6(packet),
    }
    .ok_or_else(|| "the packet is shorter than its header says".to_owned())
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?)))
}

fn v4(packet: &[u8]) -> Option<Header<'_>> {
    let length = usize::from(packet.first()? & 0x0f) * 4;
    let field = number(packet, 6)?;
    Some(Header {
        family: FamilyKind::V4,
        source: packet.get(12..16)?,
        destination: packet.get(16..20)?,
        protocol: packet[9],
        summed: Some(packet.get(..length)?),
        message: packet.get(length..number(packet, 2)?)?,
        offset: (field & 0x1fff) * 8,
        is_fragment: field & 0x3fff != 0,
    })
}

fn v6(packet: &[u8]) -> Option<Header<'_>> {
    let (source, destination) = (packet.get(8..24)?, packet.get(24..40)?);
    let mut rest = packet.get(40..40 + number(packet, 4)?)?;
    let (mut next, mut offset, mut is_fragment) = (packet[6], 0, false);
    while [0, 43, 44, 51, 60].contains(&next) && offset == 0 {
        let length = usize::from(*rest.get(1)?);
        let size = match next {
            44 => {
                let field = number(rest, 2)?;
                (offset, is_fragment) = (field & 0xfff8, field & 0xfff9 != 0);
                8
            }
            51 => (length + 2) * 4,
            _ => (length + 1) * 8,
        };
        next = rest[0];
        rest = rest.get(size..)?;
    }
    Some(Header {
        family: FamilyKind::V6,
        source,
        destination,
        protocol: next,
        summed: None,
        message: rest,
        offset,
        is_fragment,
    })
}

fn check(header: &Header<'_>, packet: &[u8], faults: &mut Vec<String>) {
    if header.summed.is_some_and(|bytes| internet(&[bytes]) != 0) {
        faults.push(format!("the header checksum is wrong: {:02x?}", &packet[10..12]));
    }
    check_message(header, faults);
}

fn check_message(header: &Header<'_>, faults: &mut Vec<String>) {
    if header.is_fragment {
        return;
    }
    let fault = match (header.family, Protocol::from_number(header.protocol)) {
        (_, Some(Protocol::Tcp)) => covered(header, "TCP"),
        (_, Some(Protocol::Udp)) => datagram(header),
        (_, Some(Protocol::Sctp)) => sctp(header),
        (FamilyKind::V4, None) if header.protocol == 1 => {
            check_quote(header, 8, faults);
            (internet(&[header.message]) != 0).then(|| "the ICMP checksum is wrong".to_owned())
        }
        (FamilyKind::V6, None) if header.protocol == 58 => {
            check_quote(header, 8, faults);
            covered(header, "ICMPv6")
        }
        (FamilyKind::V4 | FamilyKind::V6, None) => None,
    };
    faults.extend(fault);
}

fn covered(header: &Header<'_>, name: &str) -> Option<String> {
    let pseudo = pseudo_header(header.source, header.destination, header.protocol, header.message.len());
    (internet(&[&pseudo, header.message]) != 0).then(|| format!("the {name} checksum is wrong"))
}

fn datagram(header: &Header<'_>) -> Option<String> {
    let checksum = header.message.get(6..8)?;
    let none = checksum == [0, 0];
    match header.family {
        FamilyKind::V4 if none => None,
        FamilyKind::V6 if none => Some("a UDP datagram over IPv6 has no checksum".to_owned()),
        FamilyKind::V4 | FamilyKind::V6 => covered(header, "UDP"),
    }
}

fn sctp(header: &Header<'_>) -> Option<String> {
    let (head, tail) = (header.message.get(..8)?, header.message.get(12..)?);
    let wrong = header.message[8..12] != crc32c(&[head, &[0; 4], tail]);
    wrong.then(|| "the SCTP checksum is wrong".to_owned())
}

/// An error quotes a packet: of that the header's own checksum, and the transport's if all of it is there.
fn check_quote(header: &Header<'_>, at: usize, faults: &mut Vec<String>) {
    let is_error = match header.family {
        FamilyKind::V4 => [3, 11, 12].contains(&header.message[0]),
        FamilyKind::V6 => header.message[0] < 128,
    };
    let Some(quote) = header.message.get(at..).filter(|_| is_error) else {
        return;
    };
    if header.family == FamilyKind::V4 {
        let length = usize::from(quote.first().map_or(0, |first| first & 0x0f)) * 4;
        if quote.get(..length).is_some_and(|bytes| internet(&[bytes]) != 0) {
            faults.push("the quoted header's checksum is wrong".to_owned());
        }
    }
    let whole = match header.family {
        FamilyKind::V4 => v4(quote),
        FamilyKind::V6 => v6(quote),
    };
    // Of a quoted SCTP packet its receiver looks at the verification tag, not at the checksum (RFC 9260 section 10).
    if let Some(quoted) = whole.filter(|quoted| quoted.protocol != Protocol::Sctp.number()) {
        let mut inner = Vec::new();
        check_message(&quoted, &mut inner);
        faults.extend(inner.into_iter().map(|fault| format!("in the quote: {fault}")));
    }
}
