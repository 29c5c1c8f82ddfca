//! The packet that an ICMP error quotes, turned into the form that the error's receiver has sent.

use proxy_common::{
    family::{Family, FamilyKind},
    net::{Address as _, Protocol},
    reason::Reason,
};

use super::{
    Plan,
    apply::{header_sum, ports},
    checksum::updated,
};
use crate::{
    frame::{Bytes, Frame, Sums, TransportSum},
    parse::{Parse, icmp::IcmpError, transport::checksum_offset},
    work::Work,
};

/// Gives the quoted packet's transport header the other ends of the plan in `work`, which is that of a packet that
/// answers the quoted one.
///
/// # Errors
///
/// [`Reason::RewriteFailed`] when the kernel refused a write.
#[inline(never)]
pub fn quote<F: Parse>(frame: &mut impl Frame, work: &Work<F>) -> Result<(), Reason> {
    let (error, plan) = (&work.error, work.plan.reversed());
    let sum = message_sum::<F>(error);
    replace_transport_sum(frame, error, &plan, sum)?;
    let before = ports(error.tuple.source.port, error.tuple.destination.port);
    let after = ports(plan.source.port, plan.destination.port);
    frame.replace::<4>(
        error.quoted_transport,
        &before,
        &after,
        Sums {
            header: None,
            transport: Some(sum),
        },
    )
}

/// The same for the quoted packet's addresses.
///
/// # Errors
///
/// As for [`quote`].
#[inline(never)]
pub fn addresses<F: Parse>(frame: &mut impl Frame, work: &Work<F>) -> Result<(), Reason> {
    let (error, plan) = (&work.error, work.plan.reversed());
    // Of an IPv4 header that is changed together with its own checksum, the sum stays what it was: the message's
    // checksum does not notice. IPv6 has no such checksum, so the message's own must follow.
    let transport = if is_v4::<F>() {
        None
    } else {
        Some(message_sum::<F>(error))
    };
    F::replace_addresses(
        frame,
        error.quoted,
        (&error.tuple.source.address, &error.tuple.destination.address),
        (&plan.source.address, &plan.destination.address),
        Sums {
            header: header_sum::<F>(error.quoted),
            transport,
        },
    )
}

/// Gives the message itself its sender and receiver. One from a router on the way keeps its sender; one from the end
/// that was meant gets that end's new name.
///
/// # Errors
///
/// As for [`quote`].
#[inline(never)]
pub fn message<F: Parse>(frame: &mut impl Frame, work: &Work<F>) -> Result<(), Reason> {
    let (error, plan) = (&work.error, &work.plan);
    let from_end = error.source == error.tuple.destination.address;
    let source = if from_end { plan.source.address } else { error.source };
    let to_end = error.destination == error.tuple.source.address;
    let destination = if to_end {
        plan.destination.address
    } else {
        error.destination
    };
    // ICMPv6 covers its addresses by a pseudo header (RFC 4443 section 2.3), ICMP does not.
    let pseudo = TransportSum {
        pseudo: true,
        ..message_sum::<F>(error)
    };
    let transport = if is_v4::<F>() { None } else { Some(pseudo) };
    F::replace_addresses(
        frame,
        0,
        (&error.source, &error.destination),
        (&source, &destination),
        Sums {
            header: header_sum::<F>(0),
            transport,
        },
    )
}

#[inline(always)]
const fn is_v4<F: Family>() -> bool {
    matches!(F::KIND, FamilyKind::V4)
}

#[inline(always)]
const fn message_sum<F: Family>(error: &IcmpError<F>) -> TransportSum {
    TransportSum {
        offset: error.message + 2,
        pseudo: false,
        optional: false,
    }
}

/// Replaces the quoted transport checksum, if the quote goes so far. To the message it is data like any other.
#[inline(always)]
fn replace_transport_sum<F: Parse>(
    frame: &mut impl Frame,
    error: &IcmpError<F>,
    plan: &Plan<F>,
    message: TransportSum,
) -> Result<(), Reason> {
    let old = &error.tuple;
    let at = error.quoted_transport + checksum_offset(old.protocol);
    if old.protocol == Protocol::Sctp || at + 2 > error.end {
        return Ok(());
    }
    let Some(quoted) = frame.read::<2>(at) else {
        return Ok(());
    };
    let checksum = u16::from_be_bytes(quoted.0);
    if old.protocol == Protocol::Udp && checksum == 0 {
        return Ok(());
    }
    let ports_before = ports(old.source.port, old.destination.port).0;
    let ports_after = ports(plan.source.port, plan.destination.port).0;
    let mut sum = updated(checksum, &ports_before, &ports_after);
    sum = updated(sum, &old.source.address.widen().0, &plan.source.address.widen().0);
    sum = updated(
        sum,
        &old.destination.address.widen().0,
        &plan.destination.address.widen().0,
    );
    if old.protocol == Protocol::Udp && sum == 0 {
        sum = 0xffff;
    }
    let covered = Sums {
        header: None,
        transport: Some(message),
    };
    frame.replace::<2>(at, &quoted, &Bytes(sum.to_be_bytes()), covered)
}
