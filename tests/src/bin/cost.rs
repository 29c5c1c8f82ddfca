//! What a packet costs; see `tests::cost`. Needs root.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tests::cost::{Figures, look_ups, packets, parts, traffic, verified};

/// Measures what packets cost in the programs, as a multiple of one hash look-up.
#[derive(Debug, Parser)]
#[command(name = "cost")]
struct Arguments {
    /// How often each packet is sent in one round
    #[arg(long, default_value_t = packets::Plan::default().runs, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    runs: u32,
    /// Rounds, of which the median is taken
    #[arg(long, default_value_t = packets::Plan::default().rounds, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// How many Services there are, several numbers with commas between them
    #[arg(long, value_delimiter = ',', default_values_t = packets::Plan::default().services,
        value_parser = clap::value_parser!(u32).range(0..=60_000))]
    services: Vec<u32>,
    /// Measure real traffic, too: it needs `fairlead` and `peer`, and takes a minute more
    #[arg(long)]
    traffic: bool,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments).and_then(|figures| print(&figures, arguments.json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cost: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<Figures> {
    Ok(Figures {
        packets: Some(packets::measure(&packets::Plan {
            runs: arguments.runs,
            rounds: arguments.rounds,
            services: arguments.services.clone(),
            ..packets::Plan::default()
        })?),
        traffic: arguments
            .traffic
            .then(|| traffic::measure(&traffic::Plan::default()))
            .transpose()?,
        look_ups: look_ups::count()?,
        parts: parts::measure()?,
        verified: verified::measure()?,
    })
}

fn print(figures: &Figures, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(figures)?);
    } else {
        print!("{figures}");
    }
    Ok(())
}
