//! The answer to a packet for a service without endpoints: port unreachable (RFC 792, RFC 4443 section 3.1), from the
//! address that was dialled.

use proxy_common::{
    family::{Family, FamilyKind, V4, V6},
    net::{Address as _, Ip4, Ip6},
};

use crate::{
    frame::{Bytes, Frame},
    parse::Segment,
    rewrite::checksum::{add, fold},
    work::Work,
};

/// How much of the refused packet is quoted at the most: its headers, and more than the eight bytes behind them that a
/// sender needs to find its socket.
const QUOTE: u32 = 128;
/// As Linux marks what it has to say itself: internetwork control (RFC 1812 section 4.3.2.5).
const INTERNETWORK_CONTROL: u8 = 0xc0;
const HOPS: u8 = 64;

/// How many refusals one processor sends in a second. Linux's own limit is 1,000 for the machine
/// (`icmp_msgs_per_sec`).
pub const PER_SECOND: u64 = 1_000;

/// What is put before the quoted packet.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// Network and ICMP header; of IPv4 the first 28 bytes.
    pub headers: Bytes<48>,
    /// How many bytes of the refused packet follow.
    pub quote: u32,
}

/// Length of network and ICMP header in bytes.
#[inline(always)]
#[must_use]
pub const fn headers_length<F: Family>() -> u32 {
    F::HEADER_LEN + 8
}

impl Default for Refusal {
    fn default() -> Self {
        Refusal {
            headers: Bytes([0; 48]),
            quote: 0,
        }
    }
}

/// Leaves the answer to the segment in `work` there; whether there is one.
#[inline(never)]
pub fn prepare<F: Family, Fr: Frame>(frame: &Fr, work: &mut Work<F>) -> bool {
    match refusal(frame, &work.segment) {
        Some(refusal) => {
            work.refusal = refusal;
            true
        }
        None => false,
    }
}

/// The answer to the segment in a frame.
#[inline(always)]
pub fn refusal<F: Family>(frame: &impl Frame, segment: &Segment<F>) -> Option<Refusal> {
    let quote = if segment.end < QUOTE { segment.end & !3 } else { QUOTE };
    // Where the compiler knows that steps of four end at the quote's very end, it asks for "not equal" instead of
    // "less", and the verifier sees no end of the loop.
    let end = core::hint::black_box(quote);
    let mut sum = 0;
    let mut at = 0;
    while at < end && at < QUOTE {
        let word = frame.read::<4>(at)?;
        sum = add(sum, u32::from_be_bytes(word.0));
        at += 4;
    }
    let (source, destination) = (
        segment.tuple.destination.address.widen(),
        segment.tuple.source.address.widen(),
    );
    let headers = match F::KIND {
        FamilyKind::V4 => v4_headers(Ip4::narrow(&source), Ip4::narrow(&destination), quote, sum),
        FamilyKind::V6 => v6_headers(source, destination, quote, sum),
    };
    Some(Refusal { headers, quote })
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a quote is at most 128 bytes")]
fn v4_headers(source: Ip4, destination: Ip4, quote: u32, quoted: u32) -> Bytes<48> {
    let mut bytes = [0; 48];
    let length = ((V4::HEADER_LEN + 8 + quote) as u16).to_be_bytes();
    bytes[0] = 0x45;
    bytes[1] = INTERNETWORK_CONTROL;
    bytes[2] = length[0];
    bytes[3] = length[1];
    bytes[8] = HOPS;
    bytes[9] = V4::ICMP;
    let header = [
        0x4500 | u32::from(INTERNETWORK_CONTROL),
        quote + 28,
        u32::from(HOPS) << 8 | u32::from(V4::ICMP),
    ];
    let mut sum = add(add(header[0], header[1]), header[2]);
    sum = add(add(sum, source.to_u32()), destination.to_u32());
    let checksum = (!fold(sum)).to_be_bytes();
    bytes[10] = checksum[0];
    bytes[11] = checksum[1];
    bytes[12..20].copy_from_slice(&bytemuck::must_cast::<_, [u8; 8]>([source, destination]));
    // Destination unreachable, port unreachable.
    bytes[20] = 3;
    bytes[21] = 3;
    let message = (!fold(add(quoted, 0x0303))).to_be_bytes();
    bytes[22] = message[0];
    bytes[23] = message[1];
    Bytes(bytes)
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a quote is at most 128 bytes")]
fn v6_headers(source: Ip6, destination: Ip6, quote: u32, quoted: u32) -> Bytes<48> {
    let mut bytes = [0; 48];
    let length = ((8 + quote) as u16).to_be_bytes();
    bytes[0] = 0x60;
    bytes[4] = length[0];
    bytes[5] = length[1];
    bytes[6] = V6::ICMP;
    bytes[7] = HOPS;
    let mut sum = add(quoted, 0x0104);
    // The pseudo header (RFC 8200 section 8.1).
    sum = add(sum, 8 + quote);
    sum = add(sum, u32::from(V6::ICMP));
    let mut i = 0;
    while i < 16 {
        bytes[8 + i] = source.0[i];
        bytes[24 + i] = destination.0[i];
        i += 1;
    }
    let mut i = 0;
    while i < 16 {
        sum = add(
            sum,
            u32::from_be_bytes([source.0[i], source.0[i + 1], source.0[i + 2], source.0[i + 3]]),
        );
        sum = add(
            sum,
            u32::from_be_bytes([
                destination.0[i],
                destination.0[i + 1],
                destination.0[i + 2],
                destination.0[i + 3],
            ]),
        );
        i += 4;
    }
    // Destination unreachable, port unreachable.
    bytes[40] = 1;
    bytes[41] = 4;
    let checksum = (!fold(sum)).to_be_bytes();
    bytes[42] = checksum[0];
    bytes[43] = checksum[1];
    Bytes(bytes)
}
