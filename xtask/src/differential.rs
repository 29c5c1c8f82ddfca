//! `cargo xtask differential`: Fairlead and kube-proxy answer by answer, by a program of the tests crate.

use std::process::ExitCode;

use anyhow::Result;

use crate::program;

/// Runs the comparison with the arguments as they were given.
///
/// # Errors
/// What is missing and cannot be installed, or a failed build.
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let mut program = program::built("differential", !program::is_help(arguments))?;
    program::run(program.args(arguments))
}
