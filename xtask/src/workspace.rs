//! Where things are: the checkout, what is built from it, and what is kept between checkouts.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the checkout this program was built from.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace")
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        // Relative to where cargo runs, which is the root for every call of this program.
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The agent as `cargo xtask build` leaves it.
pub(crate) fn agent() -> PathBuf {
    target().join("release/fairlead")
}

/// Where things are kept that take minutes to make and do not depend on the checkout:
/// `$XDG_CACHE_HOME/fairlead`, or `~/.cache/fairlead`.
///
/// # Errors
/// Neither `XDG_CACHE_HOME` nor `HOME` is set.
pub(crate) fn cache() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
        return Ok(PathBuf::from(folder).join("fairlead"));
    }
    let home =
        env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set: no place for what is built once")?;
    Ok(PathBuf::from(home).join(".cache/fairlead"))
}
