//! The report, chapter by chapter.

use anyhow::Result;

use super::{Analysis, HEADLINE_HOST, losses, method, plots, tables};
use crate::measure::analysis::unique;
use crate::measure::document::{Block, Grid};
use crate::measure::findings;
use crate::measure::results::{Entrant, Kind, State};
use crate::measure::words;

/// What stands above everything.
pub(super) const TITLE: &str = "Fairlead and kube-proxy, side by side";

/// The report without drawings, and with the tables of the headlines alone: small enough for a code host to show.
pub(super) fn brief(analysis: &Analysis<'_>) -> Vec<Block> {
    let mut blocks = beginning(analysis);
    let (shown, left): (Vec<_>, Vec<_>) = tables::hosts(analysis)
        .into_iter()
        .partition(|host| matches!(*host, "" | HEADLINE_HOST));
    let (shown, left) = if shown.is_empty() { (left, shown) } else { (shown, left) };
    shown
        .iter()
        .for_each(|host| blocks.extend(tables::chapter(analysis, host, true)));
    let left = match left.is_empty() {
        true => String::new(),
        false => format!(" and of the other hosts ({})", left.join(", ")),
    };
    blocks.push(Block::Text(format!(
        "Drawings, and the tables of latencies{left}, are in report.html; every sample is in results.csv."
    )));
    blocks.extend(end(analysis));
    blocks
}

/// The whole report.
pub(super) fn full(analysis: &Analysis<'_>) -> Result<Vec<Block>> {
    let mut blocks = beginning(analysis);
    blocks.extend(plots::chapter(analysis)?);
    for host in tables::hosts(analysis) {
        blocks.extend(tables::chapter(analysis, host, false));
    }
    blocks.extend(end(analysis));
    Ok(blocks)
}

/// Findings, what was lost, and what was compared.
fn beginning(analysis: &Analysis<'_>) -> Vec<Block> {
    let mut blocks = findings::blocks(analysis);
    blocks.extend(losses::chapter(analysis));
    let results = analysis.results;
    blocks.push(Block::Heading("What was compared".to_owned()));
    blocks.push(Block::Table(Grid {
        head: vec!["peer", "stands for", "what it is", "state"],
        rows: results.peers.iter().map(peer).collect(),
    }));
    blocks.push(Block::Table(Grid {
        head: vec!["case", "measured", "where", "with", "hosts"],
        rows: analysis
            .cases()
            .into_iter()
            .map(|case| measured(analysis, case))
            .collect(),
    }));
    blocks
}

/// The method, the machine and how to repeat it.
fn end(analysis: &Analysis<'_>) -> Vec<Block> {
    let results = analysis.results;
    let mut blocks = method::chapter(results);
    blocks.push(Block::Heading("The machine".to_owned()));
    let fact = |(name, value): &(String, String)| vec![name.clone(), value.clone()];
    blocks.push(Block::Table(Grid {
        head: vec!["fact", "value"],
        rows: results.machine.facts.iter().map(fact).collect(),
    }));
    blocks.push(Block::Heading("How to repeat it".to_owned()));
    blocks.push(Block::Text(format!(
        "As root, in a checkout of {}:",
        results.run.version
    )));
    blocks.push(Block::Code(results.run.command.clone()));
    blocks.push(Block::Text(
        "Two runs are compared by `cargo xtask bench compare OLD.json NEW.json`. docs/benchmarks/SCHEMA.md describes \
         results.json."
            .to_owned(),
    ));
    blocks
}

fn peer(peer: &Entrant) -> Vec<String> {
    let kind = match peer.kind {
        Kind::Ceiling => "the ceiling",
        Kind::Control => "the control",
        Kind::KubeProxy => "kube-proxy",
        Kind::Fairlead => "Fairlead",
    };
    let state = match &peer.state {
        State::Measured => "measured".to_owned(),
        State::Absent(why) => format!("absent: {why}"),
        State::Failed(why) => format!("failed: {why}"),
    };
    vec![peer.name.clone(), kind.to_owned(), peer.title.clone(), state]
}

/// What a case consisted of.
fn measured(analysis: &Analysis<'_>, case: &str) -> Vec<String> {
    let of_case: Vec<_> = analysis
        .tables
        .iter()
        .filter(|series| series.subject.case == case)
        .collect();
    let metrics = of_case
        .iter()
        .map(|series| format!("{} ({})", series.metric.name, series.metric.unit));
    let paths = unique(of_case.iter().map(|series| &series.subject.path[..]));
    let sides = of_case
        .iter()
        .flat_map(|series| [&series.subject.family[..], &series.subject.position]);
    let sides: Vec<_> = unique(sides).into_iter().filter(|side| !side.is_empty()).collect();
    let along = analysis.dimension(case);
    let mut numbers = unique(of_case.iter().map(|series| along.number(series.subject)));
    numbers.sort_unstable();
    let numbers: Vec<_> = numbers.iter().map(|number| words::figure(f64::from(*number))).collect();
    let hosts = unique(of_case.iter().map(|series| &series.subject.host[..]));
    vec![
        case.to_owned(),
        unique(metrics).join(", "),
        format!("{} ({})", paths.join("; "), sides.join(", ")),
        format!("{} {}", numbers.join(", "), along.name()),
        hosts.join(", "),
    ]
}
