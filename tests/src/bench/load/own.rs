//! The project's own generator, for what the known ones cannot measure: how long a whole short connection takes, its
//! opening included, and exchanges over UDP with servers that do nothing else.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::super::crowd;
use super::{Ends, Talk};
use crate::peer::{LoadKind, LoadPlan, LoadReport, Transport};
use crate::wait;

/// What one worker does; as many work as there are addresses.
///
/// # Errors
/// When an exchange fails, or too few of the endpoints answer.
pub(in crate::bench) fn own(ends: &Ends<'_>, transport: Transport, kind: LoadKind, time: Duration) -> Result<Talk> {
    let peer = ends.from.peer()?;
    let plan = |to: SocketAddr| LoadPlan {
        kind,
        workers: 1,
        times: true,
        ..LoadPlan::short(transport, to)
    };
    let due = Instant::now() + time;
    let loads: Vec<_> = ends.to.iter().map(|&to| peer.load(plan(to))).collect::<Result<_>>()?;
    wait::pace(due);
    let mut total = LoadReport::default();
    let mut rate = 0.0;
    for load in loads {
        let report = load.stop()?;
        if report.failures() > 0 {
            bail!("{:?}: {:?}", report.failed, report.first_failure);
        }
        rate += report.times.len() as f64 / report.lasted.as_secs_f64();
        total.merge(report);
    }
    let fewest = crowd::fewest(ends.endpoints, total.times.len());
    let answered = total.answered_by.len();
    ensure!(
        answered >= fewest || ends.endpoints == 0,
        "{} conversations were answered by {answered} of {} endpoints, and should have been by {fewest} or more",
        total.times.len(),
        ends.endpoints
    );
    let times = percentiles(total.times)?;
    Ok(Talk { rate, times })
}

/// In microseconds.
fn percentiles(mut nanoseconds: Vec<u64>) -> Result<[f64; 3]> {
    ensure!(!nanoseconds.is_empty(), "nothing was answered");
    nanoseconds.sort_unstable();
    let at = |per_mille: usize| {
        let place = (nanoseconds.len() * per_mille).div_ceil(1000).max(1) - 1;
        nanoseconds.get(place).map(|&time| time as f64 / 1e3)
    };
    let found = [at(500), at(990), at(999)].map(|time| time.context("a percentile of nothing"));
    let [middle, high, highest] = found;
    Ok([middle?, high?, highest?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() -> Result<()> {
        assert_eq!(
            percentiles((1..=1000).map(|n| n * 1000).collect())?,
            [500.0, 990.0, 999.0]
        );
        assert_eq!(percentiles(vec![7000])?, [7.0, 7.0, 7.0]);
        assert!(percentiles(Vec::new()).is_err());
        Ok(())
    }
}
