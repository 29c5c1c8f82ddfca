//! A process that ends with the value that stands for it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::cgroup::Cgroup;
use crate::netns::NetNs;
use crate::wait;

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

/// Makes `command` start in a namespace and a cgroup.
///
/// # Errors
/// When one of the two is gone.
pub fn settle(command: &mut Command, netns: &NetNs, cgroup: &Cgroup) -> Result<()> {
    let netns = netns.handle().try_clone_to_owned()?;
    let door = cgroup.door()?;
    // SAFETY: between fork and exec the closure makes three system calls, two of them on descriptors that it owns, and
    // allocates nothing; std has no other way to join a cgroup before the program's first instruction.
    unsafe {
        command.pre_exec(move || {
            (&door).write_all(b"0")?;
            // A caller that waits for signals on a thread of its own has them blocked, and a child inherits that.
            SigSet::empty().thread_set_mask()?;
            setns(&netns, CloneFlags::CLONE_NEWNET).map_err(Into::into)
        });
    }
    Ok(())
}

impl Process {
    /// Starts `command`; what it writes to its standard output and error goes to the file `log`, after what is there.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        Self::spawn(command, log)
    }

    /// As [`Process::start`], but its standard input and output are pipes, to talk to it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_piped(command: &mut Command, log: &Path) -> Result<(Self, ChildStdin, ChildStdout)> {
        let file = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        let mut process = Self::spawn(command, log)?;
        let input = process.child.stdin.take().context("standard input is piped")?;
        let output = process.child.stdout.take().context("standard output is piped")?;
        Ok((process, input, output))
    }

    fn spawn(command: &mut Command, log: &Path) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("{name}: cannot be started"))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is no longer there.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).with_context(|| format!("{signal} to {}", self.id()))
    }

    /// What the kernel says it does, in a letter (proc_pid_stat(5)): `T` is stopped; `Z` has ended, as has none.
    pub fn state(&self) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).ok()?;
        // It comes after the name, which is in brackets and may hold anything.
        stat.rsplit(')').next()?.trim().chars().next()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it is still running after `within`.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        wait::until(&format!("end of process {}", self.id()), within, || Ok(self.ended()))
    }

    /// Kills it, as a crash would.
    ///
    /// # Errors
    /// When it had already ended by itself: then with the last lines of what it said.
    pub fn crash(&mut self) -> Result<()> {
        if let Some(status) = self.ended()
            && status.signal() != Some(Signal::SIGKILL as i32)
        {
            anyhow::bail!(
                "process {} had already ended, {status}: {}",
                self.id(),
                tail(&self.log(), 10)
            );
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// The last `lines` lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
