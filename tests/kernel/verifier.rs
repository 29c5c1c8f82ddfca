//! Every program loads, and the verifier does not have to look at more than a recorded number of instructions.

use crate::programs::Programs;
use proxy_agent::datapath::load::{CLASSIFIERS, EXPLAIN, SOCKET_HOOKS};

/// How many instructions the verifier may look at. The limit of the kernel is a million; what comes near it fails on
/// another kernel, and takes long to load on each.
const BUDGET: u32 = 500_000;

#[test]
fn every_program_loads_within_its_budget() {
    let without_link = ["ingress_l3", "egress_l3"];
    let names = [&CLASSIFIERS[..], &without_link, &SOCKET_HOOKS, &[EXPLAIN]].concat();
    let programs = Programs::load(&names).unwrap_or_else(|error| panic!("{error:#}"));
    for name in names {
        let info = programs.aya(name).info().expect("a loaded program");
        let looked_at = info.verified_instruction_count();
        println!(
            "{name}: {looked_at:?} instructions verified, {} bytes translated, {:?}",
            info.size_translated().unwrap_or_default(),
            info.size_jitted()
        );
        assert!(looked_at.is_some_and(|count| count < BUDGET), "{name}: {looked_at:?}");
    }
}
