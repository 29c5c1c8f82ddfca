//! `cargo xtask test`: the floors, from the cheapest to the dearest, and one summary line.
//!
//! A floor that cannot run says why and counts as a failure; so does a test that is ignored. Nothing is skipped silently.

mod floor;
mod libtest;
mod tally;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

pub(crate) use floor::Floor;
pub(crate) use libtest::Reading;
pub(crate) use tally::Tally;

use crate::setup;

/// Runs one floor, or all; the exit code says whether everything passed.
///
/// # Errors
/// None at present: what goes wrong is counted, so that the last line is always the summary.
pub(crate) fn command(floor: Option<Floor>, filter: Option<&str>) -> Result<ExitCode> {
    let floors: Vec<_> = floor.map_or_else(|| Floor::ALL.to_vec(), |floor| vec![floor]);
    let groups: Vec<_> = floors.iter().flat_map(|floor| floor.groups()).copied().collect();
    let not_ready = setup::ensure(&groups);
    let results: Vec<_> = floors.into_iter().map(|floor| run(floor, filter, &not_ready)).collect();
    Ok(report(&results))
}

/// What one floor came to.
struct Outcome {
    floor: Floor,
    tally: Tally,
    time: Duration,
}

fn run(floor: Floor, filter: Option<&str>, not_ready: &setup::Failures) -> Outcome {
    println!("\n== {} ==", floor.name());
    let start = Instant::now();
    let mut tally = Tally::default();
    let obstacle = floor.groups().iter().find_map(|group| not_ready.get(group));
    match obstacle {
        Some(reason) => tally.fail(format!("cannot run: {reason}")),
        None => floor.run(filter, &mut tally),
    }
    if tally.is_empty() && filter.is_none() {
        tally.fail("no test ran".to_owned());
    }
    Outcome {
        floor,
        tally,
        time: start.elapsed(),
    }
}

fn report(outcomes: &[Outcome]) -> ExitCode {
    let mut total = Tally::default();
    println!("\n{:8} {:>7} {:>7} {:>8}", "floor", "passed", "failed", "time");
    for Outcome { floor, tally, time } in outcomes {
        println!(
            "{:8} {:>7} {:>7} {:>6} s",
            floor.name(),
            tally.passed(),
            tally.failures().len(),
            time.as_secs()
        );
        total.add(floor.name(), tally);
    }
    for note in total.notes() {
        println!("note: {note}");
    }
    for failure in total.failures() {
        println!("failed: {failure}");
    }
    if total.is_empty() {
        total.fail("no test has a name like this".to_owned());
        println!("failed: no test has a name like this");
    }
    println!("{} passed, {} failed", total.passed(), total.failures().len());
    if total.failures().is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
