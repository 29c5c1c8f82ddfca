//! Plan -> frame: the only place where a packet of a flow is changed.

use proxy_common::{
    family::{Family, FamilyKind},
    net::{Port, Protocol},
    reason::Reason,
};

use super::{Plan, crc32c};
use crate::{
    frame::{Bytes, Frame, Sums, TransportSum},
    parse::{Fragment, Parse, Segment, transport::checksum_offset},
};

/// The IPv4 header's own checksum, where there is one (RFC 791 section 3.1).
#[inline(always)]
pub(super) const fn header_sum<F: Family>(at: u32) -> Option<u32> {
    match F::KIND {
        FamilyKind::V4 => Some(at + 10),
        FamilyKind::V6 => None,
    }
}

/// Gives a segment the ends of a plan.
///
/// # Errors
///
/// [`Reason::SctpFragment`] before anything is changed; [`Reason::RewriteFailed`] when the kernel refused a write.
#[inline(always)]
pub fn apply<F: Parse>(frame: &mut impl Frame, segment: &Segment<F>, plan: &Plan<F>) -> Result<(), Reason> {
    let old = &segment.tuple;
    let ports_change = old.source.port != plan.source.port || old.destination.port != plan.destination.port;
    let has_ports = !matches!(segment.fragment, Fragment::Later(_));
    let is_sctp = old.protocol == Protocol::Sctp;
    if is_sctp && ports_change && segment.fragment != Fragment::Whole {
        return Err(Reason::SctpFragment);
    }
    let sum = TransportSum {
        offset: segment.transport + checksum_offset(old.protocol),
        pseudo: true,
        optional: old.protocol == Protocol::Udp,
    };
    // SCTP's checksum knows no addresses (RFC 9260 section 6.8).
    let has_sum = has_ports && !is_sctp && !segment.unsummed;
    let transport = has_sum.then_some(sum);
    F::replace_addresses(
        frame,
        0,
        (&old.source.address, &old.destination.address),
        (&plan.source.address, &plan.destination.address),
        Sums {
            header: header_sum::<F>(0),
            transport,
        },
    )?;
    if !ports_change || !has_ports {
        return Ok(());
    }
    let before = ports(old.source.port, old.destination.port);
    let after = ports(plan.source.port, plan.destination.port);
    if is_sctp {
        return crc32c::replace_ports(frame, segment.transport, segment.end, &before, &after);
    }
    let sums = Sums {
        header: None,
        transport: has_sum.then_some(TransportSum { pseudo: false, ..sum }),
    };
    frame.replace::<4>(segment.transport, &before, &after, sums)
}

#[inline(always)]
pub(super) fn ports(source: Port, destination: Port) -> Bytes<4> {
    Bytes(bytemuck::must_cast([source, destination]))
}
