//! Programs of the tests crate that a person starts: built, given what they need, and run.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::setup::{self, Group};
use crate::{build, process, workspace};

/// A command for a program of the tests crate, built here: with everything around it if it is to run a cluster.
///
/// # Errors
/// What is missing and cannot be installed, or a failed build.
pub(crate) fn built(name: &str, runs_a_cluster: bool) -> Result<Command> {
    let groups: &[Group] = if runs_a_cluster {
        &[Group::Build, Group::Netns, Group::Cluster]
    } else {
        &[Group::Build]
    };
    setup::require(groups)?;
    let mut bins = process::cargo();
    bins.current_dir(workspace::root());
    // What puts the load on must not be slower than it has to be.
    process::run(bins.args(["build", "--quiet", "--release", "--package", "tests", "--bins"]))?;
    let mut program = Command::new(workspace::target().join("release").join(name));
    if runs_a_cluster {
        build::agent()?;
        program.env("FAIRLEAD", workspace::agent());
        program.env("FAIRLEAD_CLUSTER_BIN", setup::cluster_folder()?);
    }
    Ok(program)
}

/// Runs it; its exit code is the answer.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn run(program: &mut Command) -> Result<ExitCode> {
    let status = program
        .status()
        .with_context(|| format!("{} cannot be started", program.get_program().display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// Whether only the flags are asked for.
pub(crate) fn is_help(arguments: &[String]) -> bool {
    arguments.iter().any(|word| ["-h", "--help"].contains(&&word[..]))
}
