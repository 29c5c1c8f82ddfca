//! The demonstration; see `tests::demo`. `cargo xtask demo` sets up and builds what it needs and starts it.

use std::process::ExitCode;

use clap::Parser;
use tests::demo;

/// A two-node cluster of network namespaces on this machine, real traffic through it, and what came of it.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Arguments {
    /// Leave the cluster up at the end and say how to use it
    #[arg(long)]
    keep: bool,
    /// Only remove a cluster that was left up
    #[arg(long, conflicts_with = "keep")]
    down: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.down {
        demo::down()
    } else {
        demo::run(arguments.keep)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
