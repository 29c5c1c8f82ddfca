//! `cargo xtask tidy`: the invariants of ARCHITECTURE.md that no compiler and no lint checks.
//!
//! Each is a function from the files to what violates it, so that each is tested on a file made up for it.

mod source;
mod imports;
mod safety;
mod length;
mod modules;
mod reasons;
mod compatibility;
mod tests_are_sentences;
mod places;
mod flip_word;

use std::fmt::{self, Display};

use anyhow::{Result, bail};
use source::File;

use crate::setup::{self, Group};
use crate::workspace;

/// Something that is not as it must be, as `path:line: what`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    /// Counted from 1; 0 when the file as a whole is meant.
    line: usize,
    what: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// An invariant: its name, and what of the files violates it.
type Invariant = (&'static str, fn(&[File]) -> Vec<Violation>);

const INVARIANTS: [Invariant; 8] = [
    ("crates and clocks are named only where they belong", imports::check),
    ("every unsafe block says why it is sound", safety::check),
    ("no file is longer than a reader's patience", length::check),
    ("every source file is part of its crate", modules::check),
    ("every Reason is explained", reasons::check),
    (
        "every behaviour of kube-proxy that is listed has a test, and is on the page",
        compatibility::check,
    ),
    (
        "tests are sentences, do not sleep and are not skipped",
        tests_are_sentences::check,
    ),
    ("no file knows one machine's folders", places::check),
];

/// Checks all invariants and prints each with what violates it.
///
/// # Errors
/// As [`check`], or what is missing to build the kernel programs.
pub(crate) fn command() -> Result<()> {
    setup::require(&[Group::Build])?;
    check()
}

/// As [`command`], for the test floors, which have set the machine up.
///
/// # Errors
/// How many invariants are violated, or that the checkout cannot be read; the violations are on the terminal.
pub(crate) fn check() -> Result<()> {
    let files = source::read(workspace::root())?;
    let mut violated = 0;
    for (name, invariant) in INVARIANTS {
        let violations: Vec<_> = invariant(&files).iter().map(ToString::to_string).collect();
        violated += usize::from(!report(name, &violations));
    }
    let flip_word = flip_word::check().err().map(|error| format!("{error:#}"));
    violated += usize::from(!report("the flip word is read by one load", flip_word.as_slice()));
    if violated > 0 {
        bail!("{violated} invariants are violated");
    }
    Ok(())
}

/// Prints an invariant with its violations; says whether it holds.
fn report(name: &str, violations: &[String]) -> bool {
    println!(
        "tidy: {name} ... {}",
        if violations.is_empty() { "ok" } else { "VIOLATED" }
    );
    violations.iter().for_each(|violation| println!("  {violation}"));
    violations.is_empty()
}
