//! A network namespace as a value: made with its name, deleted when dropped.

mod sweep;

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};

use crate::tool;

pub use sweep::{names_with_prefix, sweep};

/// Where `ip netns` keeps the names.
const NAMES: &str = "/run/netns";

/// A named network namespace; all links in it vanish with it.
#[derive(Debug)]
pub struct NetNs {
    name: String,
    handle: File,
}

impl NetNs {
    /// Makes an empty namespace whose loopback is up and whose addresses are used at once, without duplicate detection.
    ///
    /// # Errors
    /// When the name exists, or the process may not make namespaces.
    pub fn create(name: &str) -> Result<Self> {
        tool::run("ip", &["netns", "add", name])?;
        let handle = File::open(PathBuf::from(NAMES).join(name)).with_context(|| format!("namespace {name}"))?;
        let made = Self {
            name: name.to_owned(),
            handle,
        };
        made.sysctls(&[
            ("net/ipv6/conf/all/accept_dad", "0"),
            ("net/ipv6/conf/default/accept_dad", "0"),
            ("net/ipv6/conf/default/router_solicitations", "0"),
            ("net/ipv4/ping_group_range", "0 2147483647"),
            // A load of short connections to one address would have used every port within TIME_WAIT's minute.
            ("net/ipv4/tcp_tw_reuse", "1"),
        ])?;
        made.ip("link set lo up")?;
        Ok(made)
    }

    /// The name `ip netns` knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace as a file descriptor, for `setns`.
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Runs lines of `ip` commands here (the word `ip` left out), all in one process; the first that fails ends it.
    ///
    /// # Errors
    /// With the failing line's number and what `ip` said.
    pub fn ip(&self, lines: &str) -> Result<()> {
        tool::output(Command::new("ip").args(["-n", &self.name, "-batch", "-"]), lines)
            .with_context(|| format!("in {}: ip -batch:\n{lines}", self.name))?;
        Ok(())
    }

    /// Runs a program here to its end and returns its standard output.
    ///
    /// # Errors
    /// As [`tool::output`].
    pub fn tool(&self, program: &str, arguments: &[&str]) -> Result<String> {
        self.run(|| tool::run(program, arguments))?
            .with_context(|| format!("in {}", self.name))
    }

    /// Runs `work` on a thread of its own that is in this namespace; a process it starts is there too.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let entered = scope.spawn(|| {
                setns(self.handle(), CloneFlags::CLONE_NEWNET).with_context(|| format!("entering {}", self.name))?;
                Ok(work())
            });
            entered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Writes kernel settings given as paths below `/proc/sys`.
    ///
    /// # Errors
    /// With the path that was not there or refused the value.
    pub fn sysctls(&self, settings: &[(&str, &str)]) -> Result<()> {
        self.run(|| {
            for (path, value) in settings {
                fs::write(format!("/proc/sys/{path}"), value).with_context(|| format!("sysctl {path} = {value}"))?;
            }
            Ok(())
        })?
    }

    /// Switches what a device's sender may leave unfinished on or off together: checksums and the cutting of segments.
    ///
    /// # Errors
    /// When `ethtool` refuses.
    pub fn offloads(&self, device: &str, on: bool) -> Result<()> {
        let state = if on { "on" } else { "off" };
        let arguments = ["-K", device, "tx", state, "tso", state, "gso", state];
        self.tool("ethtool", &arguments).map(drop)
    }

    /// Makes a device hand up packets as they came, none joined to larger ones.
    ///
    /// # Errors
    /// When `ethtool` refuses.
    pub fn no_receive_offload(&self, device: &str) -> Result<()> {
        self.tool("ethtool", &["-K", device, "gro", "off"]).map(drop)
    }
}

impl Drop for NetNs {
    fn drop(&mut self) {
        // Who was interrupted has swept everything already.
        if !Path::new(NAMES).join(&self.name).exists() {
            return;
        }
        if let Err(error) = tool::run("ip", &["netns", "del", &self.name]) {
            eprintln!("{error:#}");
        }
    }
}
