//! What the processors spent, all of them, by `/proc/stat`: both ends of a load are on this machine.

use std::fs;

use anyhow::{Context, Result};

/// Seconds that the processors were busy since the machine started, its other work included.
///
/// # Errors
/// When `/proc/stat` is not as `proc_stat(5)` says.
pub(super) fn busy_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    busy(&text).context("/proc/stat: no line of all processors")
}

fn busy(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<f64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; the guests' are part of user.
    let [user, nice, system, _, _, irq, softirq, ..] = ticks[..] else {
        return None;
    };
    // USER_HZ is 100 on every architecture that the agent runs on.
    Some((user + nice + system + irq + softirq) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_busy() {
        assert_eq!(busy("cpu  100 0 200 5000 70 1 99 3 0 0\ncpu0 1 2\n"), Some(4.0));
        assert_eq!(busy("intr 1\n"), None);
    }
}
