//! The first packet of a flow, as it stands on an Ethernet.

use std::net::{IpAddr, SocketAddr};

use proxy_common::net::Protocol;

use super::Question;

const HOPS: u8 = 64;

/// A frame with a SYN, a datagram or an INIT of the question's addresses and ports.
pub(super) fn first(question: &Question) -> Vec<u8> {
    let Question {
        source,
        destination,
        protocol,
    } = *question;
    let transport = transport(source, destination, protocol);
    let mut frame = vec![0; 12];
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            frame.extend([0x08, 0x00]);
            let length = u16::try_from(20 + transport.len()).unwrap_or(u16::MAX).to_be_bytes();
            let mut header = vec![
                0x45,
                0,
                length[0],
                length[1],
                0,
                0,
                0x40,
                0,
                HOPS,
                protocol.number(),
                0,
                0,
            ];
            header.extend(from.octets());
            header.extend(to.octets());
            let checksum = checksum(&header).to_be_bytes();
            header[10..12].copy_from_slice(&checksum);
            frame.extend(header);
        }
        (from, to) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(u16::try_from(transport.len()).unwrap_or(u16::MAX).to_be_bytes());
            frame.extend([protocol.number(), HOPS]);
            frame.extend(crate::address::widen(from).0);
            frame.extend(crate::address::widen(to).0);
        }
    }
    frame.extend(transport);
    frame
}

/// Without a checksum: the packet goes nowhere.
fn transport(source: SocketAddr, destination: SocketAddr, protocol: Protocol) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(source.port().to_be_bytes());
    header.extend(destination.port().to_be_bytes());
    match protocol {
        // Sequence and acknowledgement, five words, SYN, window, checksum, urgent.
        Protocol::Tcp => header.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]),
        Protocol::Udp => header.extend([0, 8, 0, 0]),
        // Tag and checksum, and a chunk INIT of 20 bytes with one stream each way.
        Protocol::Sctp => {
            header.extend([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20]);
            header.extend([0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
        }
    }
    header
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let words = header
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_header_checksum_is_that_of_a_known_packet() {
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00,
            0xc7,
        ];
        assert_eq!(checksum(&header), 0xb861);
    }

    #[rstest]
    #[case("10.0.0.1:1", "10.0.0.2:2", Protocol::Tcp, 14 + 20 + 20)]
    #[case("10.0.0.1:1", "10.0.0.2:2", Protocol::Udp, 14 + 20 + 8)]
    #[case("[fd00::1]:1", "[fd00::2]:2", Protocol::Sctp, 14 + 40 + 32)]
    fn a_packet_has_all_its_headers(
        #[case] source: SocketAddr,
        #[case] destination: SocketAddr,
        #[case] protocol: Protocol,
        #[case] length: usize,
    ) {
        assert_eq!(
            first(&Question {
                source,
                destination,
                protocol
            })
            .len(),
            length
        );
    }
}
