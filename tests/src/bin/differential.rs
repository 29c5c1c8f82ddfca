//! Compares Fairlead with kube-proxy, answer by answer; see `tests::differential`. Needs root and what `cargo xtask setup`
//! builds.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tests::cluster::remove_own_worlds;
use tests::differential::run::{Outcome, Plan, run};
use tests::differential::settings::Against;
use tests::interrupt::clean_up_on_interrupt;

/// Draws Services by a seed and dials them beside kube-proxy and beside Fairlead: every answer must be the same.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask differential", bin_name = "cargo xtask differential")]
struct Arguments {
    /// How many Services to draw
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    cases: u32,
    /// What they are drawn from; the same seed draws the same Services
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The mode of kube-proxy
    #[arg(long, value_enum, default_value = "nftables")]
    mode: Against,
    /// Show the Services that differ as they were drawn, not the simplest that differ in the same way
    #[arg(long)]
    as_drawn: bool,
}

fn main() -> ExitCode {
    let Arguments {
        cases,
        seed,
        mode,
        as_drawn,
    } = Arguments::parse();
    let plan = Plan {
        against: mode,
        cases: cases as usize,
        seed,
        simplify: !as_drawn,
    };
    match compare(plan) {
        Ok(outcome) if outcome.found.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("differential: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compare(plan: Plan) -> Result<Outcome> {
    clean_up_on_interrupt("removing the namespaces", remove_own_worlds)?;
    let outcome = run(plan, |line| println!("{line}"))?;
    println!(
        "seed {}, {:?}: {} Services, {} probes, {} kinds of differences",
        plan.seed,
        plan.against,
        outcome.cases,
        outcome.probes,
        outcome.found.len()
    );
    Ok(outcome)
}
