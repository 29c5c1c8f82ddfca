use serde_json::Value;

use super::fixture::{self, PLAN, Plan};
use crate::measure::results::{Kind, SCHEMA, State};

const DOCUMENT: &str = include_str!("../../../../docs/benchmarks/SCHEMA.md");

/// Every key of a value, at any depth.
fn keys(of: &Value, found: &mut Vec<String>) {
    match of {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            found.push(key.clone());
            keys(value, found);
        }),
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_document_names_every_field_and_every_word() {
    let mut results = fixture::results(Plan { cases: 1, ..PLAN });
    results.profiles = fixture::profiles(&results.series[0].subject);
    results.peers[0].state = State::Failed("why".to_owned());
    let mut found = Vec::new();
    keys(&serde_json::to_value(&results).expect("JSON"), &mut found);
    let kinds = [Kind::Ceiling, Kind::Control, Kind::KubeProxy, Kind::Fairlead];
    let word = |value: Value| value.as_str().expect("a word").to_owned();
    found.extend(kinds.map(|kind| word(serde_json::to_value(kind).expect("JSON"))));
    found.extend(["measured", "higher", "lower"].map(str::to_owned));
    for name in found {
        assert!(
            DOCUMENT.contains(&format!("`{name}`")),
            "`{name}` is not in docs/benchmarks/SCHEMA.md"
        );
    }
}

#[test]
fn the_document_is_of_this_version() {
    assert!(DOCUMENT.contains(&format!("Version {SCHEMA}")));
}
