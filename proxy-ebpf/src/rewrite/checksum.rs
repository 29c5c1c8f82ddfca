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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn computed(bytes: &[u8]) -> u16 {
        let words = bytes
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        !fold(words.fold(0, add))
    }

    proptest! {
        /// 0 and 0xffff are one number; of bytes that are not all zero no sum is 0.
        #[test]
        fn an_updated_checksum_is_the_computed_one(
            mut words in prop::collection::vec(any::<u16>(), 3..400), at in any::<prop::sample::Index>(), new: [u8; 4]
        ) {
            words[0] |= 1;
            let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            let at = 2 + at.index(words.len() - 2) * 2;
            let before = computed(&bytes);
            let old = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
            bytes[at..at + 4].copy_from_slice(&new);
            prop_assert_eq!(updated(before, &old, &new), computed(&bytes));
        }

        #[test]
        fn what_is_taken_back_leaves_the_checksum_as_it_was(before in 0_u16..0xffff, old: [u8; 32], new: [u8; 32]) {
            prop_assert_eq!(updated(updated(before, &old, &new), &new, &old), before);
        }

        #[test]
        fn a_sum_does_not_depend_on_the_order(a: u32, b: u32, c: u32) {
            prop_assert_eq!(fold(add(add(a, b), c)), fold(add(a, add(c, b))));
        }
    }
}
