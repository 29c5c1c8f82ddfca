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
    /// By how much the kernel's own memory has grown meanwhile, in MB, machine-wide: maps, programs, rules.
    pub(super) kernel: f64,
}

impl Spent {
    /// The memory that the kernel has for itself, in MB. Of the whole machine: a cgroup's own account is there only with
    /// the memory controller in the unified hierarchy, which not every machine has.
    ///
    /// # Errors
    /// When `/proc/meminfo` is not as `proc_meminfo(5)` says.
    pub(super) fn kernel() -> Result<f64> {
        let text = fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
        let fields = ["SUnreclaim:", "VmallocUsed:", "Percpu:"];
        let megabytes =
            fields.map(|field| megabytes(&text, field).with_context(|| format!("/proc/meminfo: no {field}")));
        megabytes.into_iter().sum()
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
            memory: megabytes(&status, "VmHWM:").context("/proc/PID/status: no VmHWM")?,
            kernel: Self::kernel()? - before,
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

/// A line such as `VmHWM:  1000 kB`.
fn megabytes(text: &str, field: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
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
        assert_eq!(megabytes("VmPeak: 9 kB\nVmHWM:\t  1000 kB\n", "VmHWM:"), Some(1.024));
    }
}
