//! The compiler for the kernel programs: it builds `core` from source for a target that has no ready-made one.
//!
//! Which one is used is a contract with the agent's build script, which makes the same choice by the same rule:
//! `FAIRLEAD_EBPF_TOOLCHAIN` if set, else `nightly` if it has the sources of `core`, else `fairlead-ebpf`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::{Group, Step, apt};
use crate::process;

/// Names the toolchain by hand.
const OVERRIDE: &str = "FAIRLEAD_EBPF_TOOLCHAIN";
const NIGHTLY: &str = "nightly";
/// Debian's compiler as a rustup toolchain.
const LINKED: &str = "fairlead-ebpf";
/// The packages that make Debian's compiler one: compiler, cargo, and the sources where cargo looks for them.
const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// The rustup toolchain that can build the kernel programs, if there is one.
///
/// A set `FAIRLEAD_EBPF_TOOLCHAIN` is returned as it is: whoever sets it knows better.
pub(crate) fn toolchain() -> Option<String> {
    if let Some(named) = env::var(OVERRIDE).ok().filter(|named| !named.is_empty()) {
        return Some(named);
    }
    [NIGHTLY, LINKED]
        .into_iter()
        .find(|name| has_core(name))
        .map(str::to_owned)
}

/// The step that makes a toolchain usable, if none is.
pub(super) fn missing() -> Option<Step> {
    if toolchain().is_some() {
        return None;
    }
    Some(Step {
        group: Group::Build,
        what: format!(
            "the sources of `core` for the kernel programs: rustup's rust-src, or where rustup's server is out of \
             reach the Debian packages {}, linked as toolchain {LINKED} (half a minute)",
            PACKAGES.join(" ")
        ),
        install: Box::new(install),
    })
}

fn install() -> Result<()> {
    if process::find("rustup").is_none() {
        bail!("rustup: not found; it is needed to use one compiler for the agent and another for the kernel programs");
    }
    if sysroot(NIGHTLY).is_some() {
        // A nightly that is here fits; one fetched today could be too new for the linker.
        let mut rustup = Command::new("rustup");
        rustup.args(["component", "add", "rust-src", "--toolchain", NIGHTLY]);
        // What it says of a server out of reach is long, and no failure here.
        let added = process::output(rustup.env("RUST_BACKTRACE", "0"));
        if added.is_ok() && has_core(NIGHTLY) {
            return Ok(());
        }
        println!("setup: rustup cannot add rust-src to {NIGHTLY}; Debian's packages instead");
    }
    link_debian()
}

fn link_debian() -> Result<()> {
    if !core_sources(Path::new("/usr")).exists() || !Path::new("/usr/bin/cargo").exists() {
        apt::install_named(&PACKAGES)?;
    }
    process::run(Command::new("rustup").args(["toolchain", "link", LINKED, "/usr"]))?;
    if !has_core(LINKED) {
        bail!(
            "toolchain {LINKED}: has no sources of `core` although {} are installed",
            PACKAGES.join(" ")
        );
    }
    Ok(())
}

fn has_core(toolchain: &str) -> bool {
    sysroot(toolchain).is_some_and(|sysroot| core_sources(&sysroot).exists())
}

fn sysroot(toolchain: &str) -> Option<PathBuf> {
    let printed = process::output(Command::new("rustup").args(["run", toolchain, "rustc", "--print", "sysroot"]));
    printed.ok().map(|path| PathBuf::from(path.trim()))
}

fn core_sources(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml")
}
