//! 2. Is the flow known? And how flows are opened, aged and given up.

pub mod open;
pub mod reserve;
pub mod records;

use proxy_common::{
    endpoint::serving,
    family::Family,
    flow::{FlowKey, FlowRecord, FlowRef, Life, flag},
    lifetime::{QUIET, REFRESH, hold},
    net::Protocol,
    phase::{Answer, Direction, Event, Phase, advance},
};

use crate::{
    node::{Clock, Tables},
    parse::{Parse, Segment},
};

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
    let (life, record) = node.live_record(at.index)?;
    (life.sequence() == at.sequence).then_some(Flow { at, life, record })
}

/// Whether a record still is the flow's that it was found for.
#[inline(always)]
pub fn is_current<F: Family>(node: &impl Tables<F>, flow: &Flow<'_, F>) -> bool {
    node.life_still(flow.at.index).sequence() == flow.at.sequence
}

/// Whether a flow has had no packet for longer than its phase allows.
#[inline(always)]
pub(crate) fn is_expired<F: Family>(flow: &Flow<'_, F>, now: u64) -> bool {
    flow.record.is_past(flow.life.phase(), now)
}

/// What a packet of a known flow opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Nothing.
    No,
    /// A connection, perhaps; it goes to the backend that the flow has. Nothing is noted before that answers.
    Again,
    /// Another connection on the tuple of one that is over: that one is forgotten.
    Anew,
}

/// What a packet of a known flow opens.
///
/// A SYN on the tuple of a connection that has ended opens another, as conntrack has it, with a choice of its own. But a
/// RST may be forged, and a SYN: so in a conversation it goes to the same backend, which answers a new connection by a
/// handshake and one that still lives by a plain acknowledgement (RFC 5961 section 4). When no packet of the conversation
/// has come for long enough, a backend is left that no longer serves, or, if a RST was seen, that gets no new connections.
/// The SYN itself does not count as one: a client that comes again and again would keep what is gone.
#[inline(always)]
pub fn opening<F: Parse, N: Tables<F> + Clock>(node: &N, flow: &Flow<'_, F>, segment: &Segment<F>) -> Opening {
    if !segment.opens {
        return Opening::No;
    }
    let phase = flow.life.phase();
    if phase.is_over() && segment.sequence != flow.record.opening_sequence {
        return Opening::Anew;
    }
    // Of datagrams each might open a flow.
    if flow.record.protocol() == Protocol::Udp || phase <= Phase::Answered {
        return Opening::No;
    }
    let needed = if phase.is_doubted() {
        serving::ELIGIBLE
    } else {
        serving::SERVING
    };
    // Straight to an endpoint there is no choice.
    let is_kept = flow.record.is(flag::DIRECT) || node.is_marked(flow.record.endpoint, needed);
    if is_quiet(flow.record, node.now()) && !is_kept {
        Opening::Anew
    } else {
        Opening::Again
    }
}

/// Whether no packet has come for so long that a RST counts as the connection's own.
#[inline(always)]
fn is_quiet<F: Family>(record: &FlowRecord<F>, now: u64) -> bool {
    now.saturating_sub(record.last_seen) > QUIET
}

/// Whether a port that a flow holds may be taken by another: the flow's connection has ended.
///
/// That is earlier than twice the segment lifetime after the end ([`hold`]), and what conntrack does: a new connection
/// takes the place of one in TIME-WAIT. A backend that waits itself accepts the new SYN if its sequence number or its time stamp
/// is later than the last one's (RFC 6191, RFC 9293 section 3.10.7.4), and answers by an acknowledgement otherwise; the
/// client's RST then ends the wait, and its second SYN gets through. So the ports do not bound how many short
/// connections there are in two minutes, only how many there are at once.
#[inline(always)]
pub(crate) fn gives_way<F: Family>(record: &FlowRecord<F>, phase: Phase, now: u64) -> bool {
    let hold = hold(record.protocol(), phase);
    hold == 0 || now.saturating_sub(record.last_seen) > hold
}

/// Notes a packet of a flow: when it was, and what it does to the flow's phase.
#[inline(always)]
pub fn note<F: Parse, N: Tables<F> + Clock>(node: &N, flow: &Flow<'_, F>, direction: Direction, segment: &Segment<F>) {
    let now = node.now();
    if now.saturating_sub(flow.record.last_seen) > REFRESH {
        node.touch(flow.at.index, now);
    }
    let life = flow.life;
    let phase = after(flow, life.phase(), direction, segment);
    if phase == life.phase() && phase != Phase::Answered {
        return;
    }
    if phase != life.phase() {
        if !node.exchange_life(flow.at.index, life, life.in_phase(phase)) {
            note_again(node, flow, direction, segment);
            return;
        }
        node.touch(flow.at.index, now);
    }
    if direction == Direction::Reply {
        note_reply(node, flow, segment);
    }
}

/// The phase after a packet.
#[inline(always)]
fn after<F: Parse>(flow: &Flow<'_, F>, phase: Phase, direction: Direction, segment: &Segment<F>) -> Phase {
    let (flags, acknowledgement) = (segment.flags, segment.acknowledgement);
    let event = Event {
        protocol: flow.record.protocol(),
        direction,
        flags,
        acknowledges: flow.record.answer.is_acknowledged_by(flags, acknowledgement, phase),
    };
    advance(phase, event)
}

/// Another packet of the flow was faster, as the other side's FIN may be: this one's step comes after that one's.
#[inline(always)]
fn note_again<F: Parse, N: Tables<F>>(node: &N, flow: &Flow<'_, F>, direction: Direction, segment: &Segment<F>) {
    let life = node.life(flow.at.index);
    if life.sequence() == flow.life.sequence() {
        let phase = after(flow, life.phase(), direction, segment);
        node.exchange_life(flow.at.index, life, life.in_phase(phase));
    }
}

/// Notes what an answer changes: the first is counted, and of a handshake it is remembered what acknowledges it.
#[inline(always)]
fn note_reply<F: Parse, N: Tables<F>>(node: &N, flow: &Flow<'_, F>, segment: &Segment<F>) {
    if flow.life.phase().is_unanswered() {
        node.count_answered(flow.record.endpoint);
    }
    let answer = Answer::new(segment.sequence);
    if segment.flags.answers() && flow.record.answer != answer {
        node.note_answer(flow.at.index, answer);
    }
}
