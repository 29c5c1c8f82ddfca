//! A mapping of a configuration file, taken apart field by field, so that an error names its field and nothing that is
//! left over goes unmentioned.

use serde_json::{Map, Value};

use crate::error::Error;

use super::rules::{self, Rule};

/// A mapping, and where it stands.
pub(super) struct Fields {
    /// What stands before a field's name: `file: ` and the names of the mappings around this one.
    prefix: String,
    map: Map<String, Value>,
}

impl Fields {
    /// The fields of a value that should be a mapping. Null counts as an empty one.
    pub(super) fn new(prefix: String, value: Value) -> Result<Self, Error> {
        if value.is_null() {
            return Ok(Fields {
                prefix,
                map: Map::new(),
            });
        }
        let shown = show(&value);
        let Value::Object(map) = value else {
            return Err(Error::setting(
                prefix.trim_end_matches(['.', ' ', ':']),
                shown,
                "not a mapping",
            ));
        };
        Ok(Fields { prefix, map })
    }

    /// The full name of a field.
    pub(super) fn name(&self, field: &str) -> String {
        format!("{}{field}", self.prefix)
    }

    /// A mapping inside this one; empty if it is absent.
    pub(super) fn mapping(&mut self, field: &str) -> Result<Fields, Error> {
        let value = self.map.remove(field).unwrap_or(Value::Null);
        Fields::new(format!("{}.", self.name(field)), value)
    }

    /// A text. Absent, null and empty are the same, as they are for kube-proxy.
    pub(super) fn text(&mut self, field: &str) -> Result<Option<String>, Error> {
        match self.map.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Error::setting(self.name(field), show(&other), "not a text")),
        }
    }

    /// Yes or no.
    pub(super) fn boolean(&mut self, field: &str) -> Result<Option<bool>, Error> {
        match self.map.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(Error::setting(self.name(field), show(&other), "neither true nor false")),
        }
    }

    /// A list of texts; empty if it is absent.
    pub(super) fn texts(&mut self, field: &str) -> Result<Vec<String>, Error> {
        match self.map.remove(field) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item.as_str() {
                    Some(text) => Ok(text.to_owned()),
                    None => Err(Error::setting(self.name(field), show(&item), "not a text")),
                })
                .collect(),
            Some(other) => Err(Error::setting(self.name(field), show(&other), "not a list")),
        }
    }

    /// What nobody has asked for and what is not merely a default written out: a warning each, if it is what it may be.
    pub(super) fn left_over(self, known: &[(&str, Rule)], warnings: &mut Vec<String>) -> Result<(), Error> {
        for (field, value) in &self.map {
            let name = self.name(field);
            rules::check(&name, field, value, known, warnings)?;
            if known.iter().any(|(known, _)| known == field) && !is_default(value) {
                warnings.push(format!("{name}: {} has no meaning here and is ignored", show(value)));
            }
        }
        rules::check_periods(&self.prefix, &self.map)?;
        match self.map.get("ipvs") {
            Some(Value::Object(ipvs)) => rules::check_periods(&self.name("ipvs."), ipvs),
            _ => Ok(()),
        }
    }
}

/// Whether a value says no more than its absence: the files that kubeadm writes spell every default out.
fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(text.as_str(), "" | "0" | "0s"),
        Value::Array(items) => items.iter().all(is_default),
        Value::Object(map) => map.values().all(is_default),
    }
}

/// A value as it would stand in the file.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
