//! The kernel's own timing of a program that it runs over and over.

use std::os::fd::AsFd;

use anyhow::{Context as _, Result};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use crate::kernel::bpf::{self, Context};

/// How a program did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timed {
    /// What it returned at last.
    pub(super) returned: i32,
    /// How long it took on average, ns.
    pub(super) nanoseconds: f64,
}

/// Runs a program so many times over one packet at an interface; 0 is none in particular.
///
/// # Errors
/// The kernel's.
pub(super) fn time(program: impl AsFd, packet: &[u8], interface: u32, runs: u32) -> Result<Timed> {
    let ran = bpf::run_by_test(program, packet, &Context::new(interface, 0), runs, 0).context("a test-run")?;
    Ok(Timed {
        returned: ran.returned,
        nanoseconds: f64::from(ran.nanoseconds),
    })
}

/// Keeps this thread on the last of the processors that it may use, so that all samples are of one.
///
/// # Errors
/// The kernel's.
pub(super) fn stay_on_one_processor() -> Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let last = (0..CpuSet::count()).rev().find(|n| allowed.is_set(*n).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(last.context("no processor to run on")?)?;
    Ok(sched_setaffinity(this, &one)?)
}
