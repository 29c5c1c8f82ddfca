//! `cargo xtask demo`: set-up and build, then the demonstration itself, which is a program of the tests crate.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::setup::{self, Group};
use crate::{build, process, workspace};

/// Runs the demonstration; its exit code is the answer.
///
/// # Errors
/// What is missing and cannot be installed, or a failed build.
pub(crate) fn command(keep: bool) -> Result<ExitCode> {
    setup::require(&[Group::Build, Group::Netns])?;
    build::agent()?;
    let mut cargo = process::cargo();
    cargo
        .current_dir(workspace::root())
        .args(["run", "--quiet", "--package", "tests", "--bin", "demo", "--"]);
    cargo.args(keep.then_some("--keep")).env("FAIRLEAD", workspace::agent());
    let status = cargo.status().context("cargo cannot be started")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
