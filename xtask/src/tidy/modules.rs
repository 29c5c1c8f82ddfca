//! A source file that no `mod` line names is compiled by nobody and checked by nobody.

use std::collections::BTreeSet;

use super::Violation;
use super::source::File;

pub(super) fn check(files: &[File]) -> Vec<Violation> {
    let declared = declared(files);
    let orphans = files
        .iter()
        .filter(|file| file.is_rust() && !is_root(&file.path) && !declared.contains(&file.path));
    orphans
        .map(|file| Violation {
            path: file.path.clone(),
            line: 0,
            what: "no `mod` line names this file".to_owned(),
        })
        .collect()
}

/// Files that cargo itself finds.
fn is_root(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let folder = path.rsplit('/').nth(1).unwrap_or_default();
    // A file in `fuzz/` or `src/bin/` is a program of its own.
    ["lib.rs", "main.rs", "build.rs"].contains(&name) || ["bin", "fuzz", "benches", "examples"].contains(&folder)
}

/// The paths that the `mod` lines of all files name.
fn declared(files: &[File]) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let folder = match file.path.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/"),
            None => String::new(),
        };
        for name in file.code.lines().filter_map(module_name) {
            paths.insert(format!("{folder}{name}.rs"));
            paths.insert(format!("{folder}{name}/mod.rs"));
        }
    }
    paths
}

/// The name in `mod name;`, whatever its visibility.
fn module_name(line: &str) -> Option<&str> {
    let mut words = line.trim().strip_suffix(';')?.split_whitespace().rev();
    let name = words.next()?;
    (words.next()? == "mod").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_that_are_named_pass() {
        let files = [
            File::new("a/src/lib.rs", "pub mod parse;\npub(crate) mod track;\nmod inline { }"),
            File::new("a/src/parse.rs", ""),
            File::new("a/src/track/mod.rs", "mod advance;"),
            File::new("a/src/track/advance.rs", ""),
        ];
        assert_eq!(check(&files), []);
    }

    #[test]
    fn a_file_that_is_not_named_is_found() {
        let files = [
            File::new("a/src/lib.rs", "// mod parse;"),
            File::new("a/src/parse.rs", ""),
        ];
        assert_eq!(
            check(&files)[0].to_string(),
            "a/src/parse.rs: no `mod` line names this file"
        );
    }

    #[test]
    fn programs_are_found_by_cargo() {
        assert_eq!(
            check(&[File::new("tests/src/bin/demo.rs", ""), File::new("a/build.rs", "")]),
            []
        );
    }
}
