//! What the machine must have, checked before anything is touched: each lack is one line that says what to do.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aya::util::KernelVersion;
use nix::sys::statfs::{BPF_FS_MAGIC, CGROUP2_SUPER_MAGIC, FsType, statfs};

/// Why nothing can run on this machine, or not with these pins.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Not root, or a container without the capabilities.
    #[error("the capabilities {0} are missing: run as root, or give them to the container")]
    Capabilities(String),
    /// The capabilities are there and count for nothing.
    #[error(
        "the kernel lets nobody load {what} here: capabilities of a user namespace of its own do not count (run in the \
         machine's), and a security module or the kernel's lockdown may forbid it"
    )]
    Forbidden {
        /// What was refused.
        what: String,
    },
    /// The kernel is too old.
    #[error("the kernel is {found}, and 6.1 is the oldest that will do")]
    Kernel {
        /// Its version.
        found: String,
    },
    /// The kernel lacks something.
    #[error("the kernel lacks {what}: {why}")]
    Feature {
        /// What it lacks.
        what: String,
        /// How that showed.
        why: String,
    },
    /// No BPF file system where the pins are to be.
    #[error(
        "{}: no BPF file system; --state must name a folder on one, usually below /sys/fs/bpf, where `mount -t bpf bpf \
         /sys/fs/bpf` mounts it",
        .0.display()
    )]
    NoBpffs(PathBuf),
    /// The folder of the pins cannot be used.
    #[error("{}: the pins cannot be kept here: {reason}", path.display())]
    Pins {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else writes there.
    #[error("{}: another fairlead runs on these pins; stop it, or name another folder with --state", .0.display())]
    Locked(PathBuf),
    /// Pins of another version of Fairlead.
    #[error(
        "{}: the maps have layout {found}, this fairlead knows {known}: run the version that made them, or `fairlead \
         cleanup`, which ends the node's service connections",
        path.display()
    )]
    Abi {
        /// The folder of the pins.
        path: PathBuf,
        /// The layout of the maps.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A pinned map does not fit the programs.
    #[error("{}: {why}; `fairlead cleanup` removes it, and with it the node's service connections", path.display())]
    Map {
        /// The map's pin.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No cgroup v2.
    #[error("no cgroup v2 is mounted; mount it with `mount -t cgroup2 none /sys/fs/cgroup`, or use --socket-lb=off")]
    NoCgroup,
    /// The folder is no cgroup.
    #[error("--cgroup: {}: {why}", path.display())]
    Cgroup {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The kernel refused a program.
    #[error("the kernel refused the program {program}: {why}{log}")]
    Program {
        /// Its name.
        program: String,
        /// The kernel's answer.
        why: String,
        /// Where the verifier's reasons are.
        log: String,
    },
}

/// The oldest kernel that every program and helper in use is in.
const OLDEST: KernelVersion = KernelVersion::new(6, 1, 0);

/// Checks privileges, kernel and file systems.
///
/// # Errors
/// The first thing that is missing.
pub fn check(state: &Path) -> Result<(), HostError> {
    capabilities(true)?;
    kernel()?;
    bpffs(state)
}

/// Checks privileges and kernel only.
///
/// # Errors
/// The first thing that is missing.
pub fn check_kernel() -> Result<(), HostError> {
    capabilities(false)?;
    kernel()
}

/// Those for programs, maps and devices, and for an agent the one for looking into pods' namespaces, which stands for
/// `CAP_BPF` and `CAP_PERFMON` where it is there.
fn capabilities(of_an_agent: bool) -> Result<(), HostError> {
    const NET_ADMIN: u32 = 12;
    const SYS_ADMIN: u32 = 21;
    const PERFMON: u32 = 38;
    const BPF: u32 = 39;
    let effective = effective_capabilities().unwrap_or(u64::MAX);
    let has = |capability: u32| effective & (1 << capability) != 0;
    let mut missing = Vec::new();
    if !has(NET_ADMIN) {
        missing.push("CAP_NET_ADMIN");
    }
    if of_an_agent && !has(SYS_ADMIN) {
        missing.push("CAP_SYS_ADMIN");
    }
    if !has(SYS_ADMIN) && !has(BPF) {
        missing.push("CAP_BPF");
    }
    if !has(SYS_ADMIN) && !has(PERFMON) {
        missing.push("CAP_PERFMON");
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(HostError::Capabilities(missing.join(", ")))
    }
}

fn effective_capabilities() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn kernel() -> Result<(), HostError> {
    match KernelVersion::current() {
        Ok(version) if version < OLDEST => {
            let found = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
            Err(HostError::Kernel {
                found: found.trim().to_owned(),
            })
        }
        // One that does not tell its version is judged by what it can do.
        _ => Ok(()),
    }
}

/// The pins' nearest folder that exists must be on a BPF file system.
fn bpffs(state: &Path) -> Result<(), HostError> {
    let existing = state.ancestors().find(|folder| folder.exists());
    let on_bpffs = existing.is_some_and(|folder| file_system(folder).is_ok_and(|kind| kind == BPF_FS_MAGIC));
    if on_bpffs {
        return Ok(());
    }
    Err(HostError::NoBpffs(state.to_owned()))
}

fn file_system(folder: &Path) -> io::Result<FsType> {
    Ok(statfs(folder)?.filesystem_type())
}

/// The cgroup below which sockets are translated: the given folder, or the root of the cgroup v2 mount.
///
/// # Errors
/// If the folder is no cgroup v2, or if none is mounted.
pub fn cgroup(given: Option<&Path>) -> Result<PathBuf, HostError> {
    let Some(path) = given else {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        return cgroup_mount(&mounts).ok_or(HostError::NoCgroup);
    };
    let why = match file_system(path) {
        Ok(kind) if kind == CGROUP2_SUPER_MAGIC => return Ok(path.to_owned()),
        Ok(_) => "not a folder of a cgroup v2 file system".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(HostError::Cgroup {
        path: path.to_owned(),
        why,
    })
}

fn cgroup_mount(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(path.replace("\\040", " ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_v2_mount_is_found_beside_v1() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/uni\\040fied cgroup2 rw 0 0\n";
        assert_eq!(cgroup_mount(mounts), Some(PathBuf::from("/sys/fs/cgroup/uni fied")));
    }

    #[test]
    fn a_machine_without_cgroup_v2_is_told_from_one_with() {
        assert_eq!(cgroup_mount("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"), None);
    }

    #[test]
    fn a_folder_that_is_not_on_a_bpf_file_system_is_named() {
        let error = bpffs(Path::new("/proc/fairlead")).expect_err("/proc is none");
        let text = error.to_string();
        assert!(
            text.starts_with("/proc/fairlead: no BPF file system; --state must name"),
            "{text}"
        );
    }
}
