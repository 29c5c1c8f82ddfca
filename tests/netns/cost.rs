//! The tool that measures what packets cost, on real traffic: that it measures what it says.

use anyhow::Result;
use tests::cost::traffic::{Plan, measure};

/// Packets that take another way than their talk is named for end the measuring with an error. Times are not judged.
#[test]
fn every_measured_talk_takes_the_way_that_it_is_named_for() -> Result<()> {
    let plan = Plan {
        exchanges: 50,
        rounds: 1,
        services: vec![2, 40],
    };
    let figures = measure(&plan)?;
    assert_eq!(
        figures.costs.len(),
        64,
        "four talks, two families, two protocols, two hooks, two numbers of Services"
    );
    for cost in &figures.costs {
        assert!(cost.nanoseconds.is_finite() && cost.empty > 0.0, "{cost:?}");
        let counted: u64 = cost.counted.values().sum();
        // What comes between two looks, a neighbour's question say, is in one of them only.
        assert!(cost.packets >= 20 && counted.abs_diff(cost.packets) < 20, "{cost:?}");
    }
    Ok(())
}
