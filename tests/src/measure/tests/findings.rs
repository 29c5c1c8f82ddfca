use rstest::rstest;

use super::fixture::{self, PLAN, Plan};
use crate::measure::findings::{missing_rows, page};
use crate::measure::results::{Results, State};

/// All cases at two numbers of services, without two of the percentiles: less to compute.
fn run() -> Results {
    let mut results = fixture::results(Plan { cases: 12, ..PLAN });
    results.series.retain(|series| {
        !matches!(&series.metric.name[..], "p50" | "p99.9") && matches!(series.subject.services, 1 | 10_000)
    });
    results
}

#[test]
fn a_sound_run_begins_with_its_findings() {
    let page = flat(&run());
    assert!(page.starts_with("Findings ==="), "{page}");
    for part in [
        "ipvs: absent, kernel has no IPVS",
        "Control: direct against itself is ",
        "fairlead-socket",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn the_findings_are_one_page() {
    let lines = page(&run()).lines().count();
    assert!(lines < 90, "{lines} lines");
}

#[rstest]
#[case::stopped(|results: &mut Results| results.run.complete = false, "WARNING: This run is incomplete")]
#[case::control(|results: &mut Results| scale(results, "control", "", 1.08), "WARNING: The control differs from 1 by more than 3.0 %: direct against itself is 1.0")]
#[case::control_of_a_case(|results: &mut Results| scale(results, "control", "udp-rr", 0.9), "WARNING: The control differs from 1 by more than 3.0 % in these cases, where differences of that size say nothing: udp-rr 0.9")]
#[case::failed(|results: &mut Results| fail(results, "nftables"), "WARNING: Failed, and without figures or with some alone: nftables.")]
#[case::missing(|results: &mut Results| remove(results, "fairlead"), "WARNING: Took part and has no figure: fairlead.")]
#[case::few(|results: &mut Results| results.run.rounds = 3, "WARNING: Only 3 rounds")]
fn what_is_wrong_with_a_run_stands_above_everything(#[case] spoil: fn(&mut Results), #[case] expected: &str) {
    let mut results = run();
    spoil(&mut results);
    let page = flat(&results);
    assert!(page.starts_with(expected), "{page}");
}

#[test]
fn a_loss_is_said_as_plainly_as_a_win() {
    let mut results = run();
    scale(&mut results, "fairlead-socket", "node-port", 0.3);
    let page = flat(&results);
    let (_, after) = page.split_once("fairlead-socket against").expect("what is said of it");
    assert!(
        after.contains("worse in 4,") && after.contains("Largest loss: rate of node-port, "),
        "{page}"
    );
    let (_, after) = page
        .split_once("node-port rate, more is better fairlead-socket")
        .expect("its line");
    assert!(after.contains(" 0 4 0 "), "{after}");
}

#[test]
fn a_mode_that_took_part_and_has_no_row_is_named() {
    let mut results = run();
    assert!(missing_rows(&results).is_empty(), "who is absent needs no row");
    remove(&mut results, "fairlead");
    assert_eq!(missing_rows(&results), ["fairlead"]);
}

/// As one line: where a page breaks is nothing to test.
fn flat(results: &Results) -> String {
    page(results).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn scale(results: &mut Results, peer: &str, case: &str, factor: f64) {
    for series in results
        .series
        .iter_mut()
        .filter(|series| case.is_empty() || series.subject.case == case)
    {
        for values in series.values.iter_mut().filter(|values| values.peer == peer) {
            values.samples.iter_mut().for_each(|sample| *sample *= factor);
        }
    }
}

fn remove(results: &mut Results, peer: &str) {
    results
        .series
        .iter_mut()
        .for_each(|series| series.values.retain(|values| values.peer != peer));
}

fn fail(results: &mut Results, name: &str) {
    remove(results, name);
    let peer = results.peers.iter_mut().find(|peer| peer.name == name).expect("a peer");
    peer.state = State::Failed("exit status 1: cannot open table".to_owned());
}
