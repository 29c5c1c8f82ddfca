//! What the dependencies bring with them: licences, sources, known vulnerabilities (`deny.toml`).

use std::process::Command;

use anyhow::Result;

use crate::{process, workspace};

/// Licences, bans and sources: everything that can be told from the lock file and the registry.
///
/// # Errors
/// cargo-deny's findings; they are on the terminal.
pub(crate) fn check() -> Result<()> {
    process::run(&mut deny(&[
        "--log-level",
        "error",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]))
}

/// Known vulnerabilities, by RustSec's database; `None` if that cannot be reached from here.
///
/// The database is a git repository on GitHub, and no package registry carries it.
pub(crate) fn check_advisories() -> Option<Result<()>> {
    process::output(&mut deny(&["fetch", "db"])).ok()?;
    Some(process::run(&mut deny(&[
        "--log-level",
        "error",
        "check",
        "--disable-fetch",
        "advisories",
    ])))
}

fn deny(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo-deny");
    command.current_dir(workspace::root()).args(arguments);
    command
}
