//! Counting what became of packets.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use proxy_common::{node::Hook, reason::Reason};
use proxy_ebpf::reject;

use crate::maps::{COUNTERS, REJECTS};

const SECOND: u64 = 1_000_000_000;

/// Counts one packet under a [`Reason`]'s number.
#[inline(always)]
pub(crate) fn count(hook: Hook, reason: u8) {
    if let Some(counter) = COUNTERS.get_ptr_mut(Reason::counter_of(reason, hook)) {
        // SAFETY: the pointer is to this processor's own counter, which only programs on this processor write; one
        // that is interrupted between read and write may lose a count, never more.
        unsafe { *counter += 1 };
    }
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
