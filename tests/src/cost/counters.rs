//! What the programs count: every packet once, under its hook and a reason.

use std::{collections::BTreeMap, os::fd::AsFd};

use anyhow::{Context as _, Result};
use proxy_common::{node::Hook, reason::Reason};

use crate::kernel::{bpf, programs};

/// How many packets each reason has counted.
pub(super) type Counted = BTreeMap<Reason, u64>;

/// Reads the counters of a hook.
///
/// # Errors
/// The kernel's.
pub(super) fn read(counters: impl AsFd, hook: Hook) -> Result<Counted> {
    let each = |reason: &Reason| {
        let key = reason.counter(hook).to_ne_bytes();
        let words = bpf::look_up(counters.as_fd(), &key, 8 * programs::processors())?;
        let words = words.context("an array has all its entries")?;
        let by_processor = words
            .chunks_exact(8)
            .map(|word| word.try_into().map_or(0, u64::from_ne_bytes));
        Ok((*reason, by_processor.sum()))
    };
    Reason::ALL.iter().map(each).collect()
}

/// What has been counted since; reasons that have counted nothing are left out.
pub(super) fn since(before: &Counted, after: &Counted) -> Counted {
    let moved = after.iter().map(|(reason, count)| (*reason, count - before[reason]));
    moved.filter(|(_, count)| *count != 0).collect()
}
