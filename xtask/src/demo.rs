//! `cargo xtask demo`: set-up and build, then the demonstration itself, which is a program of the tests crate.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::setup::{self, Group};
use crate::{build, process, workspace};

/// Runs the demonstration, or with `down` only removes what one left up; its exit code is the answer.
///
/// # Errors
/// What is missing and cannot be installed, or a failed build.
pub(crate) fn command(keep: bool, down: bool) -> Result<ExitCode> {
    if !down {
        setup::require(&[Group::Build, Group::Netns])?;
        build::agent()?;
    }
    // Its helper for sockets is a binary of the same package, which `cargo run` would not build. What tests need of
    // Kubernetes would take minutes.
    let mut bins = process::cargo();
    bins.current_dir(workspace::root());
    process::run(bins.args([
        "build",
        "--quiet",
        "--package",
        "tests",
        "--no-default-features",
        "--bins",
    ]))?;
    let mut demo = Command::new(workspace::target().join("debug/demo"));
    demo.args(keep.then_some("--keep")).args(down.then_some("--down"));
    let status = demo
        .env("FAIRLEAD", workspace::agent())
        .status()
        .context("the demonstration cannot be started")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
