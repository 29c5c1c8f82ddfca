//! `cargo xtask build`: the agent, with the kernel programs inside (its build script compiles them).

use anyhow::Result;

use crate::setup::{self, Group};
use crate::{process, workspace};

/// Prepares the machine, builds, and says where the binary is.
///
/// # Errors
/// What is missing and cannot be installed, or cargo's failure.
pub(crate) fn command() -> Result<()> {
    setup::require(&[Group::Build])?;
    agent()?;
    println!("built {}", workspace::agent().display());
    Ok(())
}

/// Builds the agent in release mode.
///
/// # Errors
/// Cargo's failure; what it said is on the terminal.
pub(crate) fn agent() -> Result<()> {
    let mut cargo = process::cargo();
    process::run(
        cargo
            .current_dir(workspace::root())
            .args(["build", "--release", "--package", "proxy-agent"]),
    )
}
