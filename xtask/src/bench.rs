//! `cargo xtask bench`: set-up and build, then the comparison itself, which is a program of the tests crate.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::setup::{self, Group};
use crate::{program, workspace};

/// Runs the comparison with the arguments as they were given; its exit code is the answer.
///
/// # Errors
/// What is missing and cannot be installed, or a failed build.
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let only_reads = program::is_help(arguments)
        || arguments
            .first()
            .is_some_and(|word| ["compare", "report"].contains(&&word[..]));
    if !only_reads {
        // Without it the report says that it has no samples of the processors.
        for why in setup::ensure(&[Group::Profile]).into_values() {
            println!("bench: no profiles of the processors: {why}");
        }
    }
    let mut bench = program::built("bench", !only_reads)?;
    if let Some(commit) = commit() {
        bench.env("FAIRLEAD_COMMIT", commit);
    }
    program::run(bench.args(arguments))
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
