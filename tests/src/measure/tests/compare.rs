use rstest::rstest;

use super::fixture::{self, PLAN, Plan};
use crate::measure::compare::{Basis, Comparison, Direction, compare};
use crate::measure::results::Results;

/// A run with this seed; of other seeds the noise is another.
fn run(seed: u64, slower: Option<(&'static str, f64)>) -> Results {
    let mut results = fixture::results(Plan {
        seed,
        slower,
        cases: 4,
        ..PLAN
    });
    results.series.retain(|series| series.subject.services < 1000);
    results
}

fn peers(comparison: &Comparison, direction: Direction) -> Vec<&str> {
    let mut peers: Vec<_> = comparison.flagged(direction).map(|change| &change.peer[..]).collect();
    peers.sort_unstable();
    peers.dedup();
    peers
}

#[rstest]
fn a_rerun_stays_silent(#[values(2, 3, 4, 5)] seed: u64) {
    let comparison = compare(&run(1, None), &run(seed, None));
    assert!(
        comparison.flagged(Direction::Regression).next().is_none(),
        "{comparison}"
    );
    assert!(
        comparison.flagged(Direction::Improvement).next().is_none(),
        "{comparison}"
    );
    assert!(
        comparison.only_old.is_empty() && comparison.only_new.is_empty(),
        "{comparison}"
    );
    assert!(!comparison.has_regressions());
}

#[rstest]
#[case::slower(1.1, Direction::Regression, Direction::Improvement)]
#[case::faster(1.0 / 1.1, Direction::Improvement, Direction::Regression)]
fn a_tenth_is_flagged_in_rates_times_and_sizes(
    #[case] factor: f64,
    #[case] expected: Direction,
    #[case] never: Direction,
    #[values(2, 3)] seed: u64,
) {
    let comparison = compare(&run(1, None), &run(seed, Some(("fairlead", factor))));
    assert_eq!(peers(&comparison, expected), ["fairlead"], "{comparison}");
    assert!(peers(&comparison, never).is_empty(), "{comparison}");
    let flagged = |metric: &str| {
        let is_it = |change: &&crate::measure::compare::Change| change.metric.name == metric;
        comparison
            .flagged(expected)
            .filter(is_it)
            .filter(|change| change.subject.is_none())
            .count()
    };
    assert!(
        flagged("rate") > 0 && flagged("p50") > 0 && flagged("peak memory") > 0,
        "{comparison}"
    );
    assert_eq!(comparison.has_regressions(), expected == Direction::Regression);
}

#[test]
fn a_slower_machine_is_no_regression() {
    let mut new = run(2, None);
    let slower = |sample: &mut f64| *sample *= 0.7;
    let rates = new.series.iter_mut().filter(|series| series.metric.name == "rate");
    rates
        .flat_map(|series| &mut series.values)
        .flat_map(|values| &mut values.samples)
        .for_each(slower);
    let comparison = compare(&run(1, None), &new);
    assert!(!comparison.has_regressions(), "{comparison}");
    let rate = comparison
        .rows
        .iter()
        .find(|row| row.metric.name == "rate")
        .expect("a rate");
    assert_eq!(rate.basis, Basis::ToDirect);
    let memory = comparison
        .rows
        .iter()
        .find(|row| row.metric.name == "peak memory")
        .expect("a size");
    assert_eq!(memory.basis, Basis::Plain, "it has no direct");
}

#[test]
fn what_only_one_run_has_is_listed() {
    let (mut old, mut new) = (run(1, None), run(2, None));
    old.series.retain(|series| series.subject.case != "memory");
    new.series
        .iter_mut()
        .for_each(|series| series.values.retain(|values| values.peer != "nftables"));
    new.series[0].metric.unit = "connections/min".to_owned();
    let comparison = compare(&old, &new);
    let text = comparison.to_string();
    let (_, text) = text
        .split_once("Only in the old run")
        .expect("what only the old run has");
    let (in_old, in_new) = text
        .split_once("Only in the new run")
        .expect("what only the new run has");
    assert!(
        in_old.contains("nftables: change p50, 4 places") && !in_old.contains("memory"),
        "{in_old}"
    );
    assert!(
        in_old.contains("direct: node-port rate, "),
        "another unit is another thing: {in_old}"
    );
    assert!(in_new.contains("fairlead: memory peak memory, 4 places"), "{in_new}");
}

#[test]
fn one_round_is_too_few() {
    let one = |seed| {
        let mut results = fixture::results(Plan {
            seed,
            rounds: 1,
            cases: 1,
            ..PLAN
        });
        results.series.truncate(1);
        results
    };
    let comparison = compare(&one(1), &one(2));
    assert!(
        comparison.rows.iter().all(|row| row.direction == Direction::TooFew),
        "{comparison}"
    );
    assert!(comparison.to_string().contains("too few rounds"), "{comparison}");
}

#[test]
fn another_machine_is_named() {
    let mut new = run(2, None);
    new.machine.facts[0].1 = "6.99.0".to_owned();
    new.run.complete = false;
    let text = compare(&run(1, None), &new).to_string();
    assert!(
        text.contains("Not the same machine: kernel was 6.18.0 and is 6.99.0."),
        "{text}"
    );
    assert!(text.contains("The new run is incomplete."), "{text}");
}
