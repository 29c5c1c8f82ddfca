//! The run-time statistics that the kernel keeps of BPF programs while it is asked to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result};
use aya::maps::MapInfo;
use aya::programs::loaded_programs;
use aya::sys::{Stats, enable_stats};
use proxy_agent::datapath::Pins;

use crate::bench::stand::Stand;
use crate::measure::profile::Program;

/// What the programs of a stand had done when this was made. The kernel counts while it lives.
pub(super) struct Counted {
    before: BTreeMap<u32, Ran>,
    _counting: OwnedFd,
}

/// What one program has done since it was loaded, as far as anybody had it counted.
#[derive(Clone, Debug)]
struct Ran {
    name: String,
    runs: u64,
    time: Duration,
}

impl Counted {
    /// # Errors
    /// When the kernel does not count, or a program cannot be asked.
    pub(super) fn begin(stand: &Stand) -> Result<Self> {
        let counting = enable_stats(Stats::RunTime).context("the kernel does not count the runs of BPF programs")?;
        Ok(Self {
            before: programs(stand)?,
            _counting: counting,
        })
    }

    /// What they have done since, for each of `amount`; those of one name together, the one that took most first.
    ///
    /// # Errors
    /// When a program cannot be asked.
    pub(super) fn end(self, stand: &Stand, amount: f64) -> Result<Vec<Program>> {
        let mut by_name: BTreeMap<String, (u64, Duration)> = BTreeMap::new();
        for (id, after) in programs(stand)? {
            let (runs, time) = self
                .before
                .get(&id)
                .map_or_else(Default::default, |before| (before.runs, before.time));
            let sum = by_name.entry(after.name).or_default();
            sum.0 += after.runs - runs;
            sum.1 += after.time - time;
        }
        let ran = by_name.into_iter().filter(|(_, (runs, _))| *runs > 0);
        let mut all: Vec<_> = ran
            .map(|(name, (runs, time))| Program {
                name,
                runs: runs as f64 / amount,
                time: time.as_nanos() as f64 / amount,
            })
            .collect();
        all.sort_by(|a, b| b.time.total_cmp(&a.time));
        Ok(all)
    }
}

/// The programs over the maps that are pinned in a stand's nodes, by id.
fn programs(stand: &Stand) -> Result<BTreeMap<u32, Ran>> {
    let mut maps = BTreeSet::new();
    for node in &stand.world.nodes {
        let folder = Pins::new(&node.state_dir()).maps();
        for pin in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            maps.insert(MapInfo::from_pin(pin?.path())?.id());
        }
    }
    let mut found = BTreeMap::new();
    // Others come and go on the machine: one that has gone before it could be asked is not the stand's.
    for program in loaded_programs().flatten() {
        let of_stand = program
            .map_ids()
            .ok()
            .flatten()
            .is_some_and(|ids| ids.iter().any(|id| maps.contains(id)));
        if of_stand {
            let ran = Ran {
                name: String::from_utf8_lossy(program.name()).into_owned(),
                runs: program.run_count(),
                time: program.run_time(),
            };
            found.insert(program.id(), ran);
        }
    }
    Ok(found)
}
