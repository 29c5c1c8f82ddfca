//! The IPv6 header and a bounded walk of its extension headers (RFC 8200).

use proxy_common::{
    family::{Family as _, V6},
    net::Ip6,
    reason::Reason,
};

use super::{Extent, Fragment, NetworkHeader, Parse, icmp::IcmpKind};
use crate::frame::{Bytes, Frame, Sums};

/// How many extension headers are walked: one of each kind, and destination options twice (RFC 8200 section 4.1).
const EXTENSIONS: u32 = 6;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
/// Encrypted payload, mobility, host identity, shim6: they hide or move the transport header.
const OPAQUE: [u8; 4] = [50, 135, 139, 140];

impl Parse for V6 {
    #[inline(always)]
    fn network_header(frame: &impl Frame, at: u32, extent: Extent) -> Result<NetworkHeader<V6>, Reason> {
        let header = frame.read::<40>(at).ok_or(Reason::Truncated)?;
        if header.byte::<0>() >> 4 != 6 {
            return Err(Reason::BadHeader);
        }
        let mut walk = Walk {
            protocol: header.byte::<6>(),
            at: at + V6::HEADER_LEN,
            end: at + V6::HEADER_LEN + payload_length(frame, &header, at, extent)?,
            fragment: Fragment::Whole,
            fragment_offset: 0,
        };
        let mut steps = 0;
        while steps < EXTENSIONS && walk.step(frame)? {
            steps += 1;
            // Where the walk stands is none of the verifier's business: it need not follow each way there.
            walk.at = core::hint::black_box(walk.at);
            walk.protocol = core::hint::black_box(walk.protocol);
        }
        if is_extension(walk.protocol) {
            return Err(Reason::ExtensionHeaders);
        }
        Ok(NetworkHeader {
            source: Ip6(header.field::<8, 16>()),
            destination: Ip6(header.field::<24, 16>()),
            protocol: walk.protocol,
            payload: walk.at,
            end: walk.end,
            fragment: walk.fragment,
            fragment_offset: walk.fragment_offset,
        })
    }

    #[inline(always)]
    fn replace_addresses(
        frame: &mut impl Frame,
        at: u32,
        old: (&Ip6, &Ip6),
        new: (&Ip6, &Ip6),
        sums: Sums,
    ) -> Result<(), Reason> {
        frame.replace::<32>(at + V6::ADDRESSES_OFFSET, &pair(old), &pair(new), sums)
    }

    #[inline(always)]
    fn icmp_kind(kind: u8) -> IcmpKind {
        // RFC 4443: unreachable, packet too big, time exceeded, parameter problem; RFC 4861: redirect.
        match kind {
            1..=4 => IcmpKind::Error,
            137 => IcmpKind::Redirect,
            _ => IcmpKind::Other,
        }
    }

    /// RFC 4861 section 4.5: behind target and destination come options; the one of type 4 quotes the packet.
    #[inline(always)]
    fn redirected(frame: &impl Frame, message: u32, end: u32) -> Option<u32> {
        let mut option = message + 40;
        let mut steps = 0;
        while steps < 4 {
            steps += 1;
            if option + 8 > end {
                return None;
            }
            let head = frame.read::<2>(option)?;
            if head.byte::<0>() == 4 {
                return Some(option + 8);
            }
            if head.byte::<1>() == 0 {
                return None;
            }
            option += u32::from(head.byte::<1>()) * 8;
        }
        None
    }
}

#[inline(always)]
fn pair((source, destination): (&Ip6, &Ip6)) -> Bytes<32> {
    Bytes(bytemuck::must_cast([*source, *destination]))
}

/// The length behind the fixed header, checked against the frame.
#[inline(always)]
fn payload_length(frame: &impl Frame, header: &Bytes<40>, at: u32, extent: Extent) -> Result<u32, Reason> {
    let here = frame.len().saturating_sub(at + V6::HEADER_LEN);
    let said = u32::from(header.number::<4>());
    match extent {
        Extent::Quoted => Ok(here.min(said)),
        // A packet of more than 64 KiB that is cut apart later has no length (kernel commit 0fe79f28bfaf).
        Extent::Here if said == 0 && frame.is_segmented_later() => Ok(here),
        Extent::Here if said > here => Err(Reason::BadHeader),
        Extent::Here => Ok(said),
    }
}

#[inline(always)]
fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS
    ) || OPAQUE.contains(&protocol)
}

/// Where a walk along the extension headers stands.
struct Walk {
    protocol: u8,
    at: u32,
    end: u32,
    fragment: Fragment,
    fragment_offset: u32,
}

impl Walk {
    /// Takes one extension header; whether there was one.
    #[inline(always)]
    fn step(&mut self, frame: &impl Frame) -> Result<bool, Reason> {
        if !is_extension(self.protocol) {
            return Ok(false);
        }
        // Where extension headers follow a fragment's own, the first fragment has them and says which protocol it is,
        // the others do not: all of them pass, as one packet.
        if OPAQUE.contains(&self.protocol) || self.fragment != Fragment::Whole {
            return Err(Reason::ExtensionHeaders);
        }
        if self.at + 8 > self.end {
            return Err(Reason::Truncated);
        }
        let header = frame.read::<8>(self.at).ok_or(Reason::Truncated)?;
        let length = u32::from(header.byte::<1>());
        let size = match self.protocol {
            // RFC 8200 section 4.4: segments left.
            ROUTING if header.byte::<3>() != 0 => return Err(Reason::SourceRoute),
            // RFC 4302 section 2.2: in words of four bytes, less two.
            AUTHENTICATION => (length + 2) * 4,
            FRAGMENT => {
                self.enter_fragment(&header);
                8
            }
            _ => (length + 1) * 8,
        };
        self.protocol = header.byte::<0>();
        self.at += size;
        if self.at > self.end {
            Err(Reason::Truncated)
        } else {
            Ok(true)
        }
    }

    /// RFC 8200 section 4.5. A fragment that is first and last is a whole packet (RFC 6946).
    #[inline(always)]
    fn enter_fragment(&mut self, header: &Bytes<8>) {
        let field = header.number::<2>();
        let id = header.field::<4, 4>();
        self.fragment_offset = u32::from(field & 0xfff8);
        if self.fragment_offset != 0 {
            self.fragment = Fragment::Later(id);
        } else if field & 1 != 0 {
            self.fragment = Fragment::First(id);
        }
    }
}
