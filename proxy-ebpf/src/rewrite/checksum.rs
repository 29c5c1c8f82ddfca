//! One's complement arithmetic (RFC 1071, RFC 1624). The kernel does it for packets; this is for what packets quote,
//! and for frames in memory.

/// Adds two sums with the carry brought round.
#[inline(always)]
#[must_use]
pub const fn add(a: u32, b: u32) -> u32 {
    let (sum, carry) = a.overflowing_add(b);
    sum + carry as u32
}

/// Folds a sum to 16 bits.
#[inline(always)]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "two folds leave no more than 16 bits")]
pub const fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

/// The checksum after some 16-bit words it covers were replaced: HC' = ~(~HC + ~m + m') (RFC 1624 section 3).
#[inline(always)]
#[must_use]
pub fn updated<const N: usize>(checksum: u16, old: &[u8; N], new: &[u8; N]) -> u16 {
    let mut sum = u32::from(!checksum);
    let mut i = 0;
    while i + 1 < N {
        sum = add(sum, u32::from(!u16::from_be_bytes([old[i], old[i + 1]])));
        sum = add(sum, u32::from(u16::from_be_bytes([new[i], new[i + 1]])));
        i += 2;
    }
    !fold(sum)
}
