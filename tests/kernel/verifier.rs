//! Every program loads, and the verifier does not have to look at more than a recorded number of instructions.

use tests::kernel::programs::Programs;

/// How many instructions the verifier may look at. The kernel's limit is a million; what comes near it may be over it on
/// another kernel, and takes long to load on each. Linux 6.1 looks at most: at 526,000 of `ingress`.
const BUDGET: u32 = 560_000;

#[test]
fn every_program_loads_within_its_budget() {
    let programs = Programs::load_all().unwrap_or_else(|error| panic!("{error:#}"));
    let mut count = 0;
    for (name, program) in programs.all() {
        let info = program.info().expect("a loaded program");
        let looked_at = info.verified_instruction_count();
        let [translated, machine] = [info.size_translated().unwrap_or_default(), info.size_jitted()];
        println!("{name}: {looked_at:?} instructions verified, {translated} bytes, {machine} of machine code");
        assert!(
            looked_at.is_some_and(|looked_at| looked_at < BUDGET),
            "{name}: {looked_at:?}"
        );
        count += 1;
    }
    assert_eq!(
        count, 13,
        "four programs for devices, eight for sockets, and the one that explains"
    );
}
