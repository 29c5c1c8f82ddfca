//! The question put to the program, and its report.

use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};
use proxy_common::{explain::Explanation, schema};

use super::{Question, packet};
use crate::{
    apply::{
        kernel::{KernelArray, MapSource},
        map::Table as _,
    },
    cli::get::failed,
    error::Error,
};

/// `struct __sk_buff` up to Linux 6.18: 48 words.
const CONTEXT: usize = 192;
/// `__sk_buff.ifindex`.
const IFINDEX: usize = 40;

/// Runs the twin over the question's packet, as if it came in from an interface.
pub(super) fn ask(
    question: &Question,
    ifindex: u32,
    program: &SchedClassifier,
    maps: &(impl MapSource + ?Sized),
) -> Result<Explanation, Error> {
    let frame = packet::first(question);
    let mut context = [0; CONTEXT];
    context[IFINDEX..IFINDEX + 4].copy_from_slice(&ifindex.to_ne_bytes());
    let mut options = TestRunOptions::new();
    options.data_in = Some(&frame);
    options.ctx_in = Some(&context);
    program.test_run(options).map_err(failed)?;
    let map = KernelArray::<Explanation>::open(maps, &schema::EXPLANATION).map_err(failed)?;
    Ok(map.get(&0).map_err(failed)?.unwrap_or_default())
}
