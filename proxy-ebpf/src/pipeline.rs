//! The packet's way: parse, track, service, select, rewrite. Only this file calls the stages for
//! packets.
//!
//! The functions marked `inline(never)` are the steps: each has the stack for itself.

use proxy_common::{
    family::Family,
    flow::{FlowKey, FlowRecord, flag},
    frontend::{FrontendKey, FrontendKind},
    net::{Address as _, Protocol, Tuple},
    node::{Hook, NodeConfig, device_flag},
    phase::Direction,
    reason::Reason,
};

use crate::{
    fragments,
    frame::Frame,
    node::{Node, Tables},
    parse::{self, Packet, Parse, Segment, icmp},
    rewrite::{self, Plan},
    select::{self, Decision, policy},
    service,
    track::{self, Flow, Opening},
    verdict::{Action, Verdict},
    work::{Binding, Work},
};

/// How a frame came in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrival {
    /// The interface.
    pub interface: u32,
    /// Whether the frame's hardware address is not the interface's own.
    pub other_host: bool,
    /// The hardware address that it is sent to; zero without a link header.
    pub mac: [u8; 6],
    /// Whether it carries a VLAN tag with a number other than 0 (IEEE 802.1Q: 0 is a priority only).
    pub tagged: bool,
}

/// What is left to do after a packet was looked at. A plain number, for the reason that [`Verdict`] is one.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Step {
    /// Nothing: the verdict is in `work`.
    Done,
    /// It is a segment, and what is known of its flow is to be looked up.
    Go,
    /// It opens a flow.
    Open,
    /// It is an ICMP message.
    Icmp,
}

/// A packet comes in: from the form it has on the wire to `client <-> backend`.
#[inline(always)]
pub fn ingress<F: Parse>(
    frame: &mut impl Frame,
    node: &impl Node<F>,
    arrival: &Arrival,
    work: &mut Work<F>,
) -> Verdict {
    work.bridged = match addressed(node, arrival) {
        Addressed::Here => false,
        Addressed::Bridged => true,
        Addressed::Elsewhere(reason) => return Verdict::pass(reason),
    };
    work.interface = arrival.interface;
    let step = match look(frame, work) {
        Step::Go => enter(frame, node, work),
        step @ (Step::Done | Step::Open | Step::Icmp) => step,
    };
    match step {
        Step::Done | Step::Go => work.verdict,
        Step::Open => match first_packet(node, work).and_then(|()| track::open::open(node, work)) {
            Ok(()) => enter_opened(frame, node, work),
            Err(verdict) => verdict,
        },
        Step::Icmp if work.bridged => Verdict::pass(Reason::OtherHost),
        Step::Icmp => match quoted(frame, work).and_then(|()| enter_error(node, work)) {
            Ok(()) => rewrite_error(frame, work),
            Err(verdict) if verdict == Verdict::pass(Reason::IcmpQuery) => query(node, &work.header.destination),
            Err(verdict) => verdict,
        },
    }
}

/// A packet goes out: from `client <-> backend` to the form it has on the wire.
#[inline(always)]
pub fn egress<F: Parse>(frame: &mut impl Frame, node: &impl Node<F>, work: &mut Work<F>) -> Verdict {
    let step = match look(frame, work) {
        Step::Go => leave(frame, node, work),
        step @ (Step::Done | Step::Open | Step::Icmp) => step,
    };
    match step {
        Step::Done | Step::Go => work.verdict,
        Step::Open => match track::open::open_here(node, work) {
            Ok(()) => leave_opened(frame, node, work),
            Err(verdict) => verdict,
        },
        Step::Icmp => match quoted(frame, work).and_then(|()| leave_error(node, work)) {
            Ok(()) => rewrite_error(frame, work),
            Err(verdict) => verdict,
        },
    }
}

/// Reads the headers of a packet.
#[inline(never)]
fn look<F: Parse>(frame: &mut impl Frame, work: &mut Work<F>) -> Step {
    match parse::packet::<F>(frame) {
        Ok(Packet::Segment(segment)) => {
            work.segment = segment;
            Step::Go
        }
        Ok(Packet::Icmp(header)) => {
            work.header = header;
            Step::Icmp
        }
        Err(reason) => done(work, Verdict::pass(reason)),
    }
}

#[inline(always)]
fn done<F: Family>(work: &mut Work<F>, verdict: Verdict) -> Step {
    work.verdict = verdict;
    Step::Done
}

/// Whom a frame is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Addressed {
    /// This host.
    Here,
    /// Another machine or pod on the bridge whose port this is.
    Bridged,
    /// Others: it is left before anything is looked at.
    Elsewhere(Reason),
}

/// Frames for others are left, and those that a VLAN device above takes. What a bridge of this host passes on between
/// its ports will leave by an edge of ours, so a direct connection in it needs its tuple like any other.
#[inline(always)]
fn addressed<F: Family>(node: &impl Tables<F>, arrival: &Arrival) -> Addressed {
    if !arrival.other_host && !arrival.tagged {
        return Addressed::Here;
    }
    let device = node.device(arrival.interface).unwrap_or_default();
    if arrival.tagged && device.flags & device_flag::VLANS_ABOVE != 0 {
        return Addressed::Elsewhere(Reason::Tagged);
    }
    if !arrival.other_host || arrival.mac == device.mac {
        return Addressed::Here;
    }
    let is_port = device.routed_from != 0 && device.routed_from != arrival.interface;
    if is_port {
        Addressed::Bridged
    } else {
        Addressed::Elsewhere(Reason::OtherHost)
    }
}

/// Translates a segment that comes in, if its flow is known.
#[inline(never)]
fn enter<F: Parse, N: Node<F>>(frame: &mut impl Frame, node: &N, work: &mut Work<F>) -> Step {
    if let Err(reason) = fragments::resolve(&mut work.segment, node, Hook::Ingress) {
        return done(work, Verdict::pass(reason));
    }
    work.key = FlowKey::wire(&work.segment.tuple);
    let Some(flow) = track::find(node, &work.key) else {
        return unknown(work);
    };
    if work.bridged && !flow.record.is(flag::DIRECT) {
        return done(work, Verdict::pass(Reason::OtherHost));
    }
    let Some(direction) = wire_direction(flow.record, &work.segment.tuple) else {
        return unknown(work);
    };
    match track::opening(node, &flow, &work.segment) {
        Opening::Anew => {
            track::records::release(node, &flow);
            return Step::Open;
        }
        // Replies are noted where they leave: there all of them pass, masqueraded or not.
        Opening::No if direction == Direction::Request || flow.record.begins_here() => {
            track::note(node, &flow, direction, &work.segment);
        }
        Opening::No | Opening::Again => {}
    }
    let verdict = rewrite_segment(
        frame,
        node,
        &work.segment,
        &flow,
        &Plan::ingress(flow.record, direction),
    );
    done(work, verdict)
}

/// What is left to do for a segment without a flow.
#[inline(always)]
fn unknown<F: Family>(work: &mut Work<F>) -> Step {
    if work.segment.opens {
        Step::Open
    } else {
        done(work, Verdict::pass(Reason::NoFlow))
    }
}

/// Translates the packet that has opened a flow.
#[inline(never)]
fn enter_opened<F: Parse, N: Node<F>>(frame: &mut impl Frame, node: &N, work: &Work<F>) -> Verdict {
    // Another processor's flow may have been taken instead: it must be of the same request.
    let Some(flow) = track::read(node, work.flow).filter(|flow| flow.record.request() == work.segment.tuple) else {
        return Verdict::drop(Reason::TupleClash);
    };
    rewrite_segment(
        frame,
        node,
        &work.segment,
        &flow,
        &Plan::ingress(flow.record, Direction::Request),
    )
}

/// Which way a packet goes whose key led to a record; none if the record is not its flow's. A place in the table that is
/// given to another key while it is read leads to that key's record: so what a key leads to is compared, not believed.
#[inline(always)]
fn wire_direction<F: Family>(record: &FlowRecord<F>, tuple: &Tuple<F>) -> Option<Direction> {
    if tuple.is_of(&record.client(), &record.dialled(), record.protocol) {
        Some(Direction::Request)
    } else if tuple.is_of(&record.backend(), &record.masquerade(), record.protocol) {
        // Only masqueraded flows have a key for replies.
        Some(Direction::Reply)
    } else {
        None
    }
}

/// Decides on a packet that would open a flow. Nothing is written, so `explain` can ask.
///
/// # Errors
///
/// The verdict on a packet that opens no flow.
#[inline(always)]
pub fn decide<F: Family>(
    node: &impl Node<F>,
    config: &NodeConfig<F>,
    interface: u32,
    tuple: &Tuple<F>,
) -> Result<Decision, Verdict> {
    let source = &tuple.source.address;
    let Some(dialled) = service::lookup(node, tuple.destination, tuple.protocol) else {
        let verdict = service::unanswered(node, config, &tuple.destination.address);
        // Nobody is told who may not be told.
        let is_refusal = verdict.action() == Action::Reject;
        return Err(if is_refusal && is_bad_source(node, tuple) {
            Verdict::pass(Reason::BadSource)
        } else {
            verdict
        });
    };
    if is_bad_source(node, tuple) {
        return Err(Verdict::pass(Reason::BadSource));
    }
    if dialled.kind == FrontendKind::NodePort && node.has_udp_socket(tuple) {
        return Err(Verdict::pass(Reason::LocalSocket));
    }
    let sender = policy::sender(node, config, interface, source);
    select::decide(node, config, dialled, sender, Some(source))
}

/// An address that no packet from a device may have as its source, or that is a service's, this node's, or the
/// receiver's own: the answer would never find its way.
#[inline(always)]
fn is_bad_source<F: Family>(node: &impl Tables<F>, tuple: &Tuple<F>) -> bool {
    let source = tuple.source;
    source.address.never_a_source()
        || source.address == tuple.destination.address
        || node.own_address(&source.address).is_some()
        || node.frontend(&FrontendKey::new(source, tuple.protocol)).is_some()
}

/// The first packet of a flow: to a service, or straight to an endpoint of one.
#[inline(never)]
fn first_packet<F: Parse, N: Node<F>>(node: &N, work: &mut Work<F>) -> Result<(), Verdict> {
    // Nobody is sent to the unspecified address, which stands for node ports among the frontends.
    if work.segment.tuple.destination.address == F::Address::default() {
        return Err(Verdict::pass(Reason::NoService));
    }
    if work.bridged {
        if !is_direct(node, &work.segment.tuple) {
            return Err(Verdict::pass(Reason::OtherHost));
        }
        track::open::prepare_direct(work);
        return Ok(());
    }
    let config = node.config().ok_or(Verdict::pass(Reason::NoService))?;
    match decide(node, config, work.interface, &work.segment.tuple) {
        Ok(decision) => {
            work.binding = Binding {
                service: decision.dialled.service,
                ..Binding::default()
            };
            work.candidates = decision.candidates;
            work.masquerade = decision.masquerade;
        }
        Err(verdict) if verdict == Verdict::pass(Reason::NoService) && is_direct(node, &work.segment.tuple) => {
            track::open::prepare_direct(work);
        }
        Err(verdict) => return Err(verdict),
    }
    Ok(())
}

/// Whether a connection goes straight to an endpoint of some service: its tuple must not be given to another. For UDP,
/// where each packet would ask, it is not looked up.
#[inline(always)]
fn is_direct<F: Family>(node: &impl Tables<F>, tuple: &Tuple<F>) -> bool {
    tuple.protocol == Protocol::Tcp
        && !tuple.source.address.never_a_source()
        && node.is_target(&FrontendKey::new(tuple.destination, tuple.protocol))
}

/// Translates a segment that goes out, if its flow is known.
#[inline(never)]
fn leave<F: Parse, N: Node<F>>(frame: &mut impl Frame, node: &N, work: &mut Work<F>) -> Step {
    if let Err(reason) = fragments::resolve(&mut work.segment, node, Hook::Egress) {
        return done(work, Verdict::pass(reason));
    }
    work.key = FlowKey::canonical(&work.segment.tuple);
    let Some(flow) = track::find(node, &work.key) else {
        if work.segment.opens && takes_masquerade_port(node, &work.segment.tuple) {
            return Step::Open;
        }
        return done(work, Verdict::pass(Reason::NoFlow));
    };
    let Some(direction) = canonical_direction(flow.record, &work.segment.tuple) else {
        return done(work, Verdict::pass(Reason::NoFlow));
    };
    let is_noted = match direction {
        Direction::Reply => true,
        // Requests are noted where they come in, but for those that never do.
        Direction::Request if flow.record.begins_here() => match track::opening(node, &flow, &work.segment) {
            Opening::Anew => {
                track::records::release(node, &flow);
                return Step::Open;
            }
            Opening::No => true,
            Opening::Again => false,
        },
        Direction::Request => false,
    };
    if is_noted {
        track::note(node, &flow, direction, &work.segment);
    }
    let verdict = rewrite_segment(frame, node, &work.segment, &flow, &Plan::egress(flow.record, direction));
    done(work, verdict)
}

/// The same inside the host.
#[inline(always)]
fn canonical_direction<F: Family>(record: &FlowRecord<F>, tuple: &Tuple<F>) -> Option<Direction> {
    let (client, backend) = (record.inner_client(), record.backend());
    if tuple.is_of(&client, &backend, record.protocol) {
        Some(Direction::Request)
    } else if tuple.is_of(&backend, &client, record.protocol) {
        Some(Direction::Reply)
    } else {
        None
    }
}

/// Whether a packet with an address of this node goes to an endpoint from a port that might be given to a client: no
/// socket has one, but what masquerades behind the stack, as CNIs do, takes any.
#[inline(always)]
fn takes_masquerade_port<F: Family>(node: &impl Tables<F>, tuple: &Tuple<F>) -> bool {
    let Some(config) = node.config() else { return false };
    let place = u32::from(tuple.source.port.get()).wrapping_sub(config.masquerade_first);
    place < config.masquerade_count
        && node.own_address(&tuple.source.address).is_some()
        && node.is_target(&FrontendKey::new(tuple.destination, tuple.protocol))
}

/// Translates the packet that has opened a flow as it left.
#[inline(never)]
fn leave_opened<F: Parse, N: Node<F>>(frame: &mut impl Frame, node: &N, work: &Work<F>) -> Verdict {
    // Another processor's flow may have been met instead, half made.
    let Some(flow) = track::read(node, work.flow).filter(|flow| flow.record.canonical() == work.segment.tuple) else {
        return Verdict::drop(Reason::TupleClash);
    };
    let plan = Plan::egress(flow.record, Direction::Request);
    rewrite_segment(frame, node, &work.segment, &flow, &plan)
}

#[inline(always)]
fn rewrite_segment<F: Parse>(
    frame: &mut impl Frame,
    node: &impl Tables<F>,
    segment: &Segment<F>,
    flow: &Flow<'_, F>,
    plan: &Plan<F>,
) -> Verdict {
    if plan.is_done(&segment.tuple) {
        return Verdict::pass(if flow.record.is(flag::DIRECT) {
            Reason::Direct
        } else {
            Reason::Canonical
        });
    }
    if !track::is_current(node, flow) {
        return Verdict::pass(Reason::NoFlow);
    }
    match rewrite::apply::apply(frame, segment, plan) {
        Ok(()) => Verdict::TRANSLATED,
        Err(Reason::SctpFragment) => Verdict::pass(Reason::SctpFragment),
        Err(reason) => Verdict::drop(reason),
    }
}

/// Reads what an ICMP message quotes.
#[inline(never)]
fn quoted<F: Parse>(frame: &mut impl Frame, work: &mut Work<F>) -> Result<(), Verdict> {
    work.error = icmp::error(frame, &work.header).map_err(Verdict::pass)?;
    Ok(())
}

/// A ping, or another message that is about no packet. No service answers it: where what no service answers shall not be
/// passed on, it vanishes.
#[inline(never)]
pub fn query<F: Parse, N: Node<F>>(node: &N, to: &F::Address) -> Verdict {
    let pass = Verdict::pass(Reason::IcmpQuery);
    let Some(config) = node.config() else { return pass };
    let verdict = service::unanswered(node, config, to);
    match verdict.action() {
        Action::Reject => Verdict::drop(Reason::UnknownPort),
        Action::Drop => verdict,
        Action::Pass | Action::Translate => pass,
    }
}

/// An error comes in about a packet that has left this node: what it quotes is what `egress` made of it.
#[inline(never)]
fn enter_error<F: Parse, N: Node<F>>(node: &N, work: &mut Work<F>) -> Result<(), Verdict> {
    let answered = work.error.tuple.reversed();
    work.key = FlowKey::wire(&answered);
    let flow = track::find(node, &work.key).ok_or(Verdict::pass(Reason::IcmpUnrelated))?;
    let direction = wire_direction(flow.record, &answered).ok_or(Verdict::pass(Reason::IcmpUnrelated))?;
    work.plan = Plan::ingress(flow.record, direction);
    worth_rewriting(work)
}

/// An error goes out about a packet that has come in by this node: what it quotes is what `ingress` made of it.
#[inline(never)]
fn leave_error<F: Parse, N: Node<F>>(node: &N, work: &mut Work<F>) -> Result<(), Verdict> {
    let answered = work.error.tuple.reversed();
    work.key = FlowKey::canonical(&answered);
    let flow = track::find(node, &work.key).ok_or(Verdict::pass(Reason::IcmpUnrelated))?;
    let direction = canonical_direction(flow.record, &answered).ok_or(Verdict::pass(Reason::IcmpUnrelated))?;
    work.plan = Plan::egress(flow.record, direction);
    worth_rewriting(work)
}

/// Whether an error about a known flow is to be changed: not if it goes to another than has sent what it quotes, not if the
/// flow is not translated here, and never a redirect.
#[inline(always)]
fn worth_rewriting<F: Family>(work: &Work<F>) -> Result<(), Verdict> {
    if work.error.destination != work.error.tuple.source.address {
        return Err(Verdict::pass(Reason::IcmpUnrelated));
    }
    if work.plan.is_done(&work.error.tuple.reversed()) {
        return Err(Verdict::pass(Reason::Canonical));
    }
    if work.error.redirect {
        return Err(Verdict::drop(Reason::Redirect));
    }
    Ok(())
}

/// Changes an error as a packet that answers the quoted one would be changed, and the quoted packet the other way about.
#[inline(always)]
fn rewrite_error<F: Parse>(frame: &mut impl Frame, work: &Work<F>) -> Verdict {
    let quote = rewrite::embedded::quote(frame, work).and_then(|()| rewrite::embedded::addresses(frame, work));
    match quote.and_then(|()| rewrite::embedded::message(frame, work)) {
        Ok(()) => Verdict::TRANSLATED,
        Err(reason) => Verdict::drop(reason),
    }
}
