//! The rounds: every stand in each, in another order each time.

use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result};

use super::ends;
use super::load::Ends;
use super::peer::Peer;
use super::pin::CLIENTS;
use super::plan::{ROUNDS, SAMPLE, Task};
use super::profile;
use super::progress::Progress;
use super::stand::Stand;
use crate::measure::results::{Metric, Results, Subject};
use crate::wait;

/// Measures one task of all stands and adds the samples to the results. A sample that fails is taken once more; stands of
/// which that fails, too, drop out of the list; returns whose they were, and why.
pub(super) fn measure(
    task: Task,
    subject: &Subject,
    stands: &mut Vec<Stand>,
    results: &mut Results,
    progress: &mut Progress,
) -> Vec<(Peer, Error)> {
    let mut failures = fill(task, stands);
    let mut taken: Vec<Vec<Taken>> = stands.iter().map(|_| Vec::new()).collect();
    let mut random = fastrand::Rng::with_seed(results.run.seed.wrapping_add(results.series.len() as u64));
    let ends: Vec<_> = stands.iter().map(|stand| resolve(task, stand)).collect();
    // The first round warms caches, neighbour tables and flow tables up, and does not count.
    for round in 0..=ROUNDS {
        let mut order: Vec<usize> = (0..stands.len()).collect();
        random.shuffle(&mut order);
        for at in order {
            let dropped_out = failures.iter().any(|(failed, _)| *failed == at);
            if dropped_out || !task.is_for(stands[at].plan.peer) {
                continue;
            }
            progress.measuring(subject, stands[at].plan.peer);
            let sampled = sample(task, &stands[at], &ends[at]).or_else(|error| {
                progress.tell(&format!("{} again, {subject}: {error:#}", stands[at].plan.peer));
                results.run.repeated += 1;
                sample(task, &stands[at], &ends[at])
            });
            match sampled {
                Ok(values) if round > 0 => taken[at].push(values),
                Ok(_) => {}
                Err(error) => failures.push((at, error.context(subject.to_string()))),
            }
        }
    }
    failures.extend(forgotten(task, stands, &failures));
    for (stand, values) in stands.iter().zip(taken) {
        for (metric, value) in values.into_iter().flatten() {
            results.add(subject, &metric, stand.plan.peer.name(), value);
        }
    }
    profile::take(task, subject, stands, &ends, results, progress);
    drop(ends);
    failures.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let drop_out = |(at, error)| (stands.remove(at).plan.peer, error);
    failures.into_iter().map(drop_out).collect()
}

/// Gives all stands their live flows, at once; returns where that failed, and why.
fn fill(task: Task, stands: &mut [Stand]) -> Vec<(usize, Error)> {
    let fill = |stand: &mut Stand| {
        stand.resume()?;
        let filled = stand.fill(task.flows);
        stand.pause()?;
        filled
    };
    let filled: Vec<_> = thread::scope(|scope| {
        let each: Vec<_> = stands
            .iter_mut()
            .map(|stand| scope.spawn(move || fill(stand)))
            .collect();
        each.into_iter()
            .map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    failed(filled)
}

/// The stands whose live flows are not there any more, but those that have failed already.
fn forgotten(task: Task, stands: &[Stand], failures: &[(usize, Error)]) -> Vec<(usize, Error)> {
    let look = |(at, stand): (usize, &Stand)| {
        if task.flows == 0 || failures.iter().any(|(failed, _)| *failed == at) {
            return Ok(());
        }
        stand.resume()?;
        let lives = stand.flows_live().context("after the measurement");
        stand.pause()?;
        lives
    };
    failed(stands.iter().enumerate().map(look).collect())
}

/// The places of failures, and they.
fn failed(all: Vec<Result<()>>) -> Vec<(usize, Error)> {
    let failed = |(at, done): (usize, Result<()>)| Some((at, done.err()?));
    all.into_iter().enumerate().filter_map(failed).collect()
}

/// What falls due for the processes of a stand while they are stopped happens at once when they go on: before the sample.
const SETTLE: Duration = Duration::from_millis(60);

/// What one sample gave.
type Taken = Vec<(Metric, f64)>;

/// The rules are read here, while no round is under way.
fn resolve<'a>(task: Task, stand: &'a Stand) -> Result<Ends<'a>> {
    stand.resume()?;
    let ends = ends::of(task, stand, CLIENTS);
    stand.pause()?;
    ends
}

/// One sample of one stand, whose processes alone run meanwhile.
fn sample(task: Task, stand: &Stand, ends: &Result<Ends<'_>>) -> Result<Taken> {
    let ends = ends.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
    stand.resume()?;
    wait::pace(Instant::now() + SETTLE);
    let values = task.case.sample(ends, SAMPLE);
    stand.pause()?;
    values
}
