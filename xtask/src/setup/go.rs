//! Go for the cluster floor, where the machine has none: the toolchain that Go itself would download for a module that
//! asks for it, from the same place, into the cache folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Group, Step};
use crate::{process, workspace};

const VERSION: &str = "1.26.8";

/// Go's name of this machine's architecture, and the archive's SHA-256.
#[cfg(target_arch = "x86_64")]
const ARCHIVE: (&str, &str) = (
    "amd64",
    "30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7",
);
#[cfg(target_arch = "aarch64")]
const ARCHIVE: (&str, &str) = (
    "arm64",
    "02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99",
);

/// The program: the machine's own, or ours.
pub(super) fn program() -> Option<PathBuf> {
    process::find("go").or_else(|| {
        folder()
            .ok()
            .map(|folder| folder.join("bin/go"))
            .filter(|go| go.exists())
    })
}

fn folder() -> Result<PathBuf> {
    Ok(workspace::cache()?.join("go").join(VERSION))
}

/// A step if there is no Go.
pub(super) fn missing() -> Option<Step> {
    program().is_none().then(|| Step {
        group: Group::Cluster,
        what: format!("download Go {VERSION} (72 MB)"),
        install: Box::new(|| install(&folder()?)),
    })
}

fn install(folder: &Path) -> Result<()> {
    let (architecture, digest) = ARCHIVE;
    let module = format!("v0.0.1-go{VERSION}.linux-{architecture}");
    let scratch = folder.with_extension("download");
    fs::create_dir_all(&scratch).with_context(|| format!("{}: cannot be made", scratch.display()))?;
    let archive = scratch.join("go.zip");
    let url = format!("https://proxy.golang.org/golang.org/toolchain/@v/{module}.zip");
    process::run(Command::new("curl").args(["-sSfL", "-o"]).arg(&archive).arg(&url))?;
    let sum = process::output(Command::new("sha256sum").arg(&archive))?;
    ensure!(sum.starts_with(digest), "{url}: it has another SHA-256 than {digest}");
    process::run(Command::new("unzip").arg("-q").arg(&archive).arg("-d").arg(&scratch))?;
    let unpacked = scratch.join(format!("golang.org/toolchain@{module}"));
    // A module's archive keeps no permissions.
    process::run(
        Command::new("chmod")
            .args(["-R", "+x"])
            .args([unpacked.join("bin"), unpacked.join("pkg/tool")]),
    )?;
    fs::rename(&unpacked, folder).with_context(|| format!("{}: cannot be moved", unpacked.display()))?;
    fs::remove_dir_all(&scratch).with_context(|| format!("{}: cannot be removed", scratch.display()))
}
