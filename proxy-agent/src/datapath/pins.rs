//! Where everything of ours is pinned, and who may write it.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};
use proxy_common::schema::MapSpec;

use super::HostError;

/// The folder that `--state` names.
///
/// ```text
/// maps/NAME               every map of the schema
/// programs/explain        the twin that is attached nowhere
/// links/INDEX_ingress     a device's programs, where the kernel has tcx
/// links/INDEX_egress
/// links/connect4 ...      the socket hooks
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins(PathBuf);

impl Pins {
    /// The pins below a folder, which need not exist.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Pins(state.to_owned())
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// The folder of the maps.
    #[must_use]
    pub fn maps(&self) -> PathBuf {
        self.0.join("maps")
    }

    /// A map's pin.
    #[must_use]
    pub fn map(&self, spec: &MapSpec) -> PathBuf {
        self.maps().join(spec.name)
    }

    /// A program's pin.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.0.join("programs").join(name)
    }

    /// The folder of the links.
    #[must_use]
    pub fn links(&self) -> PathBuf {
        self.0.join("links")
    }

    /// The pin of a program at a device.
    #[must_use]
    pub fn device_link(&self, ifindex: u32, direction: &str) -> PathBuf {
        self.links().join(format!("{ifindex}_{direction}"))
    }

    /// The pin of a socket hook.
    #[must_use]
    pub fn socket_link(&self, hook: &str) -> PathBuf {
        self.links().join(hook)
    }

    /// Whether there is anything.
    #[must_use]
    pub fn exist(&self) -> bool {
        self.maps().is_dir()
    }

    /// Makes the folders and takes the lock that makes this process the one writer.
    ///
    /// # Errors
    /// If the folder is not on a writable BPF file system, or if another process holds the lock.
    pub fn lock(&self) -> Result<PinLock, HostError> {
        for folder in [self.0.clone(), self.maps(), self.0.join("programs"), self.links()] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.map_err(|error| self.unusable(&error))?;
        }
        let folder = File::open(&self.0).map_err(|error| self.unusable(&error))?;
        match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(PinLock { _lock: lock }),
            Err((_, nix::Error::EWOULDBLOCK)) => Err(HostError::Locked(self.0.clone())),
            Err((_, error)) => Err(self.unusable(&error.into())),
        }
    }

    /// Removes the folders and what is pinned in them.
    ///
    /// # Errors
    /// If something cannot be removed. What is not there is no error.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn unusable(&self, error: &io::Error) -> HostError {
        let path = self.0.clone();
        let read_only = error.kind() == io::ErrorKind::ReadOnlyFilesystem;
        let reason = if read_only {
            "it is mounted read-only".to_owned()
        } else {
            error.to_string()
        };
        HostError::Pins { path, reason }
    }
}

/// While it lives, no other process may write what is pinned. The kernel gives it up with the process.
#[derive(Debug)]
pub struct PinLock {
    _lock: Flock<File>,
}
