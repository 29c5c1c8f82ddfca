//! Checksums of a captured frame, computed anew (RFC 1071) and compared with what is in it.

use std::net::IpAddr;

const ETHERNET: usize = 14;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Whether a frame is an IP packet to `receiver`.
pub fn is_for(frame: &[u8], receiver: IpAddr) -> bool {
    let packet = frame.get(ETHERNET..).unwrap_or_default();
    match (frame.get(12..14), receiver) {
        (Some([0x08, 0x00]), IpAddr::V4(own)) => packet.get(16..20) == Some(&own.octets()),
        (Some([0x86, 0xdd]), IpAddr::V6(own)) => packet.get(24..40) == Some(&own.octets()),
        _ => false,
    }
}

/// Says what is wrong with a frame that came in for `receiver`; `None` when all its checksums are right, and for frames
/// that are for somebody else, not IP, or later fragments.
pub fn wrong_checksum(frame: &[u8], receiver: IpAddr) -> Option<String> {
    if !is_for(frame, receiver) {
        return None;
    }
    wrong_in_packet(frame.get(ETHERNET..)?)
}

/// Says what is wrong with a packet that begins with its IP header; `None` when all its checksums are right, and for
/// fragments.
pub fn wrong_in_packet(packet: &[u8]) -> Option<String> {
    match packet.first()? >> 4 {
        4 => wrong_in_v4(packet),
        6 => wrong_in_v6(packet),
        version => Some(format!("version {version}")),
    }
}

fn wrong_in_v4(packet: &[u8]) -> Option<String> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let (source, destination) = (packet.get(12..16)?, packet.get(16..20)?);
    if sum(&[packet.get(..header)?]) != 0xffff {
        return Some(format!("IPv4 header from {source:?}"));
    }
    let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    let payload = packet.get(header..total)?;
    let fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff;
    if fragment != 0 {
        return None;
    }
    wrong_in_payload(packet[9], source, destination, payload)
}

fn wrong_in_v6(packet: &[u8]) -> Option<String> {
    let (source, destination) = (packet.get(8..24)?, packet.get(24..40)?);
    let length = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    wrong_in_payload(packet[6], source, destination, packet.get(40..40 + length)?)
}

fn wrong_in_payload(protocol: u8, source: &[u8], destination: &[u8], payload: &[u8]) -> Option<String> {
    if protocol == UDP && payload.get(6..8)? == [0, 0] {
        // Only IPv4 may leave it out (RFC 768, RFC 8200 section 8.1).
        return (source.len() != 4).then(|| "UDP over IPv6 without a checksum".to_owned());
    }
    let length = u32::try_from(payload.len()).ok()?.to_be_bytes();
    let pseudo = [source, destination, &length, &[0, 0, 0, protocol]].concat();
    let total = match protocol {
        TCP | UDP | ICMPV6 => sum(&[&pseudo, payload]),
        ICMP => sum(&[payload]),
        _ => return None,
    };
    let ports = payload.get(..4).unwrap_or_default();
    (total != 0xffff).then(|| {
        format!(
            "protocol {protocol}, ports {ports:?}, from {source:?}, {} bytes",
            payload.len()
        )
    })
}

/// The one's complement sum of parts of which only the last may have an odd length.
pub(super) fn sum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut total: u64 = words
        .map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |low| u64::from(*low)))
        .sum();
    while total > 0xffff {
        total = (total >> 16) + (total & 0xffff);
    }
    u16::try_from(total).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A UDP datagram of four bytes from 10.0.0.1:1000 to 10.0.0.2:53, its checksums worked out by hand.
    fn datagram() -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00]);
        frame.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0x66, 0xcb, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0x03, 0xe8, 0, 53, 0, 12, 0x22, 0xf0, 0x61, 0x62, 0x63, 0x64]);
        frame
    }

    #[test]
    fn a_right_datagram_is_right_and_any_changed_byte_is_not() {
        let receiver = IpAddr::from([10, 0, 0, 2]);
        assert_eq!(wrong_checksum(&datagram(), receiver), None);
        for at in [14 + 1, 14 + 12, 34, 35, 38, 44] {
            let mut changed = datagram();
            changed[at] ^= 0x10;
            assert!(wrong_checksum(&changed, receiver).is_some(), "byte {at}");
        }
    }

    #[test]
    fn frames_for_others_are_not_looked_at() {
        assert_eq!(wrong_checksum(&datagram(), IpAddr::from([10, 0, 0, 9])), None);
    }
}
