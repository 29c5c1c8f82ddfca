//! Counting what became of packets.

use aya_ebpf::{Global, helpers::generated::bpf_ktime_get_ns};
use aya_log_ebpf::info;
use proxy_common::{node::Hook, reason::Reason};
use proxy_ebpf::reject;

use crate::maps::{COUNTERS, REJECTS};

const SECOND: u64 = 1_000_000_000;

/// Whether packets are told of in the log: the loader writes it before the kernel sees the programs, and what the verifier
/// finds unreachable it takes out.
#[unsafe(no_mangle)]
static LOG_PACKETS: Global<u8> = Global::new(0);

/// Counts one packet under a [`Reason`]'s number.
#[inline(always)]
pub(crate) fn count(hook: Hook, reason: u8) {
    count_at(Reason::counter_of(reason, hook));
}

/// Counts at an index of the counters.
#[inline(always)]
pub(crate) fn count_at(index: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: the pointer is to this processor's own counter, which only programs on this processor write; one
        // that is interrupted between read and write may lose a count, never more.
        unsafe { *counter += 1 };
    }
}

/// Tells of a packet on a device, if that is wanted: hook, reason and interface as numbers, which the agent names.
#[inline(always)]
pub(crate) fn tell(hook: Hook, reason: u8, interface: u32) {
    if LOG_PACKETS.load() != 0 {
        log(hook as u32, reason, interface);
    }
}

/// A step of its own, for its stack.
#[inline(never)]
fn log(hook: u32, reason: u8, interface: u32) {
    info!((), "{} {} {}", hook, reason, interface);
}

/// Whether this processor may send another refusal in this second.
#[inline(always)]
pub(crate) fn may_refuse() -> bool {
    let Some(budget) = REJECTS.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: this processor's own entry, as in `count`.
    let budget = unsafe { &mut *budget };
    if now.wrapping_sub(budget.since) > SECOND {
        budget.since = now;
        budget.sent = 0;
    }
    budget.sent += 1;
    budget.sent <= reject::PER_SECOND
}
