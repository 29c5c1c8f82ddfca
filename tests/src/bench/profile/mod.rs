//! What the processors do for a peer: taken beside what was measured, of what was lost alone.
//!
//! The peer's own programs and the processors are looked at in a sample each: counting how long programs run takes time,
//! too, which would be in the functions of the other.

mod counted;
mod sampled;

use anyhow::{Context, Result};

use super::load::Ends;
use super::plan::{SAMPLE, Task};
use super::progress::Progress;
use super::stand::Stand;
use crate::measure::losses;
use crate::measure::profile::{Function, Processors, Profile, Program};
use crate::measure::results::{Better, Metric, Results, Subject};
use counted::Counted;
pub(super) use sampled::Recording;
use sampled::{Detail, Samples};

/// The fact of the machine that says why there are no samples of the processors.
const NO_SAMPLES: &str = "profiles of the processors";

/// A function that takes less of the busy time than this is not told apart from others.
const LEAST: f64 = 0.002;

/// Takes the profiles that say why a place was lost, if it was, and adds them to the results. What goes wrong is told and
/// is no failure of a peer.
pub(super) fn take(
    task: Task,
    subject: &Subject,
    stands: &[Stand],
    ends: &[Result<Ends<'_>>],
    results: &mut Results,
    progress: &mut Progress,
) {
    let concerned = losses::concerned(results, subject);
    for (stand, ends) in stands.iter().zip(ends) {
        let peer = stand.plan.peer;
        let Some(ends) = ends
            .as_ref()
            .ok()
            .filter(|_| concerned.iter().any(|name| name == peer.name()))
        else {
            continue;
        };
        progress.profiling(subject, peer);
        match of(task, subject, stand, ends, results) {
            Ok(profile) => results.profiles.push(profile),
            Err(error) => progress.tell(&format!("no profile of {peer}: {error:#}")),
        }
    }
}

fn of(task: Task, subject: &Subject, stand: &Stand, ends: &Ends<'_>, results: &mut Results) -> Result<Profile> {
    stand.resume()?;
    let taken = both(task, stand, ends, results);
    stand.pause()?;
    let (of, programs, samples) = taken?;
    let processors = match samples {
        // Read now that nobody waits for the stand.
        Some((amount, samples)) => Some(processors(samples.read(Detail::Kernel)?, amount)),
        None => None,
    };
    Ok(Profile {
        subject: subject.clone(),
        peer: stand.plan.peer.name().to_owned(),
        of,
        programs,
        maps: Vec::new(),
        processors,
    })
}

/// Begins to look at the processors, for what an agent does.
///
/// # Errors
/// When they cannot be sampled: in one line.
pub(super) fn record(stand: &Stand) -> Result<Recording> {
    sampled::begin(stand)
}

/// What they did until now, for each of `amount`; what the agent and its tools did by the functions of those.
///
/// # Errors
/// When perf does not say it.
pub(super) fn of_agent(recording: Recording, amount: f64) -> Result<Processors> {
    Ok(processors(recording.end()?.read(Detail::Programs)?, amount))
}

/// What the rate counts, the programs, and the samples with the amount that was done meanwhile.
type Both = (String, Vec<Program>, Option<(f64, Samples)>);

fn both(task: Task, stand: &Stand, ends: &Ends<'_>, results: &mut Results) -> Result<Both> {
    let load = || amount(&task.case.sample(ends, SAMPLE)?);
    let mut of = String::new();
    let mut programs = Vec::new();
    if stand.plan.peer.fairlead().is_some() {
        let counted = Counted::begin(stand)?;
        let (what, amount) = load()?;
        programs = counted.end(stand, amount)?;
        of = what;
    }
    if results.machine.facts.iter().any(|(name, _)| name == NO_SAMPLES) {
        return Ok((of, programs, None));
    }
    let begun = match sampled::begin(stand) {
        Ok(begun) => begun,
        Err(error) => {
            let why = format!("none: {error:#}");
            results.machine.facts.push((NO_SAMPLES.to_owned(), why));
            return Ok((of, programs, None));
        }
    };
    let (of, amount) = load()?;
    Ok((of, programs, Some((amount, begun.end()?))))
}

/// What a sample's rate counts, and how much of it was done.
fn amount(values: &[(Metric, f64)]) -> Result<(String, f64)> {
    let rate = values.iter().find(|(metric, _)| metric.better == Better::Higher);
    let (metric, rate) = rate.context("the case has no rate")?;
    let of = metric.unit.trim_end_matches("/s").to_owned();
    Ok((of, rate * SAMPLE.as_secs_f64()))
}

/// From counts to nanoseconds for one.
fn processors(counts: sampled::Counts, amount: f64) -> Processors {
    let sample = counts.sample.as_nanos() as f64 / amount;
    let time = |samples: u64| samples as f64 * sample;
    let busy = counts.user + counts.functions.values().sum::<u64>();
    let least = (busy as f64 * LEAST).max(2.0);
    let (kept, left): (Vec<_>, Vec<_>) = counts
        .functions
        .into_iter()
        .partition(|(_, samples)| *samples as f64 >= least);
    let mut functions: Vec<_> = kept
        .into_iter()
        .map(|(name, samples)| Function {
            name,
            time: time(samples),
        })
        .collect();
    functions.sort_by(|a, b| b.time.total_cmp(&a.time));
    Processors {
        sample,
        idle: time(counts.idle),
        elsewhere: time(counts.strangers),
        user: time(counts.user),
        functions,
        others: time(left.into_iter().map(|(_, samples)| samples).sum()),
    }
}
