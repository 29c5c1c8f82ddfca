//! `cargo xtask`: what one does with a checkout. One enum, one module a command.
//!
//! This crate runs before anything else can be built, so it depends on nothing of the workspace and on little else.

mod setup;
mod build;
mod test;
mod vm;
mod tidy;
mod compatibility;
mod deny;
mod demo;
mod program;
mod bench;
mod differential;
mod process;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Set-up, build, test and demonstration of Fairlead.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Install what this machine lacks; says what before it does, and does nothing when nothing is missing
    Setup {
        /// What to prepare for; everything if none is named
        #[arg(value_enum)]
        groups: Vec<setup::Group>,
    },
    /// Build the agent, kernel programs inside, as target/release/fairlead
    Build,
    /// Run all test floors, or one; ends with one line `N passed, N failed`
    Test {
        /// The floor to run; all of them if none is named
        #[arg(value_enum)]
        floor: Option<test::Floor>,
        /// Run only the tests whose names contain this
        filter: Option<String>,
    },
    /// Check the invariants that no compiler and no lint checks
    Tidy,
    /// Write docs/kube-proxy-compatibility.md: what kube-proxy does, what Fairlead does, and the tests that show it
    Compatibility,
    /// Make a two-node cluster of network namespaces, send real traffic through it, clean up
    Demo {
        /// Leave the cluster up and say how to use it
        #[arg(long)]
        keep: bool,
        /// Only remove a cluster that was left up
        #[arg(long, conflicts_with = "keep")]
        down: bool,
    },
    /// Measure Fairlead side by side with kube-proxy, or compare two such runs; `bench --help` says more
    #[command(disable_help_flag = true)]
    Bench {
        /// Flags of the comparison
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Compare the answers of Fairlead with those of kube-proxy, Service by Service; `differential --help` says more
    #[command(disable_help_flag = true)]
    Differential {
        /// Flags of the comparison
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Task::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Setup { groups } => setup::command(&groups).map(|()| ExitCode::SUCCESS),
        Task::Build => build::command().map(|()| ExitCode::SUCCESS),
        Task::Test { floor, filter } => test::command(floor, filter.as_deref()),
        Task::Tidy => tidy::command().map(|()| ExitCode::SUCCESS),
        Task::Compatibility => compatibility::command().map(|()| ExitCode::SUCCESS),
        Task::Demo { keep, down } => demo::command(keep, down),
        Task::Bench { arguments } => bench::command(&arguments),
        Task::Differential { arguments } => differential::command(&arguments),
    }
}
