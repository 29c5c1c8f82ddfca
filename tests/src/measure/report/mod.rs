//! A run on paper: `report.html`, `report.md` and `results.csv`.

mod chapters;
mod csv;
mod html;
mod losses;
mod markdown;
mod method;
mod plots;
mod tables;

use std::path::Path;

use anyhow::{Context, Result};

use super::analysis::{Analysis, HEADLINE_HOST};
use super::file::replace;
use super::results::Results;

/// Writes the three files into a folder, which is made where it is missing. Errors name the file.
pub fn write(results: &Results, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    let analysis = Analysis::of(results);
    let files = [
        ("report.html", html::of(chapters::TITLE, &chapters::full(&analysis)?)),
        ("report.md", markdown::of(chapters::TITLE, &chapters::brief(&analysis))),
        ("results.csv", csv::of(results)),
    ];
    for (name, text) in files {
        replace(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}
