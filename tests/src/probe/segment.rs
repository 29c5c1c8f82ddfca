//! One TCP segment without data in an Ethernet frame over IPv4, made and read byte for byte.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::checksum::sum;

/// The length of such a frame.
pub(super) const LENGTH: usize = 54;

/// A hardware address.
pub type Mac = [u8; 6];

/// A hardware address as tools print it.
pub(super) fn mac(text: &str) -> Option<Mac> {
    let octets: Option<Vec<u8>> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
    octets?.try_into().ok()
}

/// The flag of the first segment.
pub(super) const SYN: u8 = 0x02;
/// The flag of every later one.
pub(super) const ACK: u8 = 0x10;

/// What there is to say of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its sender.
    pub(super) from: SocketAddrV4,
    /// Its receiver.
    pub(super) to: SocketAddrV4,
    /// Its sequence number.
    pub(super) sequence: u32,
    /// The next sequence number that the sender waits for; 0 without [`ACK`].
    pub(super) acknowledged: u32,
    /// [`SYN`], [`ACK`].
    pub(super) flags: u8,
}

impl Segment {
    /// The frame from one device to the next, with all checksums.
    pub(super) fn frame(&self, source: Mac, destination: Mac) -> [u8; LENGTH] {
        let mut frame = [0; LENGTH];
        frame[..6].copy_from_slice(&destination);
        frame[6..12].copy_from_slice(&source);
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        let (ip, tcp) = frame[14..].split_at_mut(20);
        // Version and length, no type of service, 40 bytes, no identification, not to be cut, 64 hops, TCP.
        ip[..10].copy_from_slice(&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6]);
        ip[12..16].copy_from_slice(&self.from.ip().octets());
        ip[16..20].copy_from_slice(&self.to.ip().octets());
        let header = !sum(&[ip]);
        ip[10..12].copy_from_slice(&header.to_be_bytes());
        tcp[..2].copy_from_slice(&self.from.port().to_be_bytes());
        tcp[2..4].copy_from_slice(&self.to.port().to_be_bytes());
        tcp[4..8].copy_from_slice(&self.sequence.to_be_bytes());
        tcp[8..12].copy_from_slice(&self.acknowledged.to_be_bytes());
        // Five words, the flags, a window.
        tcp[12..16].copy_from_slice(&[0x50, self.flags, 0xff, 0xff]);
        let checksum = !sum(&[&ip[12..20], &[0, 6, 0, 20], tcp]);
        tcp[16..18].copy_from_slice(&checksum.to_be_bytes());
        frame
    }

    /// What a frame holds, if it is a TCP segment over IPv4 without IP options.
    pub(super) fn read(frame: &[u8]) -> Option<Self> {
        let (kind, ip, tcp) = (frame.get(12..14)?, frame.get(14..34)?, frame.get(34..LENGTH)?);
        if kind != [0x08, 0x00] || ip[0] != 0x45 || ip[9] != 6 {
            return None;
        }
        let end = |address: &[u8], port: &[u8]| {
            let address: [u8; 4] = address.try_into().ok()?;
            let port = u16::from_be_bytes(port.try_into().ok()?);
            Some(SocketAddrV4::new(Ipv4Addr::from(address), port))
        };
        let number = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.try_into().ok()?));
        Some(Self {
            from: end(&ip[12..16], &tcp[..2])?,
            to: end(&ip[16..20], &tcp[2..4])?,
            sequence: number(&tcp[4..8])?,
            acknowledged: number(&tcp[8..12])?,
            flags: tcp[13],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::checksum::wrong_in_packet;
    use super::*;

    #[test]
    fn what_is_written_is_read_and_its_checksums_are_right() {
        let segment = Segment {
            from: SocketAddrV4::new(Ipv4Addr::new(10, 244, 1, 192), 1024),
            to: SocketAddrV4::new(Ipv4Addr::new(10, 96, 0, 201), 80),
            sequence: 7,
            acknowledged: 0xffff_fffe,
            flags: SYN | ACK,
        };
        let frame = segment.frame([1; 6], [2; 6]);
        assert_eq!(Segment::read(&frame), Some(segment));
        assert_eq!(wrong_in_packet(&frame[14..]), None);
        assert_eq!(Segment::read(&frame[..50]), None);
    }
}
