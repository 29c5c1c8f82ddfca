//! Finding a record for a new flow: a clock hand goes round and takes what is free, what has expired, or, when nothing
//! of that is near, what no conversation depends on.

use proxy_common::{
    family::Family,
    flow::{FlowKey, FlowRecord, FlowRef, Life, flag},
    phase::Phase,
    reason::Reason,
};

use super::{Flow, is_past, read};
use crate::node::{Clock, Tables};

/// How many records the hand looks at before a new flow is refused. With nine of ten records held by established
/// connections, one in a thousand new flows is refused.
const LOOKS: u32 = 64;

/// How readily a record is given up while its flow is alive; the highest goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    /// A conversation goes on.
    Never,
    /// Closed, but its masquerade port may still meet a late packet.
    ClosedWithPort,
    /// Closed, or answered and then not used: a half-open handshake, a query with its answer.
    Idle,
    /// Nobody has answered.
    Unanswered,
}

/// A record that now belongs to the caller, in phase `Claimed` and without keys.
///
/// # Errors
///
/// [`Reason::FlowTableFull`] if all records that the hand saw are needed.
#[inline(always)]
pub(super) fn claim<F: Family, N: Tables<F> + Clock>(node: &N, records: u32) -> Result<FlowRef, Reason> {
    if records == 0 {
        return Err(Reason::FlowTableFull);
    }
    let now = node.now();
    let hand = node.advance_hand(1);
    let mut best_loss = Loss::Never;
    let mut best = FlowRef::default();
    let mut looks = 0;
    while looks < LOOKS {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a remainder of a 32-bit divisor fits 32 bits"
        )]
        let index = ((hand + u64::from(looks)) % u64::from(records)) as u32;
        looks += 1;
        let life = node.life(index);
        let at = FlowRef {
            index,
            sequence: life.sequence(),
        };
        if !life.is_live() {
            if let Some(claimed) = take(node, at, life) {
                node.advance_hand(u64::from(looks) - 1);
                return Ok(claimed);
            }
            continue;
        }
        let loss = loss::<F, N>(node, at, now);
        if loss > best_loss {
            best_loss = loss;
            best = at;
        }
        if loss == Loss::Unanswered {
            break;
        }
    }
    node.advance_hand(u64::from(looks) - 1);
    if best_loss == Loss::Never {
        return Err(Reason::FlowTableFull);
    }
    let flow = read::<F, N>(node, best).ok_or(Reason::FlowTableFull)?;
    evict(node, &flow).ok_or(Reason::FlowTableFull)
}

/// What is lost with a record. An expired flow counts as one that nobody has answered.
#[inline(always)]
fn loss<F: Family, N: Tables<F>>(node: &N, at: FlowRef, now: u64) -> Loss {
    let life = node.life(at.index);
    let Some(record) = node.record(at.index) else {
        return Loss::Never;
    };
    if life.phase() == Phase::Claimed {
        return Loss::Never;
    }
    if is_past(record, life.phase(), now) {
        return Loss::Unanswered;
    }
    match life.phase() {
        Phase::Opening => Loss::Unanswered,
        Phase::Answered => Loss::Idle,
        Phase::Closed | Phase::Reset if record.flags & flag::MASQUERADE != 0 => Loss::ClosedWithPort,
        Phase::Closed | Phase::Reset => Loss::Idle,
        Phase::Claimed | Phase::Established | Phase::ClientDone | Phase::BackendDone => Loss::Never,
    }
}

/// Makes a record the caller's, if it still is what it was.
#[inline(always)]
fn take<F: Family>(node: &impl Tables<F>, at: FlowRef, life: Life) -> Option<FlowRef> {
    let claimed = life.claimed();
    node.exchange_life(at.index, life, claimed).then_some(FlowRef {
        index: at.index,
        sequence: claimed.sequence(),
    })
}

/// Takes a record from its flow, and the flow's keys out of the table: nobody else can, since only the owner of the
/// record deletes its keys.
#[inline(always)]
pub(super) fn evict<F: Family>(node: &impl Tables<F>, flow: &Flow<'_, F>) -> Option<FlowRef> {
    let claimed = take(node, flow.at, flow.life)?;
    forget_keys(node, flow.record);
    node.count_released(flow.record.endpoint);
    Some(claimed)
}

/// Ends a flow: its keys go, its record is free.
#[inline(always)]
pub fn release<F: Family>(node: &impl Tables<F>, flow: &Flow<'_, F>) {
    if let Some(claimed) = evict(node, flow) {
        free(node, claimed);
    }
}

/// Gives back a claimed record that has no keys.
#[inline(always)]
pub(super) fn free<F: Family>(node: &impl Tables<F>, claimed: FlowRef) {
    let life = Life::new(claimed.sequence, Phase::Claimed);
    node.exchange_life(claimed.index, life, life.freed());
}

#[inline(always)]
fn forget_keys<F: Family>(node: &impl Tables<F>, record: &FlowRecord<F>) {
    node.delete_flow(&FlowKey::wire(&record.request()));
    node.delete_flow(&FlowKey::canonical(&record.canonical()));
    if record.is(flag::MASQUERADE) {
        node.delete_flow(&FlowKey::wire(&record.reply()));
    }
}
