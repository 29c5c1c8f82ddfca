//! Checksums from nothing, slowly: what the incremental ones are measured against.

/// The Internet checksum over some parts, of which only the last may be of odd length (RFC 1071).
#[must_use]
pub fn internet(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for part in parts {
        for pair in part.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u64::from(u16::from_be_bytes([pair[0], low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

/// CRC32c as it stands in an SCTP packet (RFC 9260 appendix A).
#[must_use]
pub fn crc32c(parts: &[&[u8]]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in parts.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    (!crc).to_le_bytes()
}

/// What TCP, UDP and ICMPv6 cover of the network header (RFC 9293 section 3.1, RFC 8200 section 8.1), up to the order
/// of its fields and zeroes, which do not matter to the sum.
#[must_use]
pub fn pseudo_header(source: &[u8], destination: &[u8], protocol: u8, length: usize) -> Vec<u8> {
    let length = u32::try_from(length).expect("a packet is short");
    [source, destination, &length.to_be_bytes(), &[0, protocol]].concat()
}

/// Puts a number at a place.
pub fn put(bytes: &mut [u8], at: usize, number: u16) {
    bytes[at..at + 2].copy_from_slice(&number.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_internet_checksum_is_that_of_the_rfcs_example() {
        // RFC 1071 section 3: the sum of these is ddf2.
        let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(internet(&[&example]), !0xddf2);
    }

    #[test]
    fn the_crc_gives_the_published_check_value() {
        assert_eq!(u32::from_le_bytes(crc32c(&[b"1234", b"56789"])), 0xe306_9283);
    }
}
