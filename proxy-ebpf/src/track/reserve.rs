//! Making a flow's tuples its own: each is inserted with "must not exist".

use proxy_common::{
    family::Family,
    flow::{FlowKey, FlowRef},
    net::{Peer, Port, Tuple},
    reason::Reason,
};

use super::{is_expired, read, records};
use crate::{
    node::{Clock, Entropy, Inserted, Tables},
    work::{Search, Work},
};

/// How many ports are tried. With half of the range in use towards one backend, one flow in 65,000 finds none.
const TRIES: u32 = 16;

/// Reserves a key. A key whose flow has expired counts as free.
#[inline(always)]
pub(super) fn key<F: Family, N: Tables<F> + Clock>(node: &N, key: &FlowKey<F>, at: FlowRef) -> Inserted {
    let first = node.insert_flow(key, at);
    if first != Inserted::Exists {
        return first;
    }
    let Some(holder) = node.flow(key).and_then(|holder| read(node, holder)) else {
        // It went this very moment.
        return node.insert_flow(key, at);
    };
    if !is_expired(&holder, node.now()) {
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
    node.delete_flow(&work.key);
}

/// Takes back what [`masqueraded`] has reserved.
#[inline(always)]
pub(super) fn forget_masqueraded<F: Family>(node: &impl Tables<F>, work: &mut Work<F>) {
    work.key = FlowKey::wire(&reply_tuple(work));
    node.delete_flow(&work.key);
}

/// Reserves the canonical tuple with another port of the client: its own is taken towards this backend.
///
/// # Errors
///
/// [`Reason::PortsExhausted`] if no port was free, [`Reason::FlowTableFull`].
#[inline(always)]
pub(super) fn shifted<F: Family, N: Tables<F> + Clock + Entropy>(node: &N, work: &mut Work<F>) -> Result<(), Reason> {
    ports(node, work, |work, port| {
        work.binding.inner_port = port;
        ask_canonical(work)
    })
}

/// Reserves the tuple of the replies to the masquerade address that is bound.
///
/// # Errors
///
/// As for [`shifted`].
#[inline(always)]
pub(super) fn masqueraded<F: Family, N: Tables<F> + Clock + Entropy>(
    node: &N,
    work: &mut Work<F>,
) -> Result<(), Reason> {
    ports(node, work, |work, port| {
        work.binding.masquerade.port = port;
        work.key = FlowKey::wire(&reply_tuple(work));
        true
    })
}

/// Tries ports of the masquerade range until one is free, from a random one on. Where all of them are taken, the last
/// one's holder may have expired.
#[inline(always)]
fn ports<F: Family, N: Tables<F> + Clock + Entropy>(
    node: &N,
    work: &mut Work<F>,
    ask: impl Fn(&mut Work<F>, Port) -> bool,
) -> Result<(), Reason> {
    let config = node.config().ok_or(Reason::PortsExhausted)?;
    let (first, count) = (config.masquerade_first, config.masquerade_count);
    let place = node.random().checked_rem(count).ok_or(Reason::PortsExhausted)?;
    work.search = Search {
        first,
        count,
        place,
        ..Search::default()
    };
    let mut tries = 0;
    while tries < TRIES {
        tries += 1;
        match try_port(node, work, &ask) {
            Inserted::Yes => return Ok(()),
            Inserted::Full => return Err(Reason::FlowTableFull),
            Inserted::Exists => {}
        }
    }
    let expired = work.search.asked && key(node, &work.key, work.flow) == Inserted::Yes;
    if expired { Ok(()) } else { Err(Reason::PortsExhausted) }
}

/// Tries the next port of the range.
#[inline(always)]
fn try_port<F: Family, N: Tables<F>>(
    node: &N,
    work: &mut Work<F>,
    ask: &impl Fn(&mut Work<F>, Port) -> bool,
) -> Inserted {
    #[expect(clippy::cast_possible_truncation, reason = "the range lies below 65,536")]
    let number = (work.search.first + work.search.place) as u16;
    let next = work.search.place + 1;
    work.search.place = if next >= work.search.count { 0 } else { next };
    if !node.is_free_port(number) || !ask(work, Port::new(number)) {
        return Inserted::Exists;
    }
    work.search.asked = true;
    node.insert_flow(&work.key, work.flow)
}
