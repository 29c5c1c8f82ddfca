//! Tools that are Rust programs from the registry, each in the version that was tried.

use std::process::Command;

use super::{Group, Step};
use crate::process;

struct Tool {
    group: Group,
    name: &'static str,
    version: &'static str,
    minutes: &'static str,
}

const TOOLS: [Tool; 2] = [
    // The last release that links with LLVM 22, which the compilers this project builds with bring.
    Tool {
        group: Group::Build,
        name: "bpf-linker",
        version: "0.10.3",
        minutes: "1 minute",
    },
    Tool {
        group: Group::Checks,
        name: "cargo-deny",
        version: "0.20.2",
        minutes: "2 to 3 minutes",
    },
];

/// A step for each tool of the group that does not run.
pub(super) fn missing(group: Group) -> impl Iterator<Item = Step> {
    TOOLS
        .iter()
        .filter(move |tool| tool.group == group && !runs(tool))
        .map(step)
}

/// Whether there is one; of another version it is a choice of whoever installed it.
fn runs(tool: &Tool) -> bool {
    process::output(Command::new(tool.name).arg("--version")).is_ok()
}

fn step(tool: &'static Tool) -> Step {
    Step {
        group: tool.group,
        what: format!("cargo install {} {} ({})", tool.name, tool.version, tool.minutes),
        install: Box::new(|| {
            let mut cargo = process::cargo();
            process::run(cargo.args(["install", tool.name, "--version", tool.version, "--locked", "--force"]))
        }),
    }
}
