//! `bpf-linker`, which makes an object file from the bitcode of the kernel programs.

use std::process::Command;

use anyhow::Result;

use super::{Group, Step};
use crate::process;

/// The last release that links with LLVM 22, which the compilers this project builds with bring.
const VERSION: &str = "0.10.3";

/// The step that installs it, if there is none that runs.
pub(super) fn missing() -> Option<Step> {
    // One of another version is a choice of whoever installed it.
    if process::output(Command::new("bpf-linker").arg("--version")).is_ok() {
        return None;
    }
    Some(Step {
        group: Group::Build,
        what: format!("cargo install bpf-linker {VERSION} (about a minute)"),
        install: Box::new(install),
    })
}

fn install() -> Result<()> {
    process::run(process::cargo().args(["install", "bpf-linker", "--version", VERSION, "--locked", "--force"]))
}
