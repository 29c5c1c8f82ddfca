//! What the processors are at, looked at some thousand times a second by `perf record` with the kernel's software clock:
//! virtual machines have no other.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::bench::stand::Stand;
use crate::process::{Process, tail};
use crate::{tool, wait};

/// Samples of each processor in a second.
const FREQUENCY: u32 = 4000;
/// How long perf may take for an answer: it looks at every process before its first.
const ANSWER: Duration = Duration::from_secs(30);

/// perf at work.
pub(super) struct Recording {
    process: Process,
    control: File,
    answers: File,
    data: PathBuf,
    since: Instant,
    strangers: BTreeSet<i32>,
}

/// What it has recorded. Dropping it removes the file.
pub(super) struct Samples {
    data: PathBuf,
    lasted: Duration,
    strangers: BTreeSet<i32>,
}

/// How many samples fell where.
pub(super) struct Counts {
    /// What one stands for.
    pub(super) sample: Duration,
    /// Nothing was done.
    pub(super) idle: u64,
    /// In processes that were there before and have no part in it.
    pub(super) strangers: u64,
    pub(super) user: u64,
    /// Of the kernel, by symbol.
    pub(super) functions: BTreeMap<String, u64>,
}

/// Starts to record all processors, from within a stand: whatever ends that ends the recording.
///
/// # Errors
/// When there is no perf, or the kernel does not let it: in one line.
pub(super) fn begin(stand: &Stand) -> Result<Recording> {
    let place = stand.client();
    let path = |name: &str| place.folder().join(name);
    let (control, answers, data) = (path("perf.control"), path("perf.answers"), path("perf.data"));
    for fifo in [&control, &answers] {
        if !fifo.exists() {
            mkfifo(fifo, Mode::S_IRUSR | Mode::S_IWUSR).with_context(|| fifo.display().to_string())?;
        }
    }
    let mut command = Command::new("perf");
    command
        .args(["record", "--quiet", "--all-cpus", "--event", "cpu-clock", "--freq"])
        .arg(FREQUENCY.to_string())
        // Nothing of what user space runs is needed, and nothing before it is told to begin.
        .args(["--no-buildid", "--mmap-pages", "1024", "--delay=-1"])
        .arg("--control")
        .arg(fifos(&control, &answers))
        .arg("--output")
        .arg(&data);
    let mut recording = Recording {
        control: open(&control)?,
        answers: open(&answers)?,
        process: place.start("perf", &mut command)?,
        data,
        since: Instant::now(),
        strangers: strangers(stand)?,
    };
    recording.strangers.insert(recording.process.id().cast_signed());
    recording.tell("enable")?;
    recording.since = Instant::now();
    Ok(recording)
}

/// Every process but those of a stand and the kernel's own threads.
fn strangers(stand: &Stand) -> Result<BTreeSet<i32>> {
    let nodes = stand.world.nodes.iter().map(|node| node.cgroup());
    let cgroups = nodes.chain([stand.outside().cgroup()]);
    let of_stand: BTreeSet<i32> = cgroups.flat_map(|cgroup| cgroup.processes()).collect();
    let entries = fs::read_dir("/proc").context("/proc")?;
    let all = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    // A thread of the kernel runs no file.
    let runs_file = |process: &i32| fs::read_link(format!("/proc/{process}/exe")).is_ok();
    Ok(all
        .filter(|process| !of_stand.contains(process) && runs_file(process))
        .collect())
}

fn fifos(control: &Path, answers: &Path) -> OsString {
    let mut both = OsString::from("fifo:");
    both.push(control);
    both.push(",");
    both.push(answers);
    both
}

/// Both ways, so that neither side waits for the other to open it.
fn open(fifo: &Path) -> Result<File> {
    let mut options = File::options();
    let opened = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(fifo);
    opened.with_context(|| fifo.display().to_string())
}

impl Recording {
    /// Ends it.
    ///
    /// # Errors
    /// When perf does not write its file.
    pub(super) fn end(mut self) -> Result<Samples> {
        self.tell("disable")?;
        let lasted = self.since.elapsed();
        self.control.write_all(b"stop\n")?;
        self.process.wait(ANSWER)?;
        Ok(Samples {
            data: self.data,
            lasted,
            strangers: self.strangers,
        })
    }

    /// Returns when perf has done it.
    fn tell(&mut self, what: &str) -> Result<()> {
        writeln!(self.control, "{what}")?;
        let (process, answers) = (&mut self.process, &mut self.answers);
        wait::until("perf answers", ANSWER, || {
            if process.ended().is_some() {
                return Ok(Some(Err(why(process))));
            }
            let mut said = [0; 16];
            let length = answers.read(&mut said)?;
            Ok((length > 0).then_some(Ok(())))
        })?
    }
}

/// What it said last, in one line.
fn why(process: &Process) -> anyhow::Error {
    let said = tail(&process.log(), 5);
    let said: Vec<&str> = said.split_whitespace().collect();
    anyhow::anyhow!("perf: {}", said.join(" "))
}

impl Samples {
    /// Counts them.
    ///
    /// # Errors
    /// When perf cannot read what it has written.
    pub(super) fn read(&self) -> Result<Counts> {
        let mut perf = Command::new("perf");
        perf.args(["script", "--fields", "pid,ip,sym", "--input"])
            .arg(&self.data);
        let text = tool::output(&mut perf, "").context("perf script")?;
        let mut counts = counted(&text, &self.strangers);
        let all = counts.idle + counts.strangers + counts.user + counts.functions.values().sum::<u64>();
        ensure!(all > 0, "perf has no samples");
        let processors = u32::try_from(thread::available_parallelism()?.get())?;
        // Not by the frequency: some are lost when there are many.
        counts.sample = Duration::from_secs_f64(self.lasted.as_secs_f64() * f64::from(processors) / all as f64);
        Ok(counts)
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.data);
    }
}

/// Lines such as `12345 ffffffff81a2b3c4 ip_rcv`: the process, the address, the function.
fn counted(text: &str, strangers: &BTreeSet<i32>) -> Counts {
    let mut counts = Counts {
        sample: Duration::ZERO,
        idle: 0,
        strangers: 0,
        user: 0,
        functions: BTreeMap::new(),
    };
    for line in text.lines() {
        let Some((process, address, symbol)) = place(line) else {
            continue;
        };
        if strangers.contains(&process) {
            counts.strangers += 1;
        } else if address >> 63 == 0 {
            // The upper half of all addresses is the kernel's.
            counts.user += 1;
        } else if process == 0 && is_idle(symbol) {
            counts.idle += 1;
        } else {
            *counts.functions.entry(named(symbol)).or_default() += 1;
        }
    }
    counts
}

fn place(line: &str) -> Option<(i32, u64, &str)> {
    let mut words = line.split_whitespace();
    let process = words.next()?.parse().ok()?;
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    Some((process, address, words.next().unwrap_or("unknown")))
}

/// What the kernel has nothing to do in, by the names of x86 and arm64.
fn is_idle(symbol: &str) -> bool {
    symbol.contains("idle") || symbol.contains("halt")
}

/// A part of a BPF program is `bpf_prog_`, 16 digits of a hash and its name, in which `<` and what may not be in a symbol
/// is `_3C` and the like: shown without the hash, and without the types that a function is compiled for.
fn named(symbol: &str) -> String {
    let name = symbol.strip_prefix("bpf_prog_").and_then(|rest| rest.split_once('_'));
    let Some((_, name)) = name else {
        return symbol.to_owned();
    };
    format!("BPF {}", name.split("_3C").next().unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_counted_by_function_of_the_kernel() {
        let text = "\
    0  ffffffff81f0a2bb pv_native_safe_halt
    0  ffffffff81c01234 net_rx_action
   12  ffffffff81c01234 net_rx_action
   13      7f8cdd1ae046 __memset_avx512_unaligned_erms
   12      55d0aa001000 [unknown]
   12  ffffffffc0a01234 bpf_prog_6deef7357e7b4530_ingress
   12  ffffffffc0a01238 bpf_prog_34e442a3cd6ee582_enter_3C_proxy_common_3A__3A_family_3E_
   14  ffffffff81c01234 do_exit
";
        let counts = counted(text, &BTreeSet::from([14]));
        assert_eq!((counts.idle, counts.user, counts.strangers), (1, 2, 1));
        let functions: Vec<_> = counts.functions.into_iter().collect();
        let expected = [("BPF enter", 1), ("BPF ingress", 1), ("net_rx_action", 2)];
        assert_eq!(functions, expected.map(|(name, samples)| (name.to_owned(), samples)));
    }
}
