//! Many Services, as many as a test command has time for; the program `scale` measures more.

use anyhow::Result;
use tests::scale::{Scale, measure};

/// What an agent may take of a node's memory, whatever it has to do.
const MEMORY: u64 = 100_000_000;

#[test]
fn a_thousand_services_are_followed_in_time_and_in_little_memory() -> Result<()> {
    let figures = measure(Scale {
        services: 1_000,
        endpoints: 4,
        changes: 100,
    })?;
    println!("{figures}");
    assert!(figures.memory.high_water < MEMORY, "{figures}");
    assert_eq!(figures.written_by_second_start, 0, "{figures}");
    // The median, because the tail is that of a machine that also runs the server and the load.
    assert!(figures.event_to_maps.p50.as_micros() < 2_000, "{figures}");
    Ok(())
}
