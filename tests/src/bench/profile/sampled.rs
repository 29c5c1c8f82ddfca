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
pub(in crate::bench) struct Recording {
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

/// What is told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// The functions of the kernel; user space is one.
    Kernel,
    /// Those of programs in user space too, each behind its program's name.
    Programs,
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
    /// Of the kernel, and with [`Detail::Programs`] of programs too, by symbol.
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
    pub(super) fn read(&self, detail: Detail) -> Result<Counts> {
        let mut perf = Command::new("perf");
        perf.args(["script", "--fields", "comm,pid,ip,sym", "--input"])
            .arg(&self.data);
        let text = tool::output(&mut perf, "").context("perf script")?;
        let mut counts = counted(&text, &self.strangers, detail);
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

/// Lines such as `nginx 12345 ffffffff81a2b3c4 ip_rcv`: the name, the process, the address, the function.
fn counted(text: &str, strangers: &BTreeSet<i32>, detail: Detail) -> Counts {
    let mut counts = Counts {
        sample: Duration::ZERO,
        idle: 0,
        strangers: 0,
        user: 0,
        functions: BTreeMap::new(),
    };
    for line in text.lines() {
        let Some(Sample {
            name,
            process,
            address,
            symbol,
        }) = place(line)
        else {
            continue;
        };
        // The upper half of all addresses is the kernel's.
        let is_user = address >> 63 == 0;
        if strangers.contains(&process) {
            counts.strangers += 1;
        } else if is_user && detail == Detail::Programs {
            *counts.functions.entry(format!("{name}: {symbol}")).or_default() += 1;
        } else if is_user {
            counts.user += 1;
        } else if process == 0 && is_idle(symbol) {
            counts.idle += 1;
        } else {
            *counts.functions.entry(named(symbol)).or_default() += 1;
        }
    }
    counts
}

/// One line.
struct Sample<'a> {
    name: &'a str,
    process: i32,
    address: u64,
    symbol: &'a str,
}

/// Names may have blanks in them: the process is the first number before an address, and the symbol is all that follows.
fn place(line: &str) -> Option<Sample<'_>> {
    let line = line.trim();
    let blanks = line.match_indices(' ').map(|(at, _)| at);
    let mut starts = blanks.filter_map(|at| {
        let (name, rest) = line.split_at(at);
        let (process, rest) = rest.trim_start().split_once(' ')?;
        let rest = rest.trim_start();
        let (address, symbol) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(Sample {
            name: name.trim_end(),
            process: process.parse().ok()?,
            address: u64::from_str_radix(address, 16).ok()?,
            symbol: if symbol.is_empty() { "unknown" } else { symbol.trim() },
        })
    });
    starts.next()
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
         swapper     0  ffffffff81f0a2bb pv_native_safe_halt
         swapper     0  ffffffff81c01234 net_rx_action
            peer    12  ffffffff81c01234 net_rx_action
            peer    13      7f8cdd1ae046 __memset_avx512_unaligned_erms
     nginx: work    12      55d0aa001000 [unknown]
            peer    12  ffffffffc0a01234 bpf_prog_6deef7357e7b4530_ingress
            peer    12  ffffffffc0a01238 bpf_prog_34e442a3cd6ee582_enter_3C_proxy_common_3A__3A_family_3E_
            etcd    14  ffffffff81c01234 do_exit
";
        let counts = counted(text, &BTreeSet::from([14]), Detail::Kernel);
        assert_eq!((counts.idle, counts.user, counts.strangers), (1, 2, 1));
        let functions: Vec<_> = counts.functions.into_iter().collect();
        let expected = [("BPF enter", 1), ("BPF ingress", 1), ("net_rx_action", 2)];
        assert_eq!(functions, expected.map(|(name, samples)| (name.to_owned(), samples)));
    }

    #[test]
    fn functions_of_programs_are_told_apart_where_they_are_asked_for() {
        let text = "\
        fairlead    13      7f8cdd1ae046 <alloc::vec::Vec<T> as Clone>::clone
     nginx: work    12      55d0aa001000 [unknown]
        fairlead    13  ffffffff81c01234 do_check
";
        let counts = counted(text, &BTreeSet::new(), Detail::Programs);
        let functions: Vec<_> = counts.functions.into_iter().collect();
        let expected = [
            "do_check",
            "fairlead: <alloc::vec::Vec<T> as Clone>::clone",
            "nginx: work: [unknown]",
        ];
        assert_eq!(functions, expected.map(|name| (name.to_owned(), 1)));
    }
}
