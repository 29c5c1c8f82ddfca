//! Somewhere a process can run: a node, a pod, the router, the client outside.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use anyhow::Result;

use crate::cgroup::Cgroup;
use crate::netns::NetNs;
use crate::peer::Peer;
use crate::process::{Process, settle};

/// A network namespace and the cgroup its processes are in.
#[derive(Debug)]
pub struct Place {
    label: String,
    // Before the namespace: it is the place's own process.
    peer: OnceLock<Peer>,
    netns: NetNs,
    cgroup: Arc<Cgroup>,
    folder: PathBuf,
}

impl Place {
    pub(super) fn new(label: &str, netns: NetNs, cgroup: Arc<Cgroup>, folder: &Path) -> Self {
        Self {
            label: label.to_owned(),
            peer: OnceLock::new(),
            netns,
            cgroup,
            folder: folder.to_owned(),
        }
    }

    /// What it is called within its world, for example `node-a` or `pod-a-0`.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its network namespace.
    pub fn netns(&self) -> &NetNs {
        &self.netns
    }

    /// The cgroup of its processes: a node's, which its pods share.
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    pub(super) fn shared_cgroup(&self) -> Arc<Cgroup> {
        Arc::clone(&self.cgroup)
    }

    /// The world's folder, for files of the programs that run here.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command that will run here.
    ///
    /// # Errors
    /// When the namespace or the cgroup is gone.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
        let mut command = Command::new(program);
        settle(&mut command, &self.netns, &self.cgroup)?;
        Ok(command)
    }

    /// Runs a program here, in the cgroup too, to its end and returns its standard output.
    ///
    /// # Errors
    /// As [`crate::tool::output`].
    pub fn tool(&self, program: &str, arguments: &[&str]) -> Result<String> {
        crate::tool::output(self.command(program)?.args(arguments), "")
    }

    /// Starts a program here that keeps running; its output goes to `LABEL-NAME.log` in the world's folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, name: &str, command: &mut Command) -> Result<Process> {
        settle(command, &self.netns, &self.cgroup)?;
        Process::start(command, &self.log(name))
    }

    /// Where the output of a program of that name goes.
    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}-{name}.log", self.label))
    }

    /// The process here that opens sockets for the test; started when first asked for.
    ///
    /// # Errors
    /// When its binary is missing.
    pub fn peer(&self) -> Result<&Peer> {
        if let Some(peer) = self.peer.get() {
            return Ok(peer);
        }
        let started = Peer::start(self)?;
        Ok(self.peer.get_or_init(|| started))
    }
}
