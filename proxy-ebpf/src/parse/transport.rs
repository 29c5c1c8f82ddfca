//! Ports and flags of TCP (RFC 9293), UDP (RFC 768) and SCTP (RFC 9260).

use proxy_common::{
    net::{Peer, Port, Protocol, Tuple},
    phase::TcpFlags,
    reason::Reason,
};

use super::{Fragment, NetworkHeader, Parse, Segment};
use crate::frame::Frame;

/// SCTP's chunk that opens an association (RFC 9260 section 3.3.2).
const INIT: u8 = 1;

/// The least that a transport header has, bytes.
#[inline(always)]
const fn header_length(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::Tcp => 20,
        Protocol::Udp => 8,
        // The common header and the head of the first chunk.
        Protocol::Sctp => 16,
    }
}

/// Where the checksum stands in a transport header.
#[inline(always)]
#[must_use]
pub const fn checksum_offset(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::Tcp => 16,
        Protocol::Udp => 6,
        Protocol::Sctp => 8,
    }
}

/// The segment behind a network header.
#[inline(always)]
pub(super) fn segment<F: Parse>(
    frame: &impl Frame,
    header: &NetworkHeader<F>,
    protocol: Protocol,
) -> Result<Segment<F>, Reason> {
    let mut segment = Segment {
        tuple: Tuple {
            source: Peer::new(header.source, Port::default()),
            destination: Peer::new(header.destination, Port::default()),
            protocol,
        },
        transport: header.payload,
        end: header.end,
        fragment: header.fragment,
        opens: false,
        unsummed: false,
        flags: TcpFlags::default(),
        sequence: 0,
        acknowledgement: 0,
    };
    if matches!(header.fragment, Fragment::Later(_)) {
        // One that overlaps the transport header could put other ports there (RFC 3128).
        let overlaps = header.fragment_offset < header_length(protocol);
        return if overlaps {
            Err(Reason::TinyFragment)
        } else {
            Ok(segment)
        };
    }
    if header.payload + header_length(protocol) > header.end {
        let whole = header.fragment == Fragment::Whole;
        return Err(if whole { Reason::Truncated } else { Reason::TinyFragment });
    }
    match protocol {
        Protocol::Tcp => {
            let bytes = frame.read::<16>(header.payload).ok_or(Reason::Truncated)?;
            if bytes.byte::<12>() >> 4 < 5 {
                return Err(Reason::BadHeader);
            }
            segment.set_ports(bytes.field::<0, 4>());
            segment.sequence = u32::from_be_bytes(bytes.field::<4, 4>());
            segment.acknowledgement = u32::from_be_bytes(bytes.field::<8, 4>());
            segment.flags = TcpFlags(bytes.byte::<13>());
            segment.opens = segment.flags.opens();
        }
        Protocol::Udp => {
            let bytes = frame.read::<8>(header.payload).ok_or(Reason::Truncated)?;
            let length = u32::from(bytes.number::<4>());
            let whole = header.fragment == Fragment::Whole && !frame.is_segmented_later();
            if length < 8 || (whole && header.payload + length > header.end) {
                return Err(Reason::BadHeader);
            }
            segment.set_ports(bytes.field::<0, 4>());
            segment.unsummed = bytes.number::<6>() == 0;
            segment.opens = true;
        }
        Protocol::Sctp => {
            let bytes = frame.read::<16>(header.payload).ok_or(Reason::Truncated)?;
            segment.set_ports(bytes.field::<0, 4>());
            segment.opens = bytes.byte::<12>() == INIT;
        }
    }
    Ok(segment)
}

impl<F: Parse> Segment<F> {
    #[inline(always)]
    fn set_ports(&mut self, ports: [u8; 4]) {
        self.tuple.source.port = Port([ports[0], ports[1]]);
        self.tuple.destination.port = Port([ports[2], ports[3]]);
    }
}
