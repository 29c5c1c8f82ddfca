//! `cargo xtask bench`: set-up and build, then the comparison itself, which is a program of the tests crate.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::setup::{self, Group};
use crate::{build, process, workspace};

/// Runs the comparison with the arguments as they were given; its exit code is the answer.
///
/// # Errors
/// What is missing and cannot be installed, or a failed build.
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let only_reads = arguments
        .first()
        .is_some_and(|word| ["compare", "report"].contains(&&word[..]))
        || arguments.iter().any(|word| ["-h", "--help"].contains(&&word[..]));
    let groups: &[Group] = if only_reads {
        &[Group::Build]
    } else {
        &[Group::Build, Group::Netns, Group::Cluster]
    };
    setup::require(groups)?;
    if !only_reads {
        // Without it the report says that it has no samples of the processors.
        for why in setup::ensure(&[Group::Profile]).into_values() {
            println!("bench: no profiles of the processors: {why}");
        }
    }
    let mut bins = process::cargo();
    bins.current_dir(workspace::root());
    // What puts the load on must not be slower than it has to be.
    process::run(bins.args(["build", "--quiet", "--release", "--package", "tests", "--bins"]))?;
    let mut bench = Command::new(workspace::target().join("release/bench"));
    if !only_reads {
        build::agent()?;
        bench.env("FAIRLEAD", workspace::agent());
        bench.env("FAIRLEAD_CLUSTER_BIN", setup::cluster_folder()?);
    }
    if let Some(commit) = commit() {
        bench.env("FAIRLEAD_COMMIT", commit);
    }
    let status = bench
        .args(arguments)
        .status()
        .context("the comparison cannot be started")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// The commit of the checkout, marked where files differ from it; none where there is no git.
fn commit() -> Option<String> {
    let mut git = Command::new("git");
    let said = git
        .current_dir(workspace::root())
        .args(["describe", "--always", "--dirty"])
        .output()
        .ok()?;
    let commit = String::from_utf8(said.stdout).ok()?.trim().to_owned();
    (said.status.success() && !commit.is_empty()).then_some(commit)
}
