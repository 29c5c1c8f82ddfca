//! What would become of a packet that opens a flow, found out without leaving a trace: so it can be asked on the maps of a
//! node at work.

use proxy_common::{
    block::View,
    explain::{Explanation, Outcome},
    family::Family,
    flow::FlowKey,
    net::{Address as _, Tuple},
    node::{NodeConfig, node_flag},
    reason::Reason,
};

use crate::{
    frame::Frame,
    node::Node,
    parse::{self, Packet, Parse},
    pipeline,
    select::{self, Decision, policy::Sender},
    service, track,
    verdict::{Action, Verdict},
    work::Work,
};

/// What [`pipeline::ingress`] would decide on a packet that comes in by an interface, or the hooks of sockets on what an
/// address of this node sends.
#[inline(always)]
pub fn explain<F: Parse>(frame: &impl Frame, node: &impl Node<F>, interface: u32, work: &mut Work<F>) -> Explanation {
    match look(frame, work) {
        Ok(()) => {}
        Err(verdict) if verdict == Verdict::pass(Reason::IcmpQuery) => {
            return of_verdict(pipeline::query(node, &work.header.destination));
        }
        Err(verdict) => return of_verdict(verdict),
    }
    work.key = FlowKey::wire(&work.segment.tuple);
    let known = track::find(node, &work.key).is_some().into();
    match decide(node, interface, &work.segment.tuple).and_then(|decision| chosen(node, work, &decision)) {
        Ok(explanation) => Explanation { known, ..explanation },
        Err(verdict) => Explanation {
            known,
            ..of_verdict(verdict)
        },
    }
}

/// An explanation of a packet that goes to no endpoint.
#[inline(always)]
#[must_use]
pub fn of_verdict(verdict: Verdict) -> Explanation {
    let outcome = match verdict.action() {
        Action::Pass => Outcome::Pass,
        Action::Translate => Outcome::Translate,
        Action::Drop => Outcome::Drop,
        Action::Reject => Outcome::Reject,
    };
    Explanation {
        outcome: outcome as u8,
        reason: verdict.reason_number(),
        ..Explanation::default()
    }
}

/// Reads the headers of a packet. What is asked needs most of the stack: so they are put where those of packets are.
#[inline(never)]
fn look<F: Parse>(frame: &impl Frame, work: &mut Work<F>) -> Result<(), Verdict> {
    match parse::packet::<F>(frame) {
        Ok(Packet::Segment(segment)) => {
            work.segment = segment;
            Ok(())
        }
        Ok(Packet::Icmp(header)) => {
            work.header = header;
            Err(Verdict::pass(Reason::IcmpQuery))
        }
        Err(reason) => Err(Verdict::pass(reason)),
    }
}

#[inline(always)]
fn decide<F: Family>(node: &impl Node<F>, interface: u32, tuple: &Tuple<F>) -> Result<Decision, Verdict> {
    let config = node.config().ok_or(Verdict::pass(Reason::NoService))?;
    if node.own_address(&tuple.source.address).is_some() {
        decide_for_host(node, config, tuple)
    } else {
        pipeline::decide(node, config, interface, tuple)
    }
}

/// A packet of the node itself: its sockets are translated where they connect and never meet `ingress`.
#[inline(never)]
fn decide_for_host<F: Family, N: Node<F>>(
    node: &N,
    config: &NodeConfig<F>,
    tuple: &Tuple<F>,
) -> Result<Decision, Verdict> {
    // Of the addresses that no packet from a device may have, only loopback ones are dialled.
    let at_loopback = config.flags & node_flag::LOOPBACK_NODE_PORTS != 0 && tuple.destination.address.never_a_source();
    let dialled = if at_loopback {
        service::at_node_port(node, tuple.destination.port, tuple.protocol)
    } else {
        service::lookup(node, tuple.destination, tuple.protocol)
    };
    let Some(dialled) = dialled else {
        return Err(service::unanswered(node, config, &tuple.destination.address));
    };
    select::decide(node, config, dialled, Sender::Host, None)
}

/// One of the endpoints that the packet may go to.
#[inline(always)]
fn chosen<F: Family>(node: &impl Node<F>, work: &Work<F>, decision: &Decision) -> Result<Explanation, Verdict> {
    let endpoint = decision.candidates.endpoint::<F>(node, 0)?;
    let client = &work.segment.tuple.source.address;
    let is_hidden = track::open::is_hidden(node, client, &endpoint.peer.address, decision.masquerade);
    Ok(Explanation {
        outcome: Outcome::Translate as u8,
        reason: Reason::Translated as u8,
        kind: decision.dialled.kind as u8,
        view: if decision.view == View::Local { 1 } else { 2 },
        masquerade: is_hidden.into(),
        known: 0,
        backend_port: endpoint.peer.port,
        service: decision.dialled.service,
        endpoint: endpoint.number,
        generation: decision.generation,
        zero: 0,
        backend: endpoint.peer.address.widen(),
    })
}
