//! The figures of an agent with many Services; see `tests::scale`. Needs root and what `cargo xtask setup` builds.

use std::process::ExitCode;

use clap::Parser;
use tests::scale::{Scale, measure};

/// Starts an API server and an agent, fills the first with Services, and measures the second.
#[derive(Debug, Parser)]
#[command(name = "scale")]
struct Arguments {
    /// How many Services
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    services: u32,
    /// How many endpoints each of them has
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    endpoints: u32,
    /// How many changes to measure
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    changes: u32,
}

fn main() -> ExitCode {
    let Arguments {
        services,
        endpoints,
        changes,
    } = Arguments::parse();
    let scale = Scale {
        services: services as usize,
        endpoints: endpoints as usize,
        changes: changes as usize,
    };
    match measure(scale) {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("scale: {error:#}");
            ExitCode::FAILURE
        }
    }
}
