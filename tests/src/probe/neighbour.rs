//! Frames of ARP (RFC 826) and of neighbour discovery (RFC 4861): who asks for an address, and what is answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum::sum;
use super::segment::Mac;

/// Frames that hold ARP.
pub const ETH_P_ARP: u16 = 0x0806;
/// Frames that hold IPv6.
pub const ETH_P_IPV6: u16 = 0x86dd;

const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Flags of an advertisement: it answers a question; what was known before counts no longer.
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;
/// Every host of the segment, and the hardware address of that group.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];
const BROADCAST: Mac = [0xff; 6];

/// A host of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its hardware address.
    pub mac: Mac,
    /// Its address; unspecified if it asks whether it may take the one that it asks for.
    pub address: IpAddr,
}

/// Who asks in a frame for an address, if it is a question for that one.
pub fn asker(frame: &[u8], wanted: IpAddr) -> Option<Neighbour> {
    let mac = Mac::try_from(frame.get(6..12)?).ok()?;
    let kind = u16::from_be_bytes(frame.get(12..14)?.try_into().ok()?);
    let (source, target): (IpAddr, IpAddr) = match (kind, wanted) {
        (ETH_P_ARP, IpAddr::V4(_)) if frame.get(20..22) == Some(&[0, 1]) => {
            let at = |from: usize| Some(<[u8; 4]>::try_from(frame.get(from..from + 4)?).ok()?.into());
            (at(28)?, at(38)?)
        }
        (ETH_P_IPV6, IpAddr::V6(_)) if (frame.get(20), frame.get(54)) == (Some(&ICMPV6), Some(&SOLICITATION)) => {
            let at = |from: usize| Some(<[u8; 16]>::try_from(frame.get(from..from + 16)?).ok()?.into());
            (at(22)?, at(62)?)
        }
        _ => return None,
    };
    (target == wanted).then_some(Neighbour { mac, address: source })
}

/// The answer of a host that is asked for its address.
pub fn answer(own: Neighbour, asker: Neighbour) -> Vec<u8> {
    match (own.address, asker.address) {
        (IpAddr::V4(address), IpAddr::V4(to)) => arp(2, (own.mac, address), (asker.mac, to), asker.mac),
        (IpAddr::V6(address), IpAddr::V6(to)) if !to.is_unspecified() => {
            advertisement((own.mac, address), (asker.mac, to), SOLICITED | OVERRIDE)
        }
        _ => announcement(own),
    }
}

/// What a host sends to all when an address has become its own.
pub fn announcement(own: Neighbour) -> Vec<u8> {
    match own.address {
        IpAddr::V4(address) => arp(1, (own.mac, address), ([0; 6], address), BROADCAST),
        IpAddr::V6(address) => advertisement((own.mac, address), (ALL_NODES_MAC, ALL_NODES), OVERRIDE),
    }
}

fn arp(operation: u8, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr), to: Mac) -> Vec<u8> {
    // Ethernet and IPv4, with addresses of 6 and 4 bytes.
    let header = [0, 1, 0x08, 0x00, 6, 4, 0, operation];
    [
        &ethernet(to, sender.0, ETH_P_ARP)[..],
        &header,
        &sender.0,
        &sender.1.octets(),
        &target.0,
        &target.1.octets(),
    ]
    .concat()
}

fn advertisement(own: (Mac, Ipv6Addr), to: (Mac, Ipv6Addr), flags: u8) -> Vec<u8> {
    let mut message = vec![ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    message.extend(own.1.octets());
    // The option that holds the hardware address, one unit of eight bytes.
    message.extend([2, 1]);
    message.extend(own.0);
    let addresses = [own.1.octets(), to.1.octets()].concat();
    let [_, length] = u16::try_from(message.len()).unwrap_or_default().to_be_bytes();
    let checksum = !sum(&[&addresses[..], &[0, 0, 0, length, 0, 0, 0, ICMPV6], &message[..]]);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    // Version 6; a hop limit of 255 proves that no router has passed it on.
    let header = [0x60, 0, 0, 0, 0, length, ICMPV6, 255];
    [
        &ethernet(to.0, own.0, ETH_P_IPV6)[..],
        &header,
        &addresses[..],
        &message[..],
    ]
    .concat()
}

fn ethernet(to: Mac, from: Mac, kind: u16) -> Vec<u8> {
    [&to[..], &from, &kind.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::super::checksum::wrong_in_packet;
    use super::*;

    const OWN: Mac = [2, 0, 0, 0, 0, 1];
    const OTHER: Mac = [2, 0, 0, 0, 0, 2];

    fn host(mac: Mac, address: &str) -> Neighbour {
        let address = address.parse().expect("an address");
        Neighbour { mac, address }
    }

    #[test]
    fn a_question_is_read_and_an_answer_is_none() {
        let (own, other) = (host(OWN, "192.0.2.1"), host(OTHER, "192.0.2.2"));
        let (IpAddr::V4(wanted), IpAddr::V4(from)) = (own.address, other.address) else {
            panic!("both are IPv4");
        };
        let question = arp(1, (OTHER, from), ([0; 6], wanted), BROADCAST);
        assert_eq!(asker(&question, own.address), Some(other));
        assert_eq!(asker(&question, other.address), None);
        assert_eq!(asker(&question[..30], own.address), None);
        let answer = answer(own, other);
        assert_eq!(asker(&answer, other.address), None);
        assert_eq!(
            (&answer[..6], &answer[22..28], answer.len()),
            (&OTHER[..], &OWN[..], 42)
        );
    }

    #[test]
    fn a_solicitation_is_read_and_its_answer_has_a_right_checksum() {
        let (own, other) = (host(OWN, "2001:db8::1"), host(OTHER, "2001:db8::2"));
        let mut question = advertisement_of(other, own);
        assert_eq!(asker(&question, own.address), None);
        question[54] = SOLICITATION;
        assert_eq!(asker(&question, own.address), Some(other));
        for frame in [answer(own, other), announcement(own), answer(own, host(OTHER, "::"))] {
            assert_eq!(wrong_in_packet(&frame[14..]), None);
            assert_eq!(frame.len(), 14 + 40 + 32);
        }
    }

    /// A message of `from` about the address of `about`.
    fn advertisement_of(from: Neighbour, about: Neighbour) -> Vec<u8> {
        let mut frame = announcement(from);
        if let IpAddr::V6(target) = about.address {
            frame[62..78].copy_from_slice(&target.octets());
        }
        frame
    }
}
