//! SCTP's CRC32c after its ports have changed (RFC 9260 section 6.8).
//!
//! A CRC is linear: crc(a ^ b) = crc(a) ^ crc'(b) for messages of equal length, where crc' starts from zero. So the
//! new checksum is the old one, changed by the CRC of the difference, which is zero but for the first four bytes. Zero
//! bytes behind them multiply by x^8 each, modulo the polynomial, and powers of that are combined by squaring.

use proxy_common::reason::Reason;

use crate::frame::{Bytes, Frame, Sums};

/// The Castagnoli polynomial, bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `POWERS[k]` is x^(8 * 2^k) modulo the polynomial, bits reversed: what 2^k zero bytes multiply by.
const POWERS: [u32; 17] = powers();

const fn powers() -> [u32; 17] {
    let mut table = [0; 17];
    // x^8: bit 31 is x^0.
    table[0] = 1 << 23;
    let mut k = 1;
    while k < 17 {
        table[k] = multiply(table[k - 1], table[k - 1]);
        k += 1;
    }
    table
}

/// The product of two polynomials modulo the polynomial, bits reversed.
#[inline(always)]
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

/// The CRC of four bytes, started from zero.
#[inline(always)]
const fn crc_of_word(bytes: [u8; 4]) -> u32 {
    let mut crc = u32::from_le_bytes(bytes);
    let mut bit = 0;
    while bit < 32 {
        crc = (crc >> 1) ^ if crc & 1 != 0 { POLYNOMIAL } else { 0 };
        bit += 1;
    }
    crc
}

/// What a checksum is changed by when the first four of the bytes it covers change, and `behind` bytes follow them.
#[inline(always)]
#[must_use]
pub const fn difference(old: [u8; 4], new: [u8; 4], behind: u32) -> u32 {
    let mut crc = crc_of_word([old[0] ^ new[0], old[1] ^ new[1], old[2] ^ new[2], old[3] ^ new[3]]);
    let mut k = 0;
    while k < 17 {
        if behind & (1 << k) != 0 {
            crc = multiply(POWERS[k], crc);
        }
        k += 1;
    }
    crc
}

/// Replaces the ports of an SCTP packet that stretches from `transport` to `end`, and its checksum.
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
