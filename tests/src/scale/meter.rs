//! What the kernel and the agent itself count.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::figures::{Memory, Percentiles};
use crate::cluster::Place;
use crate::http::get;
use crate::wait;

const METRICS: &str = "127.0.0.1:10249";
const HISTOGRAM: &str = "fairlead_following_seconds_bucket";

/// The agent's histogram of how soon it follows a change: upper bounds in nanoseconds, and how many stay below.
#[derive(Clone, Debug, Default)]
pub(super) struct Following(BTreeMap<u64, u64>);

impl Following {
    /// As the agent of a node says it now.
    pub(super) fn read(node: &Place) -> Result<Self> {
        let page = node.netns().run(|| get(METRICS, "/metrics"))??;
        let buckets = page.lines().filter_map(|line| {
            let (bound, count) = line
                .strip_prefix(HISTOGRAM)?
                .strip_prefix("{le=\"")?
                .split_once("\"} ")?;
            Some((nanoseconds(bound), count.parse().ok()?))
        });
        let buckets: BTreeMap<_, _> = buckets.collect();
        ensure!(!buckets.is_empty(), "no {HISTOGRAM} in the agent's metrics");
        Ok(Self(buckets))
    }

    /// What has been added.
    pub(super) fn since(&self, before: &Self) -> Self {
        let added = |(bound, count): (&u64, &u64)| (*bound, count - before.0.get(bound).copied().unwrap_or(0));
        Self(self.0.iter().map(added).collect())
    }

    /// How many changes it has followed.
    pub(super) fn count(&self) -> u64 {
        self.0.values().copied().max().unwrap_or(0)
    }

    /// The bounds below which half, 99 in 100 and all stay.
    pub(super) fn percentiles(&self) -> Result<Percentiles> {
        let count = self.count();
        ensure!(count > 0, "the agent has followed no change");
        let below = |share: u64| {
            let bound = self.0.iter().find(|(_, below)| **below * 100 >= count * share);
            Duration::from_nanos(bound.map_or(u64::MAX, |(bound, _)| *bound))
        };
        Ok(Percentiles {
            count: usize::try_from(count)?,
            p50: below(50),
            p99: below(99),
            most: below(100),
        })
    }
}

/// Waits until nothing in the maps waits for a grace period or for a flow to end: what changes have made superfluous is
/// gone.
///
/// # Errors
/// When that takes longer than `limit`.
pub(super) fn settled(node: &Place, limit: Duration) -> Result<()> {
    wait::until("nothing waits to be freed", limit, || {
        let page = node.netns().run(|| get(METRICS, "/metrics"))??;
        let waiting = |gauge: &str| {
            let value = page
                .lines()
                .find_map(|line| line.strip_prefix(gauge)?.strip_prefix(' '));
            value.with_context(|| format!("no {gauge} in the agent's metrics"))
        };
        let none = waiting("fairlead_grace_waiting")? == "0" && waiting("fairlead_endpoints_lingering")? == "0";
        Ok(none.then_some(()))
    })
}

fn nanoseconds(seconds: &str) -> u64 {
    match seconds.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => {
            u64::try_from(Duration::from_secs_f64(seconds).as_nanos()).unwrap_or(u64::MAX)
        }
        Ok(_) | Err(_) => u64::MAX,
    }
}

/// The memory of a process.
pub(super) fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).context(path)?;
    let kilobytes = |field: &str| -> Result<u64> {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.with_context(|| format!("no {field}"))?.parse()?)
    };
    Ok(Memory {
        high_water: kilobytes("VmHWM")? * 1024,
        anonymous: kilobytes("RssAnon")? * 1024,
        files: kilobytes("RssFile")? * 1024,
    })
}

/// The kernel's memory of all BPF maps that a process holds open, in bytes.
pub(super) fn map_memory(pid: u32) -> Result<u64> {
    let folder = format!("/proc/{pid}/fdinfo");
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir(&folder).context(folder)? {
        // A descriptor may be closed between the listing and the look.
        let info = fs::read_to_string(entry?.path()).unwrap_or_default();
        let field = |name: &str| -> Option<u64> {
            let line = info
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().parse().ok()
        };
        if let (Some(id), Some(bytes)) = (field("map_id"), field("memlock")) {
            maps.insert(id, bytes);
        }
    }
    Ok(maps.values().sum())
}
