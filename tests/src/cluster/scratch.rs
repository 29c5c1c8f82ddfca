//! The world's name and folder: manifests, logs and a bpffs; and how worlds of dead runs are removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::geteuid;

use crate::cgroup::{self, Cgroup};
use crate::netns;
use crate::process::tail;

/// Every world of a test is called `fairlead-t-PID-N`.
const TEST_PREFIX: &str = "fairlead-t-";
const FOLDERS: &str = "/run";

/// A folder below `/run` with a bpffs at `bpf`; unmounted and removed when dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    name: String,
    path: PathBuf,
}

impl Scratch {
    /// The folder of a new test world; what dead runs left is removed first, once a process.
    ///
    /// # Errors
    /// When not root, or the folder cannot be made.
    pub(super) fn for_test() -> Result<Self> {
        static SWEEP: Once = Once::new();
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        SWEEP.call_once(sweep_dead_runs);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::named(&format!("{TEST_PREFIX}{}-{number}", std::process::id()))
    }

    /// The folder of a world with a name of its own.
    ///
    /// # Errors
    /// When not root, or there is such a world already.
    pub(super) fn named(name: &str) -> Result<Self> {
        if !geteuid().is_root() {
            bail!("network namespaces, cgroups and BPF need root: run this as root");
        }
        let path = Path::new(FOLDERS).join(name);
        fs::create_dir(&path).with_context(|| format!("world {name}: {}", path.display()))?;
        let made = Self {
            name: name.to_owned(),
            path,
        };
        let bpf = made.path("bpf");
        fs::create_dir(&bpf)?;
        mount(Some("bpf"), &bpf, Some("bpf"), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("mounting a bpffs at {}", bpf.display()))?;
        Ok(made)
    }

    /// The prefix of the name of everything in this world.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A path in the folder.
    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// Prints the end of every log, for a test that failed.
    pub(super) fn print_logs(&self) {
        let Ok(files) = fs::read_dir(&self.path) else { return };
        for file in files
            .filter_map(Result::ok)
            .filter(|file| file.path().extension().is_some_and(|e| e == "log"))
        {
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            if !text.is_empty() {
                eprintln!("--- {}\n{}", file.path().display(), tail(&text, 40));
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove_folder(&self.path) {
            eprintln!("{}: {error}", self.path.display());
        }
    }
}

fn remove_folder(path: &Path) -> io::Result<()> {
    // Not mounted is what is wanted.
    let _ = umount2(&path.join("bpf"), MntFlags::MNT_DETACH);
    fs::remove_dir_all(path)
}

/// What there is on this machine of worlds whose name begins with `prefix`, as lines for a person; empty is clean.
pub fn leftovers(prefix: &str) -> Vec<String> {
    let mut found: Vec<String> = netns::names_with_prefix(prefix)
        .into_iter()
        .map(|name| format!("network namespace {name}"))
        .collect();
    found.extend(
        names_in(Path::new(FOLDERS), prefix)
            .into_iter()
            .map(|name| format!("folder {FOLDERS}/{name}")),
    );
    if let Ok(root) = cgroup::root() {
        found.extend(names_in(&root, prefix).into_iter().map(|name| format!("cgroup {name}")));
    }
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let ours = |line: &&str| {
        line.split(' ')
            .nth(1)
            .is_some_and(|at| at.starts_with(&format!("{FOLDERS}/{prefix}")))
    };
    found.extend(mounts.lines().filter(ours).map(|line| format!("mount {line}")));
    found
}

fn names_in(folder: &Path, prefix: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with(prefix)).collect()
}

/// Removes a world that no value stands for any more: its processes, namespaces, mounts, cgroups and files.
///
/// # Errors
/// When a part of it cannot be removed.
pub fn remove_world(name: &str) -> Result<()> {
    drop(Cgroup::existing(name)?);
    netns::sweep(&format!("{name}-"))?;
    let folder = Path::new(FOLDERS).join(name);
    if folder.is_dir() {
        remove_folder(&folder).with_context(|| format!("{}", folder.display()))?;
    }
    Ok(())
}

/// Removes every unnamed world that this process has made.
///
/// # Errors
/// As [`remove_world`].
pub fn remove_own_worlds() -> Result<()> {
    let own = format!("{TEST_PREFIX}{}-", std::process::id());
    let mut names = names_in(Path::new(FOLDERS), &own).into_iter();
    names.try_for_each(|name| remove_world(&name))
}

fn sweep_dead_runs() {
    for name in names_in(Path::new(FOLDERS), TEST_PREFIX) {
        let process = name
            .strip_prefix(TEST_PREFIX)
            .and_then(|rest| rest.split('-').next())
            .unwrap_or_default();
        if !Path::new("/proc").join(process).is_dir()
            && let Err(error) = remove_world(&name)
        {
            eprintln!("left over from a dead run: {error:#}");
        }
    }
}
