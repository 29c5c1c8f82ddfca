//! The tool that measures what packets cost: that it measures what it says. How long anything takes is not judged here.

use std::collections::BTreeSet;

use tests::cost::packets::{Plan, measure};

/// A packet that takes another way than its case is named for ends the measuring with an error.
#[test]
fn every_measured_packet_takes_the_way_that_its_case_is_named_for() {
    let plan = Plan {
        runs: 40,
        rounds: 2,
        services: vec![0, 4, 400],
        smaller: 16,
    };
    let figures = measure(&plan).unwrap_or_else(|error| panic!("{error:#}"));
    let measured: BTreeSet<_> = figures.costs.iter().map(|cost| (&cost.name, cost.services)).collect();
    assert_eq!(
        measured.len(),
        figures.costs.len(),
        "each case once with each number of Services"
    );
    for cost in &figures.costs {
        assert!(cost.packets >= 40, "{cost:?}");
        assert!(cost.nanoseconds.is_finite() && cost.multiple.is_finite(), "{cost:?}");
        let grows = figures.growth(&cost.name).is_some();
        assert!(
            grows || cost.services == 0 || cost.name.case.starts_with("plain"),
            "{cost:?}"
        );
    }
}
