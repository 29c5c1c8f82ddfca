//! The hooks on devices: each makes a frame, picks the family, calls the library and turns its verdict into an action.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    macros::classifier,
    programs::TcContext,
};
use proxy_common::{
    family::{Family as _, V4, V6},
    node::Hook,
    reason::Reason,
};
use proxy_ebpf::{
    node::Node,
    parse::Parse,
    pipeline,
    reject::{self, Refusal},
    verdict::{Action, Verdict},
    work::Work,
};

use crate::{
    host::Kernel,
    maps, report,
    skb::{Link, Skb},
};

#[classifier]
pub(crate) fn ingress(ctx: TcContext) -> i32 {
    let (frame, link) = Skb::of_ethernet(&ctx);
    ingress_of(&ctx, frame, &link)
}

#[classifier]
pub(crate) fn ingress_l3(ctx: TcContext) -> i32 {
    let (frame, link) = Skb::of_network(&ctx);
    ingress_of(&ctx, frame, &link)
}

#[classifier]
pub(crate) fn egress(ctx: TcContext) -> i32 {
    let (frame, link) = Skb::of_ethernet(&ctx);
    egress_of(&ctx, frame, &link)
}

#[classifier]
pub(crate) fn egress_l3(ctx: TcContext) -> i32 {
    let (frame, link) = Skb::of_network(&ctx);
    egress_of(&ctx, frame, &link)
}

#[inline(always)]
fn ingress_of(ctx: &TcContext, mut frame: Skb, link: &Link) -> i32 {
    match link.ethertype {
        V4::ETHERTYPE => ingress_family::<V4, 28>(ctx, &mut frame, link, maps::work_v4()),
        V6::ETHERTYPE => ingress_family::<V6, 48>(ctx, &mut frame, link, maps::work_v6()),
        _ => pass(Hook::Ingress, Reason::NotIp as u8),
    }
}

#[inline(always)]
fn egress_of(ctx: &TcContext, mut frame: Skb, link: &Link) -> i32 {
    match link.ethertype {
        V4::ETHERTYPE => egress_family::<V4, 28>(ctx, &mut frame, maps::work_v4()),
        V6::ETHERTYPE => egress_family::<V6, 48>(ctx, &mut frame, maps::work_v6()),
        _ => pass(Hook::Egress, Reason::NotIp as u8),
    }
}

#[inline(always)]
fn ingress_family<F: Parse, const HEADERS: usize>(
    ctx: &TcContext,
    frame: &mut Skb,
    link: &Link,
    work: Option<&mut Work<F>>,
) -> i32
where
    Kernel: Node<F>,
{
    let Some(work) = work else { return TC_ACT_UNSPEC };
    let arrival = frame.arrival(link);
    let verdict = pipeline::ingress::<F>(frame, &Kernel::new(ctx.as_ptr()), &arrival, work);
    report::tell(Hook::Ingress, verdict.reason_number(), arrival.interface);
    act::<F, HEADERS>(Hook::Ingress, frame, verdict, work)
}

#[inline(always)]
fn egress_family<F: Parse, const HEADERS: usize>(ctx: &TcContext, frame: &mut Skb, work: Option<&mut Work<F>>) -> i32
where
    Kernel: Node<F>,
{
    let Some(work) = work else { return TC_ACT_UNSPEC };
    let interface = frame.interface();
    let verdict = pipeline::egress::<F>(frame, &Kernel::new(ctx.as_ptr()), work);
    report::tell(Hook::Egress, verdict.reason_number(), interface);
    act::<F, HEADERS>(Hook::Egress, frame, verdict, work)
}

/// Counts a verdict and carries it out. What goes on goes to the next program on the device, whoever's it is.
#[inline(always)]
fn act<F: Parse, const HEADERS: usize>(hook: Hook, frame: &Skb, verdict: Verdict, work: &mut Work<F>) -> i32 {
    let reason = verdict.reason_number();
    match verdict.action() {
        Action::Translate | Action::Pass => pass(hook, reason),
        Action::Drop => drop(hook, reason),
        Action::Reject => refuse::<F, HEADERS>(hook, frame, reason, work),
    }
}

/// Sends a refusal, if this processor has not sent too many.
#[inline(always)]
fn refuse<F: Parse, const HEADERS: usize>(hook: Hook, frame: &Skb, reason: u8, work: &mut Work<F>) -> i32 {
    if !report::may_refuse() {
        return drop(hook, Reason::RejectLimited as u8);
    }
    report::count(hook, reason);
    if reject::prepare(frame, work) {
        send_back::<HEADERS>(frame, &work.refusal)
    } else {
        TC_ACT_SHOT as i32
    }
}

/// A step of its own, for its stack.
#[inline(never)]
fn send_back<const HEADERS: usize>(frame: &Skb, refusal: &Refusal) -> i32 {
    frame.refuse::<HEADERS>(refusal)
}

#[inline(always)]
fn pass(hook: Hook, reason: u8) -> i32 {
    report::count(hook, reason);
    TC_ACT_UNSPEC
}

#[inline(always)]
fn drop(hook: Hook, reason: u8) -> i32 {
    report::count(hook, reason);
    TC_ACT_SHOT as i32
}
