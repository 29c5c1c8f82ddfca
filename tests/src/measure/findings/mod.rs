//! One page in plain words: what a run says, what it does not, and what is wrong with it.

mod control;
mod modes;
mod scale;

use super::analysis::Analysis;
use super::document::{self, Block};
use super::results::{Entrant, Kind, Results, State};
use super::statistics::ENOUGH;

/// How far the ceiling may be from itself before the page begins with it.
pub const CONTROL_LIMIT: f64 = 0.03;

/// The page, as text for a terminal.
pub fn page(results: &Results) -> String {
    document::text(&blocks(&Analysis::of(results)))
}

/// Modes that took part and have no figure, by name: a run with one has failed.
pub fn missing_rows(results: &Results) -> Vec<String> {
    let measured = results.peers.iter().filter(|peer| peer.state == State::Measured);
    let without = measured.filter(|peer| {
        results
            .series
            .iter()
            .all(|series| series.samples(&peer.name).is_empty())
    });
    without.map(|peer| peer.name.clone()).collect()
}

/// The page.
pub fn blocks(analysis: &Analysis<'_>) -> Vec<Block> {
    let mut blocks = warnings(analysis);
    blocks.push(Block::Heading("Findings".to_owned()));
    blocks.extend(list("Not measured:", absent(analysis.results)));
    blocks.push(Block::Text(control::sentence(analysis)));
    for at in analysis.peers_of(Kind::Fairlead) {
        blocks.push(Block::Text(modes::summary(analysis, at, true)));
    }
    blocks.extend(list(SCALE, scale::sentences(analysis)));
    blocks.push(Block::Part("Case by case".to_owned()));
    blocks.push(Block::Text(HOW_TO_READ.to_owned()));
    blocks.push(Block::Table(modes::case_by_case(analysis, true)));
    let each = modes::each_mode(analysis);
    if !each.rows.is_empty() {
        blocks.push(Block::Folded(
            "Against each kube-proxy mode".to_owned(),
            vec![Block::Table(each)],
        ));
    }
    let percentiles = modes::case_by_case(analysis, false);
    if !percentiles.rows.is_empty() {
        blocks.push(Block::Part("Latencies of the same cases".to_owned()));
        let modes = analysis.peers_of(Kind::Fairlead).into_iter();
        blocks.push(Block::List(
            modes.map(|at| modes::summary(analysis, at, false)).collect(),
        ));
        blocks.push(Block::Folded(
            "Latencies, case by case".to_owned(),
            vec![Block::Table(percentiles)],
        ));
    }
    blocks
}

const SCALE: &str = "What is left of a rate where there is much, as a share of direct's in the same rounds:";

const HOW_TO_READ: &str = "Each line sums up all places of a case: its paths, address families, numbers of services and \
positions. Ratios are the median of the mode to that of the other, from the smallest to the largest place: of a rate, \
more is better, of a time or a size, less. Won, lost and not shown count the places by the verdict against the best \
kube-proxy mode of each place.";

fn list(title: &str, points: Vec<String>) -> Vec<Block> {
    match points.is_empty() {
        true => Vec::new(),
        false => vec![Block::Text(title.to_owned()), Block::List(points)],
    }
}

/// What is wrong with the run.
fn warnings(analysis: &Analysis<'_>) -> Vec<Block> {
    let results = analysis.results;
    let mut said = Vec::new();
    if !results.run.complete {
        said.push("This run is incomplete: not everything that was planned has been measured.".to_owned());
    }
    said.extend(control::warning(analysis));
    let failed = results
        .peers
        .iter()
        .filter(|peer| matches!(peer.state, State::Failed(_)));
    let failed: Vec<_> = failed.map(|peer| &peer.name[..]).collect();
    if !failed.is_empty() {
        said.push(format!(
            "Failed, and without figures or with some alone: {}.",
            failed.join(", ")
        ));
    }
    let missing = missing_rows(results);
    if !missing.is_empty() {
        said.push(format!("Took part and has no figure: {}.", missing.join(", ")));
    }
    if (1..ENOUGH).contains(&usize::try_from(results.run.rounds).unwrap_or(ENOUGH)) {
        said.push(format!(
            "Only {} rounds: below {ENOUGH} the intervals contain the true value less often than they say.",
            results.run.rounds
        ));
    }
    said.into_iter().map(Block::Warning).collect()
}

/// Peers without figures and why.
fn absent(results: &Results) -> Vec<String> {
    let why = |peer: &Entrant| match &peer.state {
        State::Measured => None,
        State::Absent(why) => Some(format!("{}: absent, {why}", peer.name)),
        State::Failed(why) => Some(format!("{}: failed, {why}", peer.name)),
    };
    results.peers.iter().filter_map(why).collect()
}
