use rstest::rstest;

use super::fixture::{self, PLAN};
use super::scratch::Scratch;
use crate::measure::results::Results;

#[test]
fn what_was_saved_is_loaded() {
    let scratch = Scratch::new("saved");
    let file = scratch.path().join("results.json");
    let results = fixture::results(PLAN);
    results.save(&file).expect("saved");
    results.save(&file).expect("saved in its own place");
    assert!(Results::load(&file).expect("loaded") == results);
    let left: Vec<_> = std::fs::read_dir(scratch.path()).expect("the folder").collect();
    assert_eq!(left.len(), 1, "nothing is left of the writing");
}

#[rstest]
#[case::a_later_version("\"schema\": 2", "\"schema\": 3", "schema: is 3, this program reads 1 to 2")]
#[case::no_version("\"schema\": 2,", "", "missing field `schema`")]
#[case::a_sample_that_is_text("\"samples\": [", "\"samples\": [\"x\",", "series[0].values[0].samples[0]: ")]
#[case::a_kind_that_nobody_knows("\"ceiling\"", "\"roof\"", "peers[0].kind: unknown variant `roof`")]
#[case::a_value_of_nobody(
    "\"peer\": \"direct\"",
    "\"peer\": \"dirct\"",
    "values[0].peer: `dirct` is not in peers"
)]
#[case::no_json("{", "[", "")]
fn a_file_that_cannot_be_read_is_refused_in_one_line(#[case] old: &str, #[case] new: &str, #[case] expected: &str) {
    let scratch = Scratch::new(&format!("refused-{}", old.len() * 100 + new.len()));
    let file = scratch.path().join("results.json");
    fixture::results(fixture::Plan { cases: 3, ..PLAN })
        .save(&file)
        .expect("saved");
    let text = std::fs::read_to_string(&file).expect("read");
    assert!(text.contains(old), "the fixture has {old}");
    std::fs::write(&file, text.replacen(old, new, 1)).expect("written");
    let error = format!("{:#}", Results::load(&file).expect_err("refused"));
    assert!(error.contains("results.json: ") && error.contains(expected), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn the_version_before_has_no_profiles_and_no_live_flows_and_is_read() {
    let scratch = Scratch::new("before");
    let file = scratch.path().join("results.json");
    let results = fixture::results(fixture::Plan { cases: 1, ..PLAN });
    let mut old = serde_json::to_value(&results).expect("JSON");
    old["schema"] = 1.into();
    old.as_object_mut().expect("an object").remove("profiles");
    for series in old["series"].as_array_mut().expect("a list") {
        series["subject"].as_object_mut().expect("an object").remove("flows");
    }
    std::fs::write(&file, old.to_string()).expect("written");
    assert!(Results::load(&file).expect("loaded") == results);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = format!(
        "{:#}",
        Results::load("/nowhere/results.json".as_ref()).expect_err("refused")
    );
    assert!(error.starts_with("/nowhere/results.json: "), "{error}");
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let scratch = Scratch::new("nan");
    let file = scratch.path().join("results.json");
    let mut results = fixture::results(PLAN);
    results.series[2].values[1].samples[3] = f64::NAN;
    let error = format!("{:#}", results.save(&file).expect_err("refused"));
    assert!(
        error.ends_with("series[2].values[1].samples[3]: not a finite number"),
        "{error}"
    );
    assert!(!file.exists());
}
