//! A part of the comparison with kube-proxy that `cargo xtask differential` makes at any size.

use anyhow::{Result, ensure};
use rstest::rstest;
use tests::differential::run::{Plan, run};
use tests::differential::settings::Against;

/// Services, under two of the configurations.
const CASES: usize = 16;

#[rstest]
fn drawn_services_are_answered_as_kube_proxy_answers_them(
    #[values(Against::Nftables, Against::Iptables)] against: Against,
) -> Result<()> {
    let plan = Plan {
        against,
        cases: CASES,
        seed: 1,
        simplify: false,
    };
    let outcome = run(plan, |line| println!("{line}"))?;
    ensure!(outcome.cases == CASES && outcome.probes > 10 * CASES, "{outcome:?}");
    ensure!(outcome.found.is_empty(), "{} kinds of differences", outcome.found.len());
    Ok(())
}
