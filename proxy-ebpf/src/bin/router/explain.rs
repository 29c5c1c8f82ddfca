//! The twin of `ingress` that is attached nowhere: it decides on a packet and reports the decision. It writes nothing
//! but its report, so it can be run on the maps of a node at work.

use aya_ebpf::{EbpfContext as _, macros::classifier, programs::TcContext};
use proxy_common::{
    block::View,
    explain::{Explanation, Outcome},
    family::{Family as _, V4, V6},
    flow::FlowKey,
    net::{Address as _, Tuple},
    node::{NodeConfig, node_flag},
    reason::Reason,
};
use proxy_ebpf::{
    node::Node,
    parse::{self, Packet, Parse},
    pipeline,
    select::{self, Decision, policy::Sender},
    service, track,
    verdict::{Action, Verdict},
    work::Work,
};

use crate::{
    host::Kernel,
    maps::{self, EXPLANATION},
    skb::Skb,
};

#[classifier]
pub(crate) fn explain(ctx: TcContext) -> i32 {
    let (frame, link) = Skb::of_ethernet(&ctx);
    let kernel = Kernel::new(ctx.as_ptr());
    let explanation = match link.ethertype {
        V4::ETHERTYPE => explain_packet::<V4>(&frame, &kernel, maps::work_v4()),
        V6::ETHERTYPE => explain_packet::<V6>(&frame, &kernel, maps::work_v6()),
        _ => of_verdict(Verdict::pass(Reason::NotIp)),
    };
    let _ = EXPLANATION.set(0, &explanation, 0);
    0
}

/// What is asked needs most of the stack: so headers and key are read where those of packets are.
#[inline(always)]
fn explain_packet<F: Parse>(frame: &Skb, kernel: &impl Node<F>, work: Option<&mut Work<F>>) -> Explanation {
    let Some(work) = work else {
        return of_verdict(Verdict::pass(Reason::NoService));
    };
    match look(frame, work) {
        Ok(()) => {}
        Err(verdict) if verdict == Verdict::pass(Reason::IcmpQuery) => {
            return of_verdict(pipeline::query(kernel, &work.header.destination));
        }
        Err(verdict) => return of_verdict(verdict),
    }
    work.key = FlowKey::wire(&work.segment.tuple);
    let segment = &work.segment;
    let known = track::find(kernel, &work.key).is_some();
    let Some(config) = kernel.config() else {
        return of_verdict(Verdict::pass(Reason::NoService));
    };
    let is_own = kernel.own_address(&segment.tuple.source.address).is_some();
    let decision = if is_own {
        decide_for_host(kernel, config, &segment.tuple)
    } else {
        pipeline::decide(kernel, config, frame.interface(), &segment.tuple)
    };
    let decision = match decision {
        Ok(decision) => decision,
        Err(verdict) => {
            return Explanation {
                known: known.into(),
                ..of_verdict(verdict)
            };
        }
    };
    let endpoint = match decision.candidates.endpoint::<F>(kernel, 0) {
        Ok(endpoint) => endpoint,
        Err(verdict) => return of_verdict(verdict),
    };
    Explanation {
        outcome: Outcome::Translate as u8,
        reason: Reason::Translated as u8,
        kind: decision.dialled.kind as u8,
        view: if decision.view == View::Local { 1 } else { 2 },
        masquerade: (decision.masquerade || endpoint.peer.address == segment.tuple.source.address).into(),
        known: known.into(),
        backend_port: endpoint.peer.port,
        service: decision.dialled.service,
        endpoint: endpoint.number,
        generation: decision.generation,
        zero: 0,
        backend: endpoint.peer.address.widen(),
    }
}

/// Reads the headers of a packet.
#[inline(never)]
fn look<F: Parse>(frame: &Skb, work: &mut Work<F>) -> Result<(), Verdict> {
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

/// A packet of the node itself: its sockets are translated where they connect and never meet `ingress`.
#[inline(never)]
fn decide_for_host<F: Parse, N: Node<F>>(
    kernel: &N,
    config: &NodeConfig<F>,
    tuple: &Tuple<F>,
) -> Result<Decision, Verdict> {
    // Of the addresses that no packet from a device may have, only loopback ones are dialled.
    let at_loopback = config.flags & node_flag::LOOPBACK_NODE_PORTS != 0 && tuple.destination.address.never_a_source();
    let dialled = if at_loopback {
        service::at_node_port(kernel, tuple.destination.port, tuple.protocol)
    } else {
        service::lookup(kernel, tuple.destination, tuple.protocol)
    };
    let Some(dialled) = dialled else {
        return Err(service::unanswered(kernel, config, &tuple.destination.address));
    };
    select::decide(kernel, config, dialled, Sender::Host, None)
}

#[inline(always)]
fn of_verdict(verdict: Verdict) -> Explanation {
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
