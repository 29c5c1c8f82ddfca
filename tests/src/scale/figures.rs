//! What came out, for people.

use std::fmt;
use std::time::Duration;

use super::Scale;

/// What was measured.
#[derive(Clone, Debug)]
pub struct Figures {
    /// How much there was.
    pub scale: Scale,
    /// Creating all objects.
    pub filling: Duration,
    /// From the start of the agent to everything in the maps, with empty maps.
    pub first_start: Duration,
    /// The same with maps that an agent before it has filled.
    pub second_start: Duration,
    /// Writes to maps by the second start; nothing had changed.
    pub written_by_second_start: u64,
    /// From the watch event to the maps, by the agent's own clock; bounds of its histogram.
    pub event_to_maps: Percentiles,
    /// From the request to the server to the maps.
    pub request_to_maps: Percentiles,
    /// From the server's answer to the maps; none, where the maps were first.
    pub answer_to_maps: Percentiles,
    /// The agent's memory once everything was in the maps.
    pub after_start: Memory,
    /// The agent's memory after the changes.
    pub memory: Memory,
    /// The kernel's memory of all maps, bytes.
    pub map_memory: u64,
}

/// How times spread.
#[derive(Clone, Copy, Debug)]
pub struct Percentiles {
    /// How many there are.
    pub count: usize,
    /// The median.
    pub p50: Duration,
    /// 99 in 100 are not above.
    pub p99: Duration,
    /// The longest.
    pub most: Duration,
}

/// A process's memory, bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// The most that was ever resident (VmHWM).
    pub high_water: u64,
    /// Resident and its own (RssAnon).
    pub anonymous: u64,
    /// Resident of files: the program itself (RssFile).
    pub files: u64,
}

impl Percentiles {
    /// Of times, of which there must be some.
    pub(super) fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut sorted: Vec<_> = times.collect();
        sorted.sort_unstable();
        let count = sorted.len();
        // The smallest that at least so many in 100 are not above.
        let at = |share: usize| sorted[(count * share).div_ceil(100).saturating_sub(1)];
        Self {
            count,
            p50: at(50),
            p99: at(99),
            most: at(100),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scale {
            services, endpoints, ..
        } = self.scale;
        writeln!(f, "{services} services with {endpoints} endpoints each")?;
        writeln!(
            f,
            "  created at the API server in    {:.1} s",
            self.filling.as_secs_f64()
        )?;
        writeln!(
            f,
            "  start to complete, empty maps   {:.2} s",
            self.first_start.as_secs_f64()
        )?;
        writeln!(
            f,
            "  start to complete, full maps    {:.2} s",
            self.second_start.as_secs_f64()
        )?;
        writeln!(f, "  writes by that second start     {}", self.written_by_second_start)?;
        writeln!(f, "  watch event to maps             {}", self.event_to_maps)?;
        writeln!(f, "  request to maps                 {}", self.request_to_maps)?;
        writeln!(f, "  server's answer to maps         {}", self.answer_to_maps)?;
        writeln!(f, "  agent once complete             {}", self.after_start)?;
        writeln!(f, "  agent after the changes         {}", self.memory)?;
        write!(f, "  kernel memory of all maps       {}", megabytes(self.map_memory))
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let (p50, p99, most) = (milliseconds(self.p50), milliseconds(self.p99), milliseconds(self.most));
        let count = self.count;
        write!(f, "p50 {p50:.2} ms, p99 {p99:.2} ms, max {most:.2} ms of {count}")
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, own, files) = (
            megabytes(self.high_water),
            megabytes(self.anonymous),
            megabytes(self.files),
        );
        write!(f, "VmHWM {high}, now {own} anonymous and {files} of files")
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}
