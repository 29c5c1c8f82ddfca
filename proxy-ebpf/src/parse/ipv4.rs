//! The IPv4 header (RFC 791).

use proxy_common::{
    family::{Family as _, V4},
    net::Ip4,
    reason::Reason,
};

use super::{Extent, Fragment, NetworkHeader, Parse, icmp::IcmpKind};
use crate::frame::{Bytes, Frame, Sums};

const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;
/// Loose and strict source route (RFC 791 section 3.1).
const SOURCE_ROUTES: [u8; 2] = [131, 137];
/// How many options are walked. Of the 40 bytes that there is room for, sensible senders fill fewer steps.
const OPTIONS: u32 = 8;

impl Parse for V4 {
    #[inline(always)]
    fn network_header(frame: &impl Frame, at: u32, extent: Extent) -> Result<NetworkHeader<V4>, Reason> {
        let header = frame.read::<20>(at).ok_or(Reason::Truncated)?;
        let first = header.byte::<0>();
        let length = u32::from(first & 0x0f) * 4;
        if first >> 4 != 4 || length < V4::HEADER_LEN {
            return Err(Reason::BadHeader);
        }
        let end = at + total_length(frame, &header, at, length, extent)?;
        if length > V4::HEADER_LEN {
            refuse_source_route(frame, at, length)?;
        }
        let fragment_field = header.number::<6>();
        let id = header.field::<4, 2>();
        let fragment_offset = u32::from(fragment_field & FRAGMENT_OFFSET) * 8;
        let fragment = if fragment_offset != 0 {
            Fragment::Later([id[0], id[1], 0, 0])
        } else if fragment_field & MORE_FRAGMENTS != 0 {
            Fragment::First([id[0], id[1], 0, 0])
        } else {
            Fragment::Whole
        };
        Ok(NetworkHeader {
            source: Ip4(header.field::<12, 4>()),
            destination: Ip4(header.field::<16, 4>()),
            protocol: header.byte::<9>(),
            payload: at + length,
            end,
            fragment,
            fragment_offset,
        })
    }

    #[inline(always)]
    fn replace_addresses(
        frame: &mut impl Frame,
        at: u32,
        old: (&Ip4, &Ip4),
        new: (&Ip4, &Ip4),
        sums: Sums,
    ) -> Result<(), Reason> {
        frame.replace::<8>(at + V4::ADDRESSES_OFFSET, &pair(old), &pair(new), sums)
    }

    #[inline(always)]
    fn icmp_kind(kind: u8) -> IcmpKind {
        // RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem.
        match kind {
            3 | 4 | 11 | 12 => IcmpKind::Error,
            5 => IcmpKind::Redirect,
            _ => IcmpKind::Other,
        }
    }

    #[inline(always)]
    fn redirected(_frame: &impl Frame, message: u32, _end: u32) -> Option<u32> {
        Some(message + 8)
    }
}

#[inline(always)]
fn pair((source, destination): (&Ip4, &Ip4)) -> Bytes<8> {
    Bytes(bytemuck::must_cast([*source, *destination]))
}

/// The packet's length, checked against its header and against the frame.
#[inline(always)]
fn total_length(frame: &impl Frame, header: &Bytes<20>, at: u32, length: u32, extent: Extent) -> Result<u32, Reason> {
    let here = frame.len().saturating_sub(at);
    let said = u32::from(header.number::<2>());
    match extent {
        Extent::Quoted => Ok(here.min(said)),
        // A packet of more than 64 KiB that is cut apart later has no length (kernel commit b1a78b9b9886).
        Extent::Here if said == 0 && frame.is_segmented_later() => Ok(here),
        Extent::Here if said < length || said > here => Err(Reason::BadHeader),
        Extent::Here => Ok(said),
    }
}

/// Refuses a header whose options route the packet, or whose options do not hold together.
#[inline(always)]
fn refuse_source_route(frame: &impl Frame, at: u32, length: u32) -> Result<(), Reason> {
    let mut option = V4::HEADER_LEN;
    let mut steps = 0;
    while steps < OPTIONS {
        steps += 1;
        // Where the walk stands is none of the verifier's business: it need not follow each way there.
        option = core::hint::black_box(option);
        if option >= length {
            return Ok(());
        }
        let kind = frame.read::<1>(at + option).ok_or(Reason::Truncated)?.byte::<0>();
        if kind == 0 {
            return Ok(());
        }
        if kind == 1 {
            option += 1;
            continue;
        }
        if SOURCE_ROUTES.contains(&kind) {
            return Err(Reason::SourceRoute);
        }
        let size = u32::from(frame.read::<1>(at + option + 1).ok_or(Reason::Truncated)?.byte::<0>());
        if size < 2 || option + size > length {
            return Err(Reason::BadHeader);
        }
        option += size;
    }
    if option >= length {
        Ok(())
    } else {
        Err(Reason::BadHeader)
    }
}
