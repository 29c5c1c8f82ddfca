//! What a killed run left behind.

use std::fs;

use anyhow::Result;

use super::NAMES;
use crate::tool;

/// The named network namespaces that begin with `prefix`.
pub fn names_with_prefix(prefix: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(NAMES) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with(prefix)).collect()
}

/// Deletes every namespace whose name begins with `prefix`.
///
/// # Errors
/// When one cannot be deleted.
pub fn sweep(prefix: &str) -> Result<()> {
    for name in names_with_prefix(prefix) {
        tool::run("ip", &["netns", "del", &name])?;
    }
    Ok(())
}
