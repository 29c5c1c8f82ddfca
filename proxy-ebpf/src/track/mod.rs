//! 2. Is the flow known? And how flows are opened, aged and given up.

pub mod open;
pub mod reserve;
pub mod records;

use proxy_common::{
    family::Family,
    flow::{FlowKey, FlowRecord, FlowRef, Life},
    lifetime::{REFRESH, lifetime},
    phase::{Direction, Phase, TcpFlags, advance},
};

use crate::node::{Clock, Tables};

/// A flow that is alive. Its record is read in place: before a packet is changed by what it says, [`is_current`] asks
/// whether it still is this flow's.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a, F: Family> {
    /// Where its record is, and whose it was when it was found.
    pub at: FlowRef,
    /// The record's owner and phase at that moment.
    pub life: Life,
    /// The record.
    pub record: &'a FlowRecord<F>,
}

/// The live flow that has a key. One that is being opened has keys before its record is filled: it is not known yet.
#[inline(always)]
pub fn find<'a, F: Family, N: Tables<F> + Clock>(node: &'a N, key: &FlowKey<F>) -> Option<Flow<'a, F>> {
    let at = node.flow(key)?;
    read(node, at).filter(|flow| flow.life.phase() != Phase::Claimed && !is_expired(flow, node.now()))
}

/// The flow that a reference means, unless its record has changed hands.
#[inline(always)]
pub fn read<F: Family, N: Tables<F>>(node: &N, at: FlowRef) -> Option<Flow<'_, F>> {
    let life = node.life(at.index);
    if life.sequence() != at.sequence {
        return None;
    }
    Some(Flow {
        at,
        life,
        record: node.record(at.index)?,
    })
}

/// Whether a record still is the flow's that it was found for.
#[inline(always)]
pub fn is_current<F: Family>(node: &impl Tables<F>, flow: &Flow<'_, F>) -> bool {
    node.life(flow.at.index).sequence() == flow.at.sequence
}

/// Whether a flow has had no packet for longer than its phase allows.
#[inline(always)]
pub(crate) fn is_expired<F: Family>(flow: &Flow<'_, F>, now: u64) -> bool {
    is_past(flow.record, flow.life.phase(), now)
}

/// The same of a record whose phase was read apart from it. What a claimed record says is its former owner's: it never
/// is past.
#[inline(always)]
pub(crate) fn is_past<F: Family>(record: &FlowRecord<F>, phase: Phase, now: u64) -> bool {
    phase != Phase::Claimed && now.saturating_sub(record.last_seen) > lifetime(record.protocol(), phase)
}

/// Notes a packet of a flow: when it was, and what it does to the flow's phase.
#[inline(always)]
pub fn note<F: Family, N: Tables<F> + Clock>(node: &N, flow: &Flow<'_, F>, direction: Direction, flags: TcpFlags) {
    let now = node.now();
    if now.saturating_sub(flow.record.last_seen) > REFRESH {
        node.touch(flow.at.index, now);
    }
    let life = flow.life;
    let phase = advance(life.phase(), flow.record.protocol(), direction, flags);
    if phase == life.phase() {
        return;
    }
    // Who loses against another packet of the flow leaves the phase to it.
    if node.exchange_life(flow.at.index, life, life.in_phase(phase)) {
        node.touch(flow.at.index, now);
        if life.phase().is_unanswered() && direction == Direction::Reply {
            node.count_answered(flow.record.endpoint);
        }
    }
}
