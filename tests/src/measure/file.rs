//! `results.json` on disk.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::results::{OLDEST_SCHEMA, Results, SCHEMA};

/// What every version of the file has.
#[derive(Deserialize)]
struct Version {
    schema: u32,
}

impl Results {
    /// Writes the file anew, as a whole or not at all. Errors name the file, or the series whose sample is no number.
    pub fn save(&self, file: &Path) -> Result<()> {
        self.check().with_context(|| file.display().to_string())?;
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        replace(file, text.as_bytes())
    }

    /// Reads a file. Errors are one line that names the file and the field.
    pub fn load(file: &Path) -> Result<Results> {
        let name = || file.display().to_string();
        let text = fs::read_to_string(file).with_context(name)?;
        let version: Version = parse(&text).with_context(name)?;
        let schema = version.schema;
        ensure!(
            (OLDEST_SCHEMA..=SCHEMA).contains(&schema),
            "{}: schema: is {schema}, this program reads {OLDEST_SCHEMA} to {SCHEMA}",
            name()
        );
        let results: Results = parse(&text).with_context(name)?;
        results.check().with_context(name)?;
        Ok(Results {
            schema: SCHEMA,
            ..results
        })
    }

    /// What the types do not say: that samples are numbers, and that whoever has values is a peer.
    fn check(&self) -> Result<()> {
        for (s, series) in self.series.iter().enumerate() {
            for (v, values) in series.values.iter().enumerate() {
                let known = self.peers.iter().any(|peer| peer.name == values.peer);
                ensure!(known, "series[{s}].values[{v}].peer: `{}` is not in peers", values.peer);
                let odd = values.samples.iter().position(|sample| !sample.is_finite());
                if let Some(at) = odd {
                    anyhow::bail!("series[{s}].values[{v}].samples[{at}]: not a finite number");
                }
            }
        }
        for (p, profile) in self.profiles.iter().enumerate() {
            let known = self.peers.iter().any(|peer| peer.name == profile.peer);
            ensure!(known, "profiles[{p}].peer: `{}` is not in peers", profile.peer);
            ensure!(profile.is_finite(), "profiles[{p}]: not a finite number");
        }
        Ok(())
    }
}

/// Writes next to the file, then takes its place: a reader never sees half of it.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    let write = || -> std::io::Result<()> {
        let mut to = File::create(&new)?;
        to.write_all(bytes)?;
        to.sync_all()?;
        fs::rename(&new, file)
    };
    write().with_context(|| format!("{}: cannot be written", file.display()))
}

/// Parses JSON; an error names the field.
fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T> {
    let reader = &mut serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let field = error.path().to_string();
        anyhow::anyhow!("{field}: {}", error.into_inner())
    })
}
