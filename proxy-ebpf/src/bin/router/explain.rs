//! The twin of `ingress` that is attached nowhere: it decides on a packet and reports the decision. It writes nothing
//! but its report, so it can be run on the maps of a node at work.

use aya_ebpf::{EbpfContext as _, macros::classifier, programs::TcContext};
use proxy_common::{
    block::View,
    explain::{Explanation, Outcome},
    family::{Family as _, V4, V6},
    flow::FlowKey,
    net::Address as _,
    reason::Reason,
};
use proxy_ebpf::{
    node::Node,
    parse::{self, Packet, Parse},
    pipeline, track,
    verdict::{Action, Verdict},
};

use crate::{host::Kernel, maps::EXPLANATION, skb::Skb};

#[classifier]
pub(crate) fn explain(ctx: TcContext) -> i32 {
    let (frame, link) = Skb::of_ethernet(&ctx);
    let kernel = Kernel::new(ctx.as_ptr());
    let explanation = match link.ethertype {
        V4::ETHERTYPE => explain_packet::<V4>(&frame, &kernel),
        V6::ETHERTYPE => explain_packet::<V6>(&frame, &kernel),
        _ => of_verdict(Verdict::pass(Reason::NotIp)),
    };
    let _ = EXPLANATION.set(0, &explanation, 0);
    0
}

#[inline(always)]
fn explain_packet<F: Parse>(frame: &Skb, kernel: &impl Node<F>) -> Explanation {
    let segment = match parse::packet::<F>(frame) {
        Ok(Packet::Segment(segment)) => segment,
        Ok(Packet::Icmp(_)) => return of_verdict(Verdict::pass(Reason::IcmpQuery)),
        Err(reason) => return of_verdict(Verdict::pass(reason)),
    };
    let known = track::find(kernel, &FlowKey::wire(&segment.tuple)).is_some();
    let Some(config) = kernel.config() else {
        return of_verdict(Verdict::pass(Reason::NoService));
    };
    let decision = match pipeline::decide(kernel, config, frame.interface(), &segment.tuple) {
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
