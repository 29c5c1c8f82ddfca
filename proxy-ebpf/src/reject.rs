//! The answer to a packet that no endpoint of a service gets: port unreachable (RFC 792, RFC 4443 section 3.1), from the
//! address that was dialled.

use proxy_common::{
    family::{Family, FamilyKind, V4, V6},
    net::{Address as _, Ip4, Ip6, Protocol},
};

use crate::{
    frame::{Bytes, Frame, SCRATCH},
    parse::{Segment, transport::checksum_offset},
    rewrite::checksum::{add, fold},
    work::Work,
};

/// How much of the refused packet is quoted at the most: its headers, and more than the eight bytes behind them that a
/// sender needs to find its socket.
const QUOTE: u32 = SCRATCH;
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
    let tuple = &work.segment.tuple;
    let ends = [tuple.destination.address, tuple.source.address].map(|end| end.widen());
    let addresses = sum_of(&ends);
    let length = quote_length(&work.segment);
    let Some(sum) = sum_of_quote(frame, work, addresses) else {
        return false;
    };
    work.refusal.quote = length;
    work.refusal.headers = match F::KIND {
        FamilyKind::V4 => v4_headers(ends.map(|end| Ip4::narrow(&end)), addresses, length, sum),
        FamilyKind::V6 => v6_headers(ends, addresses, length, sum),
    };
    true
}

#[inline(always)]
const fn quote_length<F: Family>(segment: &Segment<F>) -> u32 {
    if segment.end < QUOTE { segment.end & !3 } else { QUOTE }
}

/// The sum over what is quoted, as it will be when the packet leaves. A checksum that its sender has left to the card is
/// in the quote, and so are the orders to complete it, which nothing takes from a packet any more: it becomes that of
/// what is quoted behind it. Until then the kernel takes what bears such orders for intact. A checksum that is left to
/// the card is known by being the sum of the pseudo header; of a whole quote whose checksum is that by chance, nothing
/// changes. SCTP's is no sum.
#[inline(always)]
fn sum_of_quote<F: Family>(frame: &impl Frame, work: &mut Work<F>, addresses: u32) -> Option<u32> {
    let segment = &work.segment;
    let (length, transport) = (quote_length(segment), segment.transport);
    let all = u32::from(frame.sum(0, length, &mut work.scratch)?);
    let at = transport + checksum_offset(segment.tuple.protocol);
    if segment.tuple.protocol == Protocol::Sctp || at + 2 > length {
        return Some(all);
    }
    let checksum = frame.read::<2>(at)?.number::<0>();
    let covered = u32::from(segment.tuple.protocol.number()) + segment.end.saturating_sub(transport);
    if checksum != fold(add(addresses, covered)) {
        return Some(all);
    }
    let completed = !frame.sum(transport, length - transport, &mut work.scratch)?;
    Some(add(add(all, u32::from(!checksum)), u32::from(completed)))
}

/// The sum over two addresses.
#[inline(always)]
fn sum_of(ends: &[Ip6; 2]) -> u32 {
    let words: [u32; 8] = bytemuck::must_cast(*ends);
    words.iter().fold(0, |sum, word| add(sum, u32::from_be(*word)))
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a quote is at most 128 bytes")]
fn v4_headers(ends: [Ip4; 2], addresses: u32, quote: u32, quoted: u32) -> Bytes<48> {
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
    let sum = add(add(header[0], header[1]), header[2]);
    let checksum = (!fold(add(sum, addresses))).to_be_bytes();
    bytes[10] = checksum[0];
    bytes[11] = checksum[1];
    bytes[12..20].copy_from_slice(&bytemuck::must_cast::<_, [u8; 8]>(ends));
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
fn v6_headers(ends: [Ip6; 2], addresses: u32, quote: u32, quoted: u32) -> Bytes<48> {
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
    sum = add(add(sum, u32::from(V6::ICMP)), addresses);
    bytes[8..40].copy_from_slice(&bytemuck::must_cast::<_, [u8; 32]>(ends));
    // Destination unreachable, port unreachable.
    bytes[40] = 1;
    bytes[41] = 4;
    let checksum = (!fold(sum)).to_be_bytes();
    bytes[42] = checksum[0];
    bytes[43] = checksum[1];
    Bytes(bytes)
}
