//! What lies in the folder, and what of it has changed since the last look.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::read::Syntax;

/// How a file looked from outside when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The manifests of a folder: names and stamps. Links are followed.
///
/// # Errors
///
/// If the folder cannot be read.
pub(super) fn scan(folder: &Path) -> io::Result<BTreeMap<String, Stamp>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| syntax(name).is_some()) else {
            continue;
        };
        // A file that went between the two calls is not there.
        if let Ok(metadata) = fs::metadata(folder.join(name))
            && metadata.is_file()
        {
            found.insert(name.to_owned(), Stamp::of(&metadata));
        }
    }
    Ok(found)
}

/// What a file is written in, by its name; `None`: it is not a manifest.
pub(super) fn syntax(name: &str) -> Option<Syntax> {
    let path = PathBuf::from(name);
    if name.starts_with('.') {
        return None;
    }
    match path.extension()?.to_str()? {
        "yaml" | "yml" => Some(Syntax::Yaml),
        "json" => Some(Syntax::Json),
        _ => None,
    }
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Stamp {
            place: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
