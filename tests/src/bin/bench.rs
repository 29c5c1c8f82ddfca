//! Fairlead beside kube-proxy; see `tests::bench`. `cargo xtask bench` sets up and builds what it needs and starts it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use tests::bench::case::Case;
use tests::bench::live::that_fit;
use tests::bench::peer::Peer;
use tests::bench::plan::{MOST_ENDPOINTS, MOST_FLOWS, Options};
use tests::bench::run::run;
use tests::measure::compare::compare;
use tests::measure::results::Results;
use tests::measure::{findings, report};

/// Measures Fairlead side by side with kube-proxy in all its modes, on the same machine, nodes, pods and Services.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Task>,
    #[command(flatten)]
    options: Flags,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Say what is slower and what is faster in a second run than in a first
    Compare {
        /// The results.json of the first run
        old: PathBuf,
        /// The results.json of the second run
        new: PathBuf,
    },
    /// Write the report of a run again, also of one that was stopped
    Report {
        /// The folder of the run
        folder: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Flags {
    /// A little of everything, in less than ten minutes
    #[arg(long)]
    quick: bool,
    /// Who takes part; everyone if none is named
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Numbers of Services [default: 1,100,1000,10000,30000; with --quick 100]; kube-proxy takes part up to 10000
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=30_000))]
    services: Vec<u32>,
    /// Endpoints of each Service
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    endpoints: u32,
    /// Numbers of endpoints of one Service [default: 1,100,1000,10000; with --quick none, or 1,1000 if the case is named]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_ENDPOINTS)))]
    many_endpoints: Vec<u32>,
    /// Numbers of live flows [default: 1,1000,100000,1000000; with --quick none, or 1,10000 if the case is named]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_FLOWS)))]
    many_flows: Vec<u32>,
    /// What is measured; everything if nothing is named
    #[arg(long, value_delimiter = ',', value_parser = asked)]
    cases: Vec<Asked>,
    /// Where the report goes
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

/// Something to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Load(Case),
    /// How soon agents start and follow, and what they take for it
    Agents,
    /// What the programs take for each kind of packet
    Packets,
}

fn asked(text: &str) -> Result<Asked, String> {
    match text {
        "agents" => return Ok(Asked::Agents),
        "packets" => return Ok(Asked::Packets),
        _ => {}
    }
    Case::from_str(text, false).map(Asked::Load).map_err(|_| {
        let names = Case::value_variants().iter().filter_map(Case::to_possible_value);
        let names: Vec<String> = names.map(|value| value.get_name().to_owned()).collect();
        format!("no such case; there are {}, agents, packets", names.join(", "))
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Some(Task::Compare { old, new }) => compare_files(&old, &new),
        Some(Task::Report { folder }) => write_report(&folder),
        None => run(&arguments.options.into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl From<Flags> for Options {
    fn from(flags: Flags) -> Self {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let numbers = |mut asked: Vec<u32>, quick: &[u32], full: &[u32]| {
            if asked.is_empty() {
                asked = if flags.quick { quick } else { full }.to_vec();
            }
            asked.sort_unstable();
            asked.dedup();
            asked
        };
        let services = numbers(flags.services, &[100], &[1, 100, 1000, 10_000, 30_000]);
        // A quick run has no time for them beside the rest.
        let named = |case, few: &'static [u32]| match flags.cases.contains(&Asked::Load(case)) {
            true => few,
            false => &[],
        };
        let quick = named(Case::ManyEndpoints, &[1, 1000]);
        let many_endpoints = numbers(flags.many_endpoints, quick, &[1, 100, 1000, 10_000]);
        let quick = named(Case::ManyFlows, &[1, 10_000]);
        let are_asked_for = !flags.many_flows.is_empty();
        let many_flows = numbers(flags.many_flows, quick, &[1, 1000, 100_000, 1_000_000]);
        let all = |named: Vec<Peer>| if named.is_empty() { Peer::ALL.to_vec() } else { named };
        let everything = flags.cases.is_empty();
        let loads = flags.cases.iter().filter_map(|asked| match asked {
            Asked::Load(case) => Some(*case),
            Asked::Agents | Asked::Packets => None,
        });
        let cases = if everything {
            Case::value_variants().to_vec()
        } else {
            loads.collect()
        };
        let peers = all(flags.peers);
        let is_measured = everything || cases.contains(&Case::ManyFlows);
        let many_flows = match are_asked_for || !is_measured {
            true => many_flows,
            false => that_fit(many_flows, &peers),
        };
        Self {
            quick: flags.quick,
            peers,
            services,
            endpoints: flags.endpoints,
            many_endpoints,
            many_flows,
            cases,
            agents: everything || flags.cases.contains(&Asked::Agents),
            packets: everything || flags.cases.contains(&Asked::Packets),
            out: flags.out,
            command: format!("cargo xtask bench {}", words.join(" ")).trim_end().to_owned(),
        }
    }
}

/// Whether nothing has become worse.
fn compare_files(old: &Path, new: &Path) -> Result<bool> {
    let comparison = compare(&Results::load(old)?, &Results::load(new)?);
    println!("{comparison}");
    Ok(!comparison.has_regressions())
}

fn write_report(folder: &Path) -> Result<bool> {
    let results = Results::load(&folder.join("results.json"))?;
    report::write(&results, folder)?;
    println!("{}", findings::page(&results));
    Ok(true)
}
