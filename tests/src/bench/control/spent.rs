//! What an agent has spent, by the kernel's accounts.

use std::fs;

use anyhow::{Context, Result};

use crate::bench::stand::Stand;

/// What an agent has spent since it was started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spent {
    /// Seconds of processors, of the programs that it has run too.
    pub(super) processor: f64,
    /// The most memory the agent has had, in MB.
    pub(super) memory: f64,
    /// What the kernel has allocated meanwhile for everything in the node's cgroup, in MB: maps, programs, rules.
    pub(super) kernel: f64,
}

impl Spent {
    /// What the kernel has allocated for the client's node, in MB.
    ///
    /// # Errors
    /// When the memory controller is not there.
    pub(super) fn kernel_of(stand: &Stand) -> Result<f64> {
        let path = stand.node().cgroup().path().join("memory.stat");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let line = text.lines().find_map(|line| line.strip_prefix("kernel "));
        let bytes: f64 = line.context("memory.stat: no line `kernel`")?.parse()?;
        Ok(bytes / 1e6)
    }

    /// Of the agent of a stand, whose kernel memory was `before`.
    ///
    /// # Errors
    /// When it does not run.
    pub(super) fn by(stand: &Stand, before: f64) -> Result<Self> {
        let agent = stand.agents.first().context("no agent")?;
        let process = agent.process().context("the agent does not run")?.id();
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        Ok(Self {
            processor: processor(&stat).context("/proc/PID/stat")?,
            memory: high_water(&status).context("/proc/PID/status: no VmHWM")?,
            kernel: Self::kernel_of(stand)? - before,
        })
    }
}

/// Fields 14 to 17 of `proc_pid_stat(5)`: its own time and that of children that have ended.
fn processor(stat: &str) -> Option<f64> {
    // The second field is a name in parentheses, which may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: Vec<f64> = rest
        .split_whitespace()
        .skip(11)
        .take(4)
        .map_while(|field| field.parse().ok())
        .collect();
    (ticks.len() == 4).then(|| ticks.iter().sum::<f64>() / 100.0)
}

fn high_water(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_children_counts() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 100 50 25 25 20 0";
        assert_eq!(processor(stat), Some(2.0));
        assert_eq!(processor("7 (a) S 1"), None);
    }

    #[test]
    fn memory_is_in_millions_of_bytes() {
        assert_eq!(high_water("VmPeak: 9 kB\nVmHWM:\t  1000 kB\n"), Some(1.024));
    }
}
