//! The twin of `ingress` that is attached nowhere: it is given a packet and reports what would become of it.

use std::io;

use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};

use super::{Pins, load::EXPLAIN};

/// `struct __sk_buff` up to Linux 6.18: 48 words.
const CONTEXT: usize = 192;
/// `__sk_buff.ifindex`.
const IFINDEX: usize = 40;

/// The twin that a running agent has loaded.
///
/// # Errors
/// If no agent has.
pub fn of_agent(pins: &Pins) -> io::Result<SchedClassifier> {
    SchedClassifier::from_pin(pins.program(EXPLAIN)).map_err(io::Error::other)
}

/// Runs the twin over a frame that is taken to come in from an interface. Its report is in the map `EXPLANATION`.
///
/// # Errors
/// If there is no such interface, or the kernel does not run the program.
pub fn run(twin: &SchedClassifier, ifindex: u32, frame: &[u8]) -> io::Result<()> {
    let mut context = [0; CONTEXT];
    context[IFINDEX..IFINDEX + 4].copy_from_slice(&ifindex.to_ne_bytes());
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.ctx_in = Some(&context);
    twin.test_run(options).map(drop).map_err(io::Error::other)
}
