//! Files that can be read in one go.

use super::Violation;
use super::source::File;

/// Lines of a file without its unit tests.
const LIMIT: usize = 500;

pub(super) fn check(files: &[File]) -> Vec<Violation> {
    let counted = files
        .iter()
        .filter(|file| file.is_rust())
        .map(|file| (file, file.lines_without_tests()));
    counted
        .filter(|(_, lines)| *lines > LIMIT)
        .map(|(file, lines)| Violation {
            path: file.path.clone(),
            line: 0,
            what: format!("{lines} lines without tests, where {LIMIT} are the limit: it has more than one subject"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_at_the_limit_passes_and_one_above_does_not() {
        assert_eq!(check(&[File::new("a.rs", &"\n".repeat(LIMIT))]), []);
        assert_eq!(check(&[File::new("a.rs", &"\n".repeat(LIMIT + 1))]).len(), 1);
    }

    #[test]
    fn long_tests_and_long_texts_are_nobodys_business() {
        let tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(LIMIT));
        assert_eq!(
            check(&[File::new("a.rs", &tests), File::new("a.md", &"\n".repeat(LIMIT + 1))]),
            []
        );
    }
}
