//! The hooks on sockets.

use aya_ebpf::{
    EbpfContext as _, helpers::generated::bpf_set_retval, macros::cgroup_sock_addr, programs::SockAddrContext,
};
use proxy_common::{
    family::{Family, V4, V6},
    net::Peer,
    node::Hook,
    reason::Reason,
};
use proxy_ebpf::{
    node::Tables,
    socket::{self, Answer, Socket},
};

use crate::{host::Kernel, report, sock::Call};

const ALLOW: i32 = 1;
const DENY: i32 = 0;
const ECONNREFUSED: i32 = 111;
const EHOSTUNREACH: i32 = 113;

#[cgroup_sock_addr(connect4)]
pub(crate) fn connect4(ctx: SockAddrContext) -> i32 {
    let call = Call::new(&ctx);
    dial(&ctx, &call, call.v4(), |peer| call.set_v4(peer))
}

#[cgroup_sock_addr(connect6)]
pub(crate) fn connect6(ctx: SockAddrContext) -> i32 {
    let call = Call::new(&ctx);
    dial_v6(&ctx, &call)
}

#[cgroup_sock_addr(sendmsg4)]
pub(crate) fn sendmsg4(ctx: SockAddrContext) -> i32 {
    let call = Call::new(&ctx);
    dial(&ctx, &call, call.v4(), |peer| call.set_v4(peer))
}

#[cgroup_sock_addr(sendmsg6)]
pub(crate) fn sendmsg6(ctx: SockAddrContext) -> i32 {
    let call = Call::new(&ctx);
    dial_v6(&ctx, &call)
}

#[cgroup_sock_addr(recvmsg4)]
pub(crate) fn recvmsg4(ctx: SockAddrContext) -> i32 {
    let call = Call::new(&ctx);
    name(&ctx, &call, call.v4(), |peer| call.set_v4(peer))
}

#[cgroup_sock_addr(recvmsg6)]
pub(crate) fn recvmsg6(ctx: SockAddrContext) -> i32 {
    let call = Call::new(&ctx);
    name_v6(&ctx, &call)
}

#[cgroup_sock_addr(getpeername4)]
pub(crate) fn getpeername4(ctx: SockAddrContext) -> i32 {
    let call = Call::new(&ctx);
    name(&ctx, &call, call.v4(), |peer| call.set_v4(peer))
}

#[cgroup_sock_addr(getpeername6)]
pub(crate) fn getpeername6(ctx: SockAddrContext) -> i32 {
    let call = Call::new(&ctx);
    name_v6(&ctx, &call)
}

#[inline(always)]
fn dial_v6(ctx: &SockAddrContext, call: &Call<'_>) -> i32 {
    match call.mapped() {
        Some(peer) => dial::<V4>(ctx, call, peer, |peer| call.set_mapped(peer)),
        None => dial::<V6>(ctx, call, call.v6(), |peer| call.set_v6(peer)),
    }
}

#[inline(always)]
fn name_v6(ctx: &SockAddrContext, call: &Call<'_>) -> i32 {
    match call.mapped() {
        Some(peer) => name::<V4>(ctx, call, peer, |peer| call.set_mapped(peer)),
        None => name::<V6>(ctx, call, call.v6(), |peer| call.set_v6(peer)),
    }
}

/// Asks the library where a call goes, and carries the answer out.
#[inline(always)]
fn dial<'a, F: Family>(ctx: &SockAddrContext, call: &Call<'a>, peer: Peer<F>, set: impl FnOnce(Peer<F>)) -> i32
where
    Kernel: Tables<F>,
    Call<'a>: Socket<F>,
{
    let Some(protocol) = call.protocol() else { return ALLOW };
    match socket::dial(&Kernel::new(ctx.as_ptr()), call, peer, protocol) {
        Answer::Leave(reason) => {
            report::count(Hook::Socket, reason);
            ALLOW
        }
        Answer::Translate(backend) => {
            report::count(Hook::Socket, Reason::Translated as u8);
            set(backend);
            ALLOW
        }
        Answer::Refuse(reason) => fail(reason, ECONNREFUSED),
        Answer::Unreachable(reason) => fail(reason, EHOSTUNREACH),
    }
}

/// Lets a program see the address that it dialled.
#[inline(always)]
fn name<'a, F: Family>(ctx: &SockAddrContext, call: &Call<'a>, peer: Peer<F>, set: impl FnOnce(Peer<F>)) -> i32
where
    Call<'a>: Socket<F>,
{
    if let Some(dialled) = socket::dialled_name(&Kernel::new(ctx.as_ptr()), call, peer) {
        set(dialled);
    }
    ALLOW
}

#[inline(always)]
fn fail(reason: u8, error: i32) -> i32 {
    report::count(Hook::Socket, reason);
    // SAFETY: a helper with a plain argument.
    unsafe { bpf_set_retval(-error) };
    DENY
}
