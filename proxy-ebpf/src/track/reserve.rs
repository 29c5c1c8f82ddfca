//! Making a flow's tuples its own: each is inserted with "must not exist".

use proxy_common::{
    family::Family,
    flow::{FlowKey, FlowRef},
    net::{Peer, Port, Tuple},
    reason::Reason,
};

use super::{Flow, gives_way, is_expired, read, records};
use crate::{
    node::{Clock, Entropy, Inserted, Tables},
    work::{Search, Work},
};

/// How many ports are tried. With half of the range in use towards one backend, one flow in 65,000 finds none.
pub(super) const TRIES: u32 = 16;
/// How many are for what needs one only where two have met.
pub(super) const FEW: u32 = 4;

/// From one tried port to the next, in a range of `count`: so little that no port is tried twice. From one to its
/// neighbour there would soon be long runs of taken ones, and others free elsewhere.
#[inline(always)]
const fn stride(random: u32, count: u32) -> u32 {
    match random.checked_rem(count / TRIES) {
        Some(more) => 1 + more,
        None => 1,
    }
}

/// Reserves a key. A key whose flow has expired counts as free.
#[inline(always)]
pub(super) fn key<F: Family, N: Tables<F> + Clock>(node: &N, key: &FlowKey<F>, at: FlowRef) -> Inserted {
    match node.insert_flow(key, at) {
        Inserted::Exists => succeed(node, key, at, is_expired),
        first @ (Inserted::Yes | Inserted::Full) => first,
    }
}

/// Reserves a key that exists, if its holder may be given up.
#[inline(always)]
fn succeed<F: Family, N: Tables<F> + Clock>(
    node: &N,
    key: &FlowKey<F>,
    at: FlowRef,
    may_go: impl Fn(&Flow<'_, F>, u64) -> bool,
) -> Inserted {
    let referred = node.flow(key).unwrap_or(FlowRef::LEAVING);
    let Some(holder) = read(node, referred) else {
        // It goes this very moment, or it was left behind.
        if referred != FlowRef::LEAVING && node.exchange_flow(key, referred, at) {
            return Inserted::Yes;
        }
        return node.insert_flow(key, at);
    };
    if !may_go(&holder, node.now()) {
        return Inserted::Exists;
    }
    records::release(node, &holder);
    node.insert_flow(key, at)
}

/// The canonical tuple towards the endpoint that is bound.
#[inline(always)]
fn canonical_tuple<F: Family>(work: &Work<F>) -> Tuple<F> {
    let source = Peer::new(work.segment.tuple.source.address, work.binding.inner_port);
    Tuple {
        source,
        destination: work.binding.endpoint.peer,
        protocol: work.segment.tuple.protocol,
    }
}

/// The tuple of the replies to the masquerade address that is bound.
#[inline(always)]
fn reply_tuple<F: Family>(work: &Work<F>) -> Tuple<F> {
    Tuple {
        source: work.binding.endpoint.peer,
        destination: work.binding.masquerade,
        protocol: work.segment.tuple.protocol,
    }
}

/// Reserves the canonical tuple towards the endpoint that is bound. A pod that reaches itself from the port it listens
/// on would be both ends of one tuple: that counts as taken.
#[inline(always)]
pub(super) fn canonical<F: Family, N: Tables<F> + Clock>(node: &N, work: &mut Work<F>) -> Inserted {
    if ask_canonical(work) {
        key(node, &work.key, work.flow)
    } else {
        Inserted::Exists
    }
}

/// Puts the key of the canonical tuple into `work`, if its ends are two.
#[inline(always)]
fn ask_canonical<F: Family>(work: &mut Work<F>) -> bool {
    let tuple = canonical_tuple(work);
    work.key = FlowKey::canonical(&tuple);
    tuple.source != tuple.destination
}

/// Takes back what [`canonical`] has reserved.
#[inline(always)]
pub(super) fn forget_canonical<F: Family>(node: &impl Tables<F>, work: &mut Work<F>) {
    work.key = FlowKey::canonical(&canonical_tuple(work));
    records::forget_key(node, &work.key, work.flow);
}

/// Takes back what [`masqueraded`] has reserved.
#[inline(always)]
pub(super) fn forget_masqueraded<F: Family>(node: &impl Tables<F>, work: &mut Work<F>) {
    work.key = FlowKey::wire(&reply_tuple(work));
    records::forget_key(node, &work.key, work.flow);
}

/// Reserves the canonical tuple with another port of the client: its own is taken towards this backend.
///
/// # Errors
///
/// [`Reason::PortsExhausted`] if no port was free, [`Reason::FlowTableFull`].
#[inline(always)]
pub(super) fn shifted<F: Family, N: Tables<F> + Clock + Entropy>(node: &N, work: &mut Work<F>) -> Result<(), Reason> {
    ports(node, work, TRIES, |work, port| {
        work.binding.inner_port = port;
        ask_canonical(work)
    })
}

/// Reserves the tuple of the replies to the masquerade address and port that are bound.
#[inline(always)]
pub(super) fn own_port<F: Family, N: Tables<F> + Clock>(node: &N, work: &mut Work<F>) -> Inserted {
    work.key = FlowKey::wire(&reply_tuple(work));
    key(node, &work.key, work.flow)
}

/// Reserves the tuple of the replies to the masquerade address that is bound, with a free port among so many.
///
/// # Errors
///
/// As for [`shifted`].
#[inline(always)]
pub(super) fn masqueraded<F: Family, N: Tables<F> + Clock + Entropy>(
    node: &N,
    work: &mut Work<F>,
    tries: u32,
) -> Result<(), Reason> {
    ports(node, work, tries, |work, port| {
        work.binding.masquerade.port = port;
        work.key = FlowKey::wire(&reply_tuple(work));
        true
    })
}

/// Tries so many ports of the masquerade range until one is free, from a random one on. Where all of them are taken, the one is
/// taken whose connection has ended the longest ago.
#[inline(always)]
fn ports<F: Family, N: Tables<F> + Clock + Entropy>(
    node: &N,
    work: &mut Work<F>,
    most: u32,
    ask: impl Fn(&mut Work<F>, Port) -> bool,
) -> Result<(), Reason> {
    let config = node.config().ok_or(Reason::PortsExhausted)?;
    let (first, count) = (config.masquerade_first, config.masquerade_count);
    let place = node.random().checked_rem(count).ok_or(Reason::PortsExhausted)?;
    work.search = Search {
        first,
        count,
        place,
        step: stride(node.random(), count),
        ..Search::default()
    };
    let mut tries = 0;
    while tries < most {
        tries += 1;
        match try_port(node, work, &ask) {
            Inserted::Yes => return Ok(()),
            Inserted::Full => return Err(Reason::FlowTableFull),
            Inserted::Exists => {}
        }
    }
    take_over(node, work, &ask)
}

/// Tries the next port of the range.
#[inline(always)]
fn try_port<F: Family, N: Tables<F> + Clock>(
    node: &N,
    work: &mut Work<F>,
    ask: &impl Fn(&mut Work<F>, Port) -> bool,
) -> Inserted {
    #[expect(clippy::cast_possible_truncation, reason = "the range lies below 65,536")]
    let number = (work.search.first + work.search.place) as u16;
    let next = work.search.place + work.search.step;
    let count = work.search.count;
    work.search.place = if next >= count { next - count } else { next };
    if !node.is_free_port(number) || !ask(work, Port::new(number)) {
        return Inserted::Exists;
    }
    let inserted = node.insert_flow(&work.key, work.flow);
    if inserted == Inserted::Exists {
        weigh(node, work, number);
    }
    inserted
}

/// Remembers a taken port, if its holder may be given up and has been without packets for longer than those before.
#[inline(always)]
fn weigh<F: Family, N: Tables<F> + Clock>(node: &N, work: &mut Work<F>, port: u16) {
    let now = node.now();
    let idle = match node.flow(&work.key).map(|holder| (holder, read(node, holder))) {
        Some((_, Some(holder))) if gives_way(holder.record, holder.life.phase(), now) => {
            now.saturating_sub(holder.record.last_seen)
        }
        // It was left behind.
        Some((holder, None)) if holder != FlowRef::LEAVING => u64::MAX,
        _ => return,
    };
    // A holder of this very moment has been idle for no time at all.
    if idle >= work.search.idle {
        work.search.idle = idle;
        work.search.port = port.into();
    }
}

/// Takes the best of the ports that were tried.
#[inline(always)]
fn take_over<F: Family, N: Tables<F> + Clock>(
    node: &N,
    work: &mut Work<F>,
    ask: &impl Fn(&mut Work<F>, Port) -> bool,
) -> Result<(), Reason> {
    #[expect(clippy::cast_possible_truncation, reason = "it was a port")]
    let port = work.search.port as u16;
    if port == 0 || !ask(work, Port::new(port)) {
        return Err(Reason::PortsExhausted);
    }
    let taken = succeed(node, &work.key, work.flow, |holder, now| {
        gives_way(holder.record, holder.life.phase(), now)
    });
    if taken == Inserted::Yes {
        Ok(())
    } else {
        Err(Reason::PortsExhausted)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    fn no_port_is_tried_twice(#[values(1, 2, 15, 16, 17, 1_000, 20_000, 28_976, 64_512)] count: u32) {
        for random in 0..count {
            let step = u64::from(stride(random, count));
            let last = step * u64::from(TRIES.min(count) - 1);
            assert!(step > 0 && last < u64::from(count), "{step}");
        }
    }
}
