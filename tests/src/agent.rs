//! The agent under test: `fairlead run` in a node, and the commands that ask it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cluster::{Node, Place};
use crate::process::{Process, tail};
use crate::wait;

/// How long an agent may take to start and to stop: under emulation the verifier alone takes half a minute.
const START: Duration = Duration::from_secs(180);

/// Where sockets are translated when they are made; the names are those of `--socket-lb`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SocketLb {
    /// The host's own sockets, and those of pods not yet covered: the agent's own default.
    #[default]
    Auto,
    /// The host's own sockets.
    Host,
    /// All.
    All,
    /// None: everything is left to the edges.
    Off,
}

/// Where the agent has its objects from.
#[derive(Clone, Debug)]
struct Source {
    flag: &'static str,
    path: PathBuf,
}

/// `fairlead` in one node. Dropping it kills the process and leaves the data path, as a crash does.
#[derive(Debug)]
pub struct Agent {
    place: Arc<Place>,
    state: PathBuf,
    source: Source,
    socket_lb: SocketLb,
    flags: Vec<String>,
    configuration: Vec<String>,
    process: Option<Process>,
}

impl SocketLb {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Host => "host",
            Self::All => "all",
            Self::Off => "off",
        }
    }
}

impl Agent {
    /// Starts the agent of a node on the node's manifests, and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready in time: then with the end of its log.
    pub fn start(node: &Node, socket_lb: SocketLb) -> Result<Self> {
        Self::start_with(node, socket_lb, &[])
    }

    /// As [`Agent::start`], with more flags.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub fn start_with(node: &Node, socket_lb: SocketLb, flags: &[&str]) -> Result<Self> {
        let mut agent = Self::of(node, socket_lb, flags);
        agent.resume()?;
        Ok(agent)
    }

    /// The agent of a node, not started.
    pub fn of(node: &Node, socket_lb: SocketLb, flags: &[&str]) -> Self {
        Self {
            place: node.shared(),
            state: node.state_dir(),
            source: Source {
                flag: "--manifests",
                path: node.manifests_dir(),
            },
            socket_lb,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            configuration: Vec::new(),
            process: None,
        }
    }

    /// The same with the API server that a file names instead of manifests.
    #[must_use]
    pub fn following(self, kubeconfig: PathBuf) -> Self {
        let source = Source {
            flag: "--kubeconfig",
            path: kubeconfig,
        };
        Self { source, ..self }
    }

    /// The same with a configuration file.
    #[must_use]
    pub fn configured(self, file: &Path) -> Self {
        let configuration = vec!["--config".to_owned(), file.to_string_lossy().into_owned()];
        Self { configuration, ..self }
    }

    /// Starts it again after [`Agent::crash`] or [`Agent::stop`], and waits until it is ready.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub fn resume(&mut self) -> Result<()> {
        self.begin()?;
        self.ready()
    }

    /// Waits until it is ready, after [`Agent::begin`].
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub fn ready(&mut self) -> Result<()> {
        let process = self.process.as_mut().context("fairlead does not run")?;
        let place = &self.place;
        let state = &self.state;
        let ready = wait::until("fairlead is ready", START, || {
            if let Some(status) = process.ended() {
                // No further waiting: the outer result ends it.
                return Ok(Some(Err(anyhow::anyhow!("fairlead ended with {status}"))));
            }
            let status = output(place, &["status", "-o", "json"], state)?;
            ensure!(status["ready"] == true, "{}", status["agent"]);
            Ok(Some(Ok(())))
        });
        ready.and_then(|ended| ended).with_context(|| end_of_log(process))
    }

    /// Starts it and waits for nothing.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn begin(&mut self) -> Result<()> {
        let mut command = self.run_command()?;
        self.process = Some(self.place.start("fairlead", &mut command)?);
        Ok(())
    }

    /// Starts it in the expectation that it ends by itself; returns how, and what it said.
    ///
    /// # Errors
    /// When it still runs after [`START`].
    pub fn run_to_end(&self) -> Result<(ExitStatus, String)> {
        let mut process = self.place.start("fairlead-ends", &mut self.run_command()?)?;
        let status = process.wait(START).with_context(|| end_of_log(&process))?;
        Ok((status, process.log()))
    }

    fn run_command(&self) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command.arg("run").arg(self.source.flag).arg(&self.source.path);
        command.arg("--node-name").arg(self.place.label());
        command
            .arg("--state")
            .arg(&self.state)
            .arg("--cgroup")
            .arg(self.place.cgroup().path());
        command
            .arg(format!("--socket-lb={}", self.socket_lb.name()))
            .args(&self.configuration)
            .args(&self.flags);
        Ok(command)
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub fn crash(&mut self) -> Result<()> {
        self.process.take().context("fairlead does not run")?.crash()
    }

    /// Ends it in order with SIGTERM; the data path stays.
    ///
    /// # Errors
    /// When it does not end in time, or not with success.
    pub fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("fairlead does not run")?;
        process.signal(Signal::SIGTERM)?;
        let status = process.wait(START).with_context(|| end_of_log(&process))?;
        if !status.success() {
            bail!("fairlead: {status} after SIGTERM; {}", end_of_log(&process));
        }
        Ok(())
    }

    /// Runs `fairlead` with these words and returns the JSON it prints.
    ///
    /// # Errors
    /// When it exits non-zero or prints something else.
    pub fn ask(&self, words: &[&str]) -> Result<Value> {
        output(&self.place, &[words, &["-o", "json"]].concat(), &self.state)
    }

    /// Runs `fairlead` with these words and returns what it prints for a person.
    ///
    /// # Errors
    /// When it exits non-zero.
    pub fn say(&self, words: &[&str]) -> Result<String> {
        say(&self.place, words, &self.state)
    }

    /// Waits until the live maps are what the manifests, or the API server, say.
    ///
    /// # Errors
    /// With the differences that are left after [`wait::PATIENCE`].
    pub fn settled(&self) -> Result<()> {
        let node = self.place.label().to_owned();
        let source = self.source.path.to_string_lossy().into_owned();
        let mut words = vec!["verify", self.source.flag, &source, "--node-name", &node];
        words.extend(self.configuration.iter().map(String::as_str));
        wait::until("maps as the objects say", wait::PATIENCE, || self.say(&words).map(Some)).map(drop)
    }

    /// Removes everything of it from the node; it must not run.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn cleanup(&self) -> Result<String> {
        self.say(&["cleanup"])
    }

    /// Its folder on the bpffs.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// The process, while it runs.
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }
}

fn say(place: &Place, words: &[&str], state: &Path) -> Result<String> {
    let mut command = place.command(binary()?)?;
    command.args(words).arg("--state").arg(state);
    crate::tool::output(&mut command, "").with_context(|| format!("fairlead {}", words.join(" ")))
}

fn output(place: &Place, words: &[&str], state: &Path) -> Result<Value> {
    let said = say(place, words, state)?;
    serde_json::from_str(&said).with_context(|| format!("fairlead {}: {said:?}", words.join(" ")))
}

fn end_of_log(process: &Process) -> String {
    format!("the end of its log: {}", tail(&process.log(), 20))
}

/// The binary under test: what `FAIRLEAD` names, or the release build of this checkout.
///
/// # Errors
/// If there is none.
pub fn binary() -> Result<PathBuf> {
    let path = match std::env::var_os("FAIRLEAD") {
        Some(path) => PathBuf::from(path),
        None => {
            let own = std::env::current_exe()?;
            let target = own.ancestors().find(|folder| folder.ends_with("target"));
            target
                .context("FAIRLEAD does not name the binary under test")?
                .join("release/fairlead")
        }
    };
    if !path.is_file() {
        bail!("{}: no such binary; cargo xtask build", path.display());
    }
    Ok(path)
}
