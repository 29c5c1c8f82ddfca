//! Finding a record for a new flow: a clock hand goes round and takes what is free, what has expired, or, when nothing
//! of that is near, what no conversation depends on: there the oldest flows lie. But conversations that began together
//! lie together, and a hand alone would find no way past a few dozen of them; then the search goes on at random places.

use proxy_common::{
    family::Family,
    flow::{FlowKey, FlowRecord, FlowRef, Life, flag},
    lifetime::QUIET,
    phase::Phase,
    reason::Reason,
};

use super::Flow;
use crate::{
    node::{Clock, Entropy, Tables},
    work::{Search, Work},
};

/// How many records are looked at from the hand on.
pub(super) const NEAR: u32 = 16;
/// How many records are looked at before a new flow is refused. With nine of ten records held by established
/// connections, six in a thousand new flows are refused where those lie together, and one in a thousand elsewhere.
pub(super) const LOOKS: u32 = NEAR + 48;

/// How readily a record is given up while its flow is alive, by phase, for masqueraded flows [`Phase::PLACES`] on, and for
/// flows that may be over twice as many; the highest goes first. A table and no branches, for the reason that lifetimes are
/// one.
static LOSSES: [u8; 4 * Phase::PLACES] = losses();
/// A conversation goes on, or the record is being filled.
const NEVER: u8 = 0;
/// Closed, but its masquerade port may still meet a late packet; or perhaps closed, if a RST is to be believed, or if no
/// datagram of it comes: of those it takes two to make a conversation, and nobody proves to have got the answer.
const LAST: u8 = 1;
/// Closed, or answered and then not used: a half-open handshake, a query with its answer.
const IDLE: u8 = 2;
/// Nobody has answered, or the flow has expired.
const UNANSWERED: u8 = 3;
/// The record is nobody's.
const FREE: u8 = 4;

const fn losses() -> [u8; 4 * Phase::PLACES] {
    let mut table = [NEVER; 4 * Phase::PLACES];
    let mut phase = 0;
    while phase < Phase::COUNT {
        let (plain, masqueraded) = match Phase::from_number(phase) {
            Phase::Opening => (UNANSWERED, UNANSWERED),
            Phase::Answered => (IDLE, IDLE),
            Phase::Closed | Phase::Reset => (IDLE, LAST),
            Phase::ClientReset | Phase::BackendReset => (LAST, LAST),
            Phase::Claimed | Phase::Established | Phase::ClientDone | Phase::BackendDone => (NEVER, NEVER),
        };
        let phases = Phase::PLACES;
        table[phase as usize] = plain;
        table[phase as usize + phases] = masqueraded;
        table[phase as usize + 2 * phases] = if_over(phase, plain);
        table[phase as usize + 3 * phases] = if_over(phase, masqueraded);
        phase += 1;
    }
    table
}

/// The same of a flow without a handshake that has been without packets for a while.
const fn if_over(phase: u8, otherwise: u8) -> u8 {
    if phase == Phase::Established as u8 {
        LAST
    } else {
        otherwise
    }
}

/// Finds a record for the flow in `work`, looking at so many: in phase `Claimed` and without keys.
///
/// # Errors
///
/// [`Reason::FlowTableFull`] if all records that were looked at are needed.
#[inline(always)]
pub(super) fn claim<F: Family, N: Tables<F> + Clock + Entropy>(
    node: &N,
    work: &mut Work<F>,
    most: u32,
) -> Result<(), Reason> {
    let records = node.config().map_or(0, |config| config.records);
    let now = node.now();
    let hand = node.advance_hand(1);
    work.search = Search::default();
    let mut looks = 0;
    while looks < most {
        let place = if looks < NEAR {
            hand + u64::from(looks)
        } else if work.search.loss == NEVER {
            u64::from(node.random())
        } else {
            break;
        };
        let index = place.checked_rem(u64::from(records)).ok_or(Reason::FlowTableFull)?;
        looks += 1;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a remainder of a 32-bit divisor fits 32 bits"
        )]
        if look(node, work, index as u32, now) {
            break;
        }
    }
    node.advance_hand(u64::from(looks.min(NEAR)) - 1);
    if work.search.loss == NEVER {
        return Err(Reason::FlowTableFull);
    }
    if work.search.loss == FREE {
        return Ok(());
    }
    let flow = Flow {
        at: work.search.best,
        life: work.search.best_life,
        record: node.record(work.search.best.index).ok_or(Reason::FlowTableFull)?,
    };
    work.flow = evict(node, &flow).ok_or(Reason::FlowTableFull)?;
    Ok(())
}

/// Looks at one record; whether no better one need be looked for. A free one is taken at once.
#[inline(always)]
fn look<F: Family>(node: &impl Tables<F>, work: &mut Work<F>, index: u32, now: u64) -> bool {
    let life = node.life(index);
    let at = FlowRef {
        index,
        sequence: life.sequence(),
    };
    if !life.is_live() {
        let taken = take(node, at, life);
        if let Some(claimed) = taken {
            work.flow = claimed;
            work.search.loss = FREE;
        }
        return taken.is_some();
    }
    let loss = loss(node, index, life, now);
    if loss > work.search.loss {
        work.search.loss = loss;
        work.search.best = at;
        work.search.best_life = life;
    }
    loss == UNANSWERED
}

/// What is lost with a record.
#[inline(always)]
fn loss<F: Family>(node: &impl Tables<F>, index: u32, life: Life, now: u64) -> u8 {
    let Some(record) = node.record(index) else { return NEVER };
    let phase = life.phase();
    if record.is_past(phase, now) {
        return UNANSWERED;
    }
    let is_masqueraded = record.flags as usize & flag::MASQUERADE as usize;
    let variant = is_masqueraded | (may_be_over(record, now) << 1);
    let place = phase as usize | (variant * Phase::PLACES);
    LOSSES[core::hint::black_box(place) % LOSSES.len()]
}

/// 1 for a flow of any protocol but TCP that has been without packets for longer than [`QUIET`], 0 for others. Reckoned
/// and not asked, for the verifier's sake.
#[inline(always)]
fn may_be_over<F: Family>(record: &FlowRecord<F>, now: u64) -> usize {
    // Of the three protocols' numbers only TCP's has the bit of 2.
    let is_other = ((record.protocol as usize >> 1) & 1) ^ 1;
    // Another processor's clock may be a little ahead: that is no time at all.
    let left = QUIET.wrapping_add(record.last_seen).wrapping_sub(now);
    is_other & (left >> 63) as usize
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

/// Takes a record from its flow, and the flow's keys out of the table: no other program does, since only the owner of
/// the record deletes its keys.
#[inline(always)]
pub(super) fn evict<F: Family>(node: &impl Tables<F>, flow: &Flow<'_, F>) -> Option<FlowRef> {
    let claimed = take(node, flow.at, flow.life)?;
    forget_keys(node, flow);
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
fn forget_keys<F: Family>(node: &impl Tables<F>, flow: &Flow<'_, F>) {
    let record = flow.record;
    forget_key(node, &FlowKey::wire(&record.request()), flow.at);
    forget_key(node, &FlowKey::canonical(&record.canonical()), flow.at);
    if record.is(flag::MASQUERADE) {
        forget_key(node, &FlowKey::wire(&record.reply()), flow.at);
    }
}

/// Deletes a key, if it still is the flow's: the agent forgets keys of flows whose masquerade address has left the node,
/// and what it has forgotten, or what refers to nobody any more, may have been given to another flow since. So it is
/// asked and taken in one step, before it is deleted.
#[inline(always)]
pub(super) fn forget_key<F: Family>(node: &impl Tables<F>, key: &FlowKey<F>, owner: FlowRef) {
    if node.exchange_flow(key, owner, FlowRef::LEAVING) && !node.delete_flow(key) {
        node.exchange_flow(key, FlowRef::LEAVING, FlowRef::LEFT_BEHIND);
        node.count_key_left_behind();
    }
}
