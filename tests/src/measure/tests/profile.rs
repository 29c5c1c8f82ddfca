use super::fixture::{self, PLAN, Plan};
use super::scratch::Scratch;
use crate::measure::losses;
use crate::measure::profile::USER;
use crate::measure::report;
use crate::measure::results::Results;

/// A run in which one mode is slow, with profiles of its first place.
fn lost() -> Results {
    let plan = Plan {
        slower: Some(("fairlead-stack", 1.5)),
        cases: 3,
        ..PLAN
    };
    let mut results = fixture::results(plan);
    results.series.retain(|series| series.subject.services == 1);
    results.profiles = fixture::profiles(&results.series[0].subject);
    results
}

#[test]
fn a_loss_is_profiled_of_who_lost_who_won_and_the_ceiling() {
    let results = lost();
    let peers = losses::concerned(&results, &results.series[0].subject);
    assert!(peers.iter().any(|peer| peer == "fairlead-stack"), "{peers:?}");
    assert!(peers.iter().any(|peer| peer == "direct"), "{peers:?}");
    assert!(peers.iter().any(|peer| peer.contains("tables")), "{peers:?}");
    assert!(!peers.iter().any(|peer| peer == "control"), "{peers:?}");
}

#[test]
fn where_nothing_is_lost_nobody_is_profiled() {
    let mut results = lost();
    results.peers.iter_mut().for_each(|peer| {
        if peer.name.starts_with("iptables") || peer.name == "nftables" {
            peer.kind = crate::measure::results::Kind::Fairlead;
        }
    });
    let peers = losses::concerned(&results, &results.series[0].subject);
    assert!(peers.is_empty(), "{peers:?}");
}

#[test]
fn the_largest_difference_comes_first_in_either_direction() {
    let results = lost();
    let subject = &results.series[0].subject;
    let processors = |peer| results.profile(subject, peer).and_then(|of| of.processors.as_ref());
    let (ours, theirs) = processors("fairlead-stack").zip(processors("nftables")).expect("both");
    let all = ours.differences(theirs);
    let found: Vec<_> = all.iter().map(|one| (one.name, one.time)).collect();
    let expected = [
        ("nft_do_chain", -2500.0),
        ("BPF enter", 1800.0),
        ("ip_rcv", 100.0),
        (USER, 0.0),
    ];
    assert_eq!(found, expected);
    // 1,800 ns are 180 samples, of which the standard error is the root.
    assert!(
        (all[1].error - 2.0 * 180_f64.sqrt() * 10.0).abs() < 1e-6,
        "{}",
        all[1].error
    );
}

#[test]
fn the_report_says_what_the_profile_says_under_its_loss() {
    let scratch = Scratch::new("losses");
    report::write(&lost(), scratch.path()).expect("written");
    for file in ["report.html", "report.md"] {
        let text = std::fs::read_to_string(scratch.path().join(file)).expect(file);
        for part in [
            "What was lost, and what the profiles say",
            "For each of the connections its own programs took 3,250 ns in 16 runs",
            "fairlead-stack 20,000 ns busy, 100 ns idle, 5 ns elsewhere",
            "BPF enter",
            "+1,800 ± 268",
            "There is no profile of it.",
        ] {
            assert!(text.contains(part), "{file}: {part}");
        }
    }
}
