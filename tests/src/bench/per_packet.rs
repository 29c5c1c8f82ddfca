//! What the programs themselves take for a packet, by the kernel's test-run: of Fairlead alone, since rules have no such
//! thing.

use anyhow::Result;

use super::peer::Peer;
use super::plan::Options;
use crate::cost::figures::Cost;
use crate::cost::packets;
use crate::measure::results::{Metric, Results, Subject};

/// The case's name in the results.
pub(super) const CASE: &str = "packet-cost";

/// Measures every kind of packet with the smallest and the largest number of Services.
///
/// # Errors
/// When the programs cannot be loaded.
pub(super) fn measure(options: &Options, results: &mut Results) -> Result<()> {
    let ends = [options.services.first(), options.services.last()];
    let mut services: Vec<u32> = ends.into_iter().flatten().copied().collect();
    services.dedup();
    let mut plan = packets::Plan {
        services,
        ..packets::Plan::default()
    };
    if options.quick {
        plan.rounds = plan.rounds.min(3);
    }
    for cost in packets::measure(&plan)?.costs {
        let subject = subject(&cost);
        for (name, unit, value) in [
            ("time", "ns", cost.nanoseconds),
            ("multiple", "hash look-ups", cost.multiple),
        ] {
            let metric = Metric::lower(name, unit);
            results.add(&subject, &metric, Peer::Fairlead.name(), value);
        }
    }
    Ok(())
}

fn subject(cost: &Cost) -> Subject {
    let name = &cost.name;
    Subject {
        case: CASE.to_owned(),
        path: format!("{}, {}, {}", name.case, name.hook, name.protocol),
        family: name.family.clone(),
        host: String::new(),
        services: cost.services,
        endpoints: 0,
        flows: 0,
        position: String::new(),
    }
}
