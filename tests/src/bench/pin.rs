//! Clients on one processor, servers on the others: the scheduler's choice would be the largest noise.

use std::fs;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::stand::Stand;

/// The processor of the clients.
pub(super) const CLIENTS: usize = 0;

/// Puts every process of a stand but its agents where it belongs. Threads that a process starts later follow the one
/// that starts them.
///
/// # Errors
/// When the machine has one processor only, or the kernel refuses.
pub(super) fn pin(stand: &Stand) -> Result<()> {
    let clients = [
        stand.client().peer()?.id(),
        stand.node().peer()?.id(),
        stand.outside().peer()?.id(),
    ];
    let agents: Vec<u32> = stand
        .agents
        .iter()
        .filter_map(|agent| Some(agent.process()?.id()))
        .collect();
    for node in &stand.world.nodes {
        for process in node.cgroup().processes().into_iter().map(i32::cast_unsigned) {
            if !agents.contains(&process) && !clients.contains(&process) {
                to(process, CLIENTS + 1..processors()?)?;
            }
        }
    }
    clients
        .into_iter()
        .try_for_each(|client| to(client, CLIENTS..CLIENTS + 1))
}

fn processors() -> Result<usize> {
    Ok(std::thread::available_parallelism()?.get())
}

/// All threads of a process.
fn to(process: u32, processors: std::ops::Range<usize>) -> Result<()> {
    let mut set = CpuSet::new();
    processors.clone().try_for_each(|processor| set.set(processor))?;
    let tasks = format!("/proc/{process}/task");
    let Ok(threads) = fs::read_dir(&tasks) else {
        // It has ended.
        return Ok(());
    };
    for thread in threads.flatten() {
        if let Ok(thread) = thread.file_name().to_string_lossy().parse() {
            sched_setaffinity(Pid::from_raw(thread), &set)
                .with_context(|| format!("process {process} onto processors {processors:?}"))?;
        }
    }
    Ok(())
}
