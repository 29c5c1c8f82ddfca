//! The twin of `ingress` that is attached nowhere: it reports what would become of a packet, and writes nothing else.

use aya_ebpf::{EbpfContext as _, macros::classifier, programs::TcContext};
use proxy_common::{
    explain::Explanation,
    family::{Family as _, V4, V6},
    reason::Reason,
};
use proxy_ebpf::{explain, node::Node, parse::Parse, verdict::Verdict, work::Work};

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
        V4::ETHERTYPE => explain_family::<V4>(&frame, &kernel, maps::work_v4()),
        V6::ETHERTYPE => explain_family::<V6>(&frame, &kernel, maps::work_v6()),
        _ => explain::of_verdict(Verdict::pass(Reason::NotIp)),
    };
    let _ = EXPLANATION.set(0, &explanation, 0);
    0
}

#[inline(always)]
fn explain_family<F: Parse>(frame: &Skb, kernel: &impl Node<F>, work: Option<&mut Work<F>>) -> Explanation {
    match work {
        Some(work) => explain::explain(frame, kernel, frame.interface(), work),
        None => explain::of_verdict(Verdict::pass(Reason::NoService)),
    }
}
