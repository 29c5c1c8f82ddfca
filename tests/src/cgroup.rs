//! A cgroup v2 as a value: processes join it when they are started, and end with it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

const END: Duration = Duration::from_secs(10);

/// A cgroup of our own; what runs in it and below it is killed when it is dropped.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

/// Where the v2 hierarchy is mounted: beside v1 it is not `/sys/fs/cgroup` itself.
///
/// # Errors
/// When it is mounted nowhere.
pub fn root() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").context("/proc/mounts")?;
    let is_v2 = |line: &&str| line.split(' ').nth(2) == Some("cgroup2");
    let line = mounts
        .lines()
        .find(is_v2)
        .context("cgroup v2 is not mounted; mount -t cgroup2 none /sys/fs/cgroup")?;
    Ok(PathBuf::from(line.split(' ').nth(1).unwrap_or_default()))
}

impl Cgroup {
    /// Makes a cgroup below the root of the v2 hierarchy.
    ///
    /// # Errors
    /// When there is no v2 hierarchy, or the name exists.
    pub fn create(name: &str) -> Result<Self> {
        Self::at(root()?.join(name))
    }

    /// Makes a cgroup inside this one.
    ///
    /// # Errors
    /// When the name exists.
    pub fn child(&self, name: &str) -> Result<Self> {
        Self::at(self.path.join(name))
    }

    /// Takes over one that exists, to remove it with all below it; `None` when there is none of that name.
    ///
    /// # Errors
    /// When there is no v2 hierarchy.
    pub fn existing(name: &str) -> Result<Option<Self>> {
        let path = root()?.join(name);
        Ok(path.is_dir().then_some(Self { path }))
    }

    fn at(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path).with_context(|| format!("cgroup {}", path.display()))?;
        Ok(Self { path })
    }

    /// The directory of the cgroup.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An open `cgroup.procs`: a process that writes `0` to it has joined.
    ///
    /// # Errors
    /// When the cgroup is gone.
    pub fn door(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(self.path.join("cgroup.procs"))
    }

    /// The processes here and below.
    pub fn processes(&self) -> Vec<i32> {
        processes_below(&self.path)
    }

    /// Stops every process here and below where it is, or lets them go on; waits until that is so.
    ///
    /// # Errors
    /// When it is not after ten seconds.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let (file, value) = (self.path.join("cgroup.freeze"), if frozen { "1" } else { "0" });
        fs::write(&file, value).with_context(|| format!("{}", file.display()))?;
        let events = self.path.join("cgroup.events");
        let done = || Ok(fs::read_to_string(&events)?.contains(&format!("frozen {value}")));
        wait::until_true(&format!("cgroup {} frozen: {frozen}", self.path.display()), END, done)
    }

    /// Kills every process here and below, and waits for the last one to be gone.
    ///
    /// # Errors
    /// When some are still there after ten seconds.
    pub fn kill(&self) -> Result<()> {
        if fs::write(self.path.join("cgroup.kill"), "1").is_err() {
            // Before Linux 5.14 there is no such file.
            for pid in self.processes() {
                // One that has ended meanwhile is what is wanted.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        let events = self.path.join("cgroup.events");
        let empty = || Ok(fs::read_to_string(&events)?.contains("populated 0"));
        wait::until_true(&format!("end of all processes in {}", self.path.display()), END, empty)
    }
}

fn processes_below(path: &Path) -> Vec<i32> {
    let here = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    let here = here.lines().filter_map(|line| line.parse().ok());
    here.chain(children(path).iter().flat_map(|child| processes_below(child)))
        .collect()
}

fn children(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect()
}

fn remove_below(path: &Path) -> io::Result<()> {
    children(path).iter().try_for_each(|child| remove_below(child))?;
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if !self.path.is_dir() {
            return;
        }
        let gone = self.kill().and_then(|()| {
            // The kernel lets go of a dead process's cgroup a moment after it reports it empty.
            wait::until(&format!("removal of {}", self.path.display()), END, || {
                Ok(Some(remove_below(&self.path)?))
            })
        });
        if let Err(error) = gone {
            eprintln!("{error:#}");
        }
    }
}
