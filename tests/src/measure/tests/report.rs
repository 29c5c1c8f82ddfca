use super::fixture::{self, PLAN, Plan};
use super::scratch::Scratch;
use crate::measure::report;

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
    assert!(csv.contains("bystander,\"pod to pod, same node, bridge\",IPv4,as a node is,1,4,,rate,1/s,direct,1,"));
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
