//! The command `fairlead`.

use std::process::ExitCode;

use clap::Parser as _;
use proxy_agent::cli::{Cli, execute};

fn main() -> ExitCode {
    let cli = Cli::parse();
    execute(&cli).unwrap_or_else(|error| {
        eprintln!("fairlead: {error}");
        ExitCode::from(error.exit_code())
    })
}
