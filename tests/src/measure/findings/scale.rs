//! What is left of each peer's rate where there is much of something.

use crate::measure::analysis::{Analysis, Table, unique};
use crate::measure::dimension::Dimension;
use crate::measure::results::Better;
use crate::measure::words;

/// A sentence for each dimension: of the first case that was measured against more than one number of it, at its place
/// with the most numbers.
pub(super) fn sentences(analysis: &Analysis<'_>) -> Vec<String> {
    let of_dimension = |wanted: Dimension| {
        let mut cases = analysis.cases().into_iter();
        cases.find_map(|case| sentence(analysis, case).filter(|_| analysis.dimension(case) == wanted))
    };
    Dimension::ALL.into_iter().filter_map(of_dimension).collect()
}

/// `many-flows rate, with 1 live flow and with 1,000,000 live flows: iptables-nft 0.81 and 0.62, ...; pod to ClusterIP, IPv4.`
fn sentence(analysis: &Analysis<'_>, case: &str) -> Option<String> {
    let along = analysis.dimension(case);
    let is_rate = |table: &&Table<'_>| {
        let metric = &table.metric;
        let is_rate = metric.better == Better::Higher && analysis.is_headline(case, metric);
        table.subject.case == case && is_rate && table.peers() > 1
    };
    let tables: Vec<_> = analysis.headline_tables().into_iter().filter(is_rate).collect();
    let route = |table: &Table<'_>| (words::route(table.subject, along), table.metric.name.clone());
    let of_route = |wanted: &(String, String)| {
        let mut found: Vec<_> = tables.iter().filter(|table| route(table) == *wanted).collect();
        found.sort_by_key(|table| along.number(table.subject));
        found
    };
    let places = unique(tables.iter().map(|table| route(table)));
    // Of several with as many, the first.
    let place = places.iter().rev().max_by_key(|place| of_route(place).len())?;
    let of_place = of_route(place);
    let [few, .., many] = of_place[..] else { return None };
    let left = |at: usize| {
        let share = |table: &Table<'_>| Some(words::ratio(table.rows[at].to_direct.as_ref()?.ratio?.value));
        let name = &analysis.results.peers[at].name;
        Some(format!("{name} {} and {}", share(few)?, share(many)?))
    };
    let all: Vec<_> = (0..analysis.results.peers.len()).filter_map(left).collect();
    if all.is_empty() {
        return None;
    }
    let number = |table: &Table<'_>| words::number(along, along.number(table.subject));
    Some(format!(
        "{case} {}, with {} and with {}: {}; {}.",
        few.metric.name,
        number(few),
        number(many),
        all.join(", "),
        place.0
    ))
}
