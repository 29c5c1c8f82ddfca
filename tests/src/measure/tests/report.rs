use rstest::rstest;

use super::fixture::{self, PLAN, Plan};
use super::scratch::Scratch;
use crate::measure::report;
use crate::measure::results::{Better, Metric, Results, Subject};

#[test]
fn a_report_has_every_file_and_every_sample() {
    let scratch = Scratch::new("written");
    let results = fixture::results(Plan { cases: 3, ..PLAN });
    report::write(&results, &scratch.path().join("new")).expect("written");
    let read = |name: &str| std::fs::read_to_string(scratch.path().join("new").join(name)).expect(name);
    let samples: usize = results
        .series
        .iter()
        .flat_map(|series| &series.values)
        .map(|values| values.samples.len())
        .sum();
    let csv = read("results.csv");
    assert_eq!(csv.lines().count(), samples + 1);
    assert!(csv.contains("bystander,\"pod to pod, same node, bridge\",IPv4,as a node is,1,4,0,,rate,1/s,direct,1,"));
    let markdown = read("report.md");
    for row in [
        "| kernel | 6.18.0 |",
        "a \\| b; &lt;none&gt;",
        "kernel has no IPVS",
        "## The method",
    ] {
        assert!(markdown.contains(row), "{row}");
    }
}

/// The page stays in the target folder: it is also there to be looked at.
#[test]
fn the_page_of_a_run_of_real_size_needs_nothing_but_itself() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/measure-report");
    let mut results = fixture::results(Plan { cases: 12, ..PLAN });
    results.peers[8].title = "<script src=\"https://example.org/x.js\">".to_owned();
    results.series[0].subject.path = "a < b & \"c\"".to_owned();
    report::write(&results, &folder).expect("written");
    results.save(&folder.join("results.json")).expect("saved");
    let page = std::fs::read_to_string(folder.join("report.html")).expect("read");
    for load in ["<script", "<link", "<img", "<iframe", "@import", "url(", "src="] {
        let escaped = page.matches("&lt;script src=&quot;").count();
        let found = page.matches(load).count() - if load == "src=" { escaped } else { 0 };
        assert_eq!(found, 0, "{load}");
    }
    assert!(page.contains("default-src 'none'") && page.contains("a &lt; b &amp; &quot;c&quot;"));
    assert_eq!(page.matches("<svg ").count(), page.matches("</svg>").count());
    for (open, close) in [
        ("<details>", "</details>"),
        ("<table>", "</table>"),
        ("<figure>", "</figure>"),
    ] {
        assert_eq!(page.matches(open).count(), page.matches(close).count(), "{open}");
        assert!(page.contains(open), "{open}");
    }
}

#[rstest]
#[case::endpoints(|subject: &mut Subject| subject.endpoints = subject.services, "endpoints", "with 1 endpoint and with 30,000 endpoints: control ")]
#[case::flows(|subject: &mut Subject| subject.flows = subject.services, "live flows", "with 1 live flow and with 30,000 live flows: control ")]
fn a_case_is_shown_against_the_number_in_which_its_places_differ(
    #[case] change: fn(&mut Subject),
    #[case] name: &str,
    #[case] finding: &str,
) {
    let scratch = Scratch::new(&format!("against-{}", name.len()));
    let mut results = fixture::results(Plan { cases: 3, ..PLAN });
    let series = &mut results.series;
    series.retain(|series| series.subject.case == "bystander" && series.subject.family == "IPv4");
    for subject in series.iter_mut().map(|series| &mut series.subject) {
        change(subject);
        subject.services = 1;
    }
    report::write(&results, scratch.path()).expect("written");
    let page = std::fs::read_to_string(scratch.path().join("report.html")).expect("read");
    for part in [
        format!("against the number of {name}: pod to pod, same node, bridge, IPv4"),
        format!("<th scope=\"col\">{name}</th>"),
        format!("<td>1, 100, 1,000, 10,000, 30,000 {name}</td>"),
    ] {
        assert!(page.contains(&part), "{part}");
    }
    assert!(page.contains(finding), "{finding}");
}

/// Followed one by one, as many as there was time for.
fn with_events(results: &mut Results) {
    let subject = Subject {
        case: "follow".to_owned(),
        family: String::new(),
        ..results.series[0].subject.clone()
    };
    let metric = Metric {
        name: "until the next".to_owned(),
        unit: "ms".to_owned(),
        better: Better::Lower,
    };
    for (peer, events, time) in [("nftables", 9, 40.0), ("fairlead", 50, 4.0)] {
        (0..events).for_each(|event| results.add(&subject, &metric, peer, time + f64::from(event)));
    }
}

#[test]
fn single_events_have_percentiles_and_what_one_mode_alone_has_is_one_table() {
    let scratch = Scratch::new("events");
    let mut results = fixture::results(Plan { cases: 1, ..PLAN });
    let series = &mut results.series;
    series.retain(|series| series.subject.services == 1);
    series
        .iter_mut()
        .for_each(|series| series.values.retain(|values| values.peer == "fairlead"));
    with_events(&mut results);
    report::write(&results, scratch.path()).expect("written");
    let page = std::fs::read_to_string(scratch.path().join("report.html")).expect("read");
    for row in [
        "<td>p50 until the next, ms</td><td>1</td><td>fairlead</td><td>28.5 [",
        "<td>p99 until the next, ms</td><td>1</td><td>fairlead</td><td>52.51 [",
        "● p50 until the next ▲ p99 until the next, ms",
        "memory: all places",
    ] {
        assert!(page.contains(row), "{row}");
    }
    assert!(!page.contains("<figcaption>memory"), "there is no one to compare");
    let findings = crate::measure::findings::page(&results);
    assert!(
        findings.contains("follow p99 until the next") && !findings.contains("memory peak"),
        "{findings}"
    );
}
