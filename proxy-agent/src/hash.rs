//! A hash for names that others must find again: it stays the same from version to version.

/// FNV-1a of 64 bits (Fowler, Noll, Vo).
pub(crate) fn stable(bytes: &[u8]) -> u64 {
    let hash = 0xcbf2_9ce4_8422_2325;
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", 0xcbf2_9ce4_8422_2325)]
    #[case("a", 0xaf63_dc4c_8601_ec8c)]
    #[case("foobar", 0x8594_4171_f739_67e8)]
    fn it_is_fnv_1a(#[case] text: &str, #[case] expected: u64) {
        assert_eq!(stable(text.as_bytes()), expected);
    }
}
