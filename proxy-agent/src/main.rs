//! The command `fairlead`.

use std::process::ExitCode;

use clap::Parser as _;
use proxy_agent::cli::{Cli, execute, usage};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::complain(&error),
    };
    execute(&cli).unwrap_or_else(|error| {
        eprintln!("fairlead: {error}");
        ExitCode::from(error.exit_code())
    })
}
