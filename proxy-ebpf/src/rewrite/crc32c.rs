//! SCTP's CRC32c after its ports have changed (RFC 9260 section 6.8).
//!
//! A CRC is linear: crc(a ^ b) = crc(a) ^ crc'(b) for messages of equal length, where crc' starts from zero. So the
//! new checksum is the old one, changed by the CRC of the difference, which is zero but for the first four bytes. Zero
//! bytes behind them multiply by x^8 each, modulo the polynomial, and powers of that are combined by squaring.

use proxy_common::reason::Reason;

use crate::frame::{Bytes, Frame, Sums};

/// The Castagnoli polynomial, bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// How many powers there are: a packet is shorter than 2^17 bytes.
const POWERS: usize = 17;

/// `SHIFTS[k][n][v]` is what 2^k zero bytes make of a checksum whose n-th four bits, counted from the lowest, are v, and
/// whose other bits are zero. Eight of them together make up for any checksum. Tables and no arithmetic by bits: the
/// verifier would follow each of hundreds of bits wherever a packet is rewritten.
static SHIFTS: [[[u32; 16]; 8]; POWERS] = shifts();

const fn shifts() -> [[[u32; 16]; 8]; POWERS] {
    let mut table = [[[0; 16]; 8]; POWERS];
    // x^8: bit 31 is x^0.
    let mut power = 1 << 23;
    let mut k = 0;
    while k < POWERS {
        let mut n = 0;
        while n < 8 {
            let mut value = 0;
            while value < 16 {
                table[k][n][value as usize] = multiply(power, value << (4 * n));
                value += 1;
            }
            n += 1;
        }
        power = multiply(power, power);
        k += 1;
    }
    table
}

/// The product of two polynomials modulo the polynomial, bits reversed.
const fn multiply(a: u32, b: u32) -> u32 {
    let (mut product, mut power, mut bit) = (0, b, 0);
    while bit < 32 {
        if a & (1 << (31 - bit)) != 0 {
            product ^= power;
        }
        power = (power >> 1) ^ if power & 1 != 0 { POLYNOMIAL } else { 0 };
        bit += 1;
    }
    product
}

/// What 2^k zero bytes make of a checksum.
#[inline(always)]
fn shifted(crc: u32, k: usize) -> u32 {
    let mut product = 0;
    let mut n = 0;
    while n < 8 {
        product ^= SHIFTS[k][n][(crc >> (4 * n)) as usize & 15];
        n += 1;
    }
    product
}

/// What a checksum is changed by when the first four of the bytes it covers change, and `behind` bytes follow them.
#[inline(always)]
#[must_use]
pub fn difference(old: [u8; 4], new: [u8; 4], behind: u32) -> u32 {
    // Four bytes have the checksum that four zero bytes make of them.
    let mut crc = shifted(u32::from_le_bytes(old) ^ u32::from_le_bytes(new), 2);
    let mut k = 0;
    while k < POWERS {
        // All bits or none, without a branch.
        let chosen = core::hint::black_box(0_u32.wrapping_sub(behind >> k & 1));
        crc = (shifted(crc, k) & chosen) | (crc & !chosen);
        k += 1;
    }
    crc
}

/// Replaces the ports of an SCTP packet that stretches from `transport` to `end`, and its checksum. One of zero is not
/// there yet: the card, or the kernel before it, computes it over the whole packet with zero in its place.
#[inline(always)]
pub(super) fn replace_ports(
    frame: &mut impl Frame,
    transport: u32,
    end: u32,
    old: &Bytes<4>,
    new: &Bytes<4>,
) -> Result<(), Reason> {
    let checksum = frame.read::<4>(transport + 8).ok_or(Reason::RewriteFailed)?;
    let changed = difference(old.0, new.0, end.saturating_sub(transport + 4));
    let updated = Bytes((u32::from_le_bytes(checksum.0) ^ changed).to_le_bytes());
    frame.replace::<4>(transport, old, new, Sums::default())?;
    if checksum.0 == [0; 4] {
        return Ok(());
    }
    frame.replace::<4>(transport + 8, &checksum, &updated, Sums::default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn crc32c(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ if crc & 1 != 0 { POLYNOMIAL } else { 0 };
            }
        }
        !crc
    }

    #[test]
    fn the_slow_crc_gives_the_published_check_value() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn changing_the_first_four_bytes_changes_the_crc_as_computed(
            mut message in prop::collection::vec(any::<u8>(), 4..3000), new: [u8; 4]
        ) {
            let old = [message[0], message[1], message[2], message[3]];
            let before = crc32c(&message);
            message[..4].copy_from_slice(&new);
            let behind = u32::try_from(message.len() - 4).expect("short");
            prop_assert_eq!(crc32c(&message), before ^ difference(old, new, behind));
        }
    }
}
