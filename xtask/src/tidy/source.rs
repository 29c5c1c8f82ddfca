//! The files of the checkout, and their code without comments and literals.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A file of the checkout.
#[derive(Debug)]
pub(super) struct File {
    /// Relative to the root, with `/` between the folders.
    pub(super) path: String,
    pub(super) text: String,
    /// As `text`, line for line, with comments and literals blanked; empty if it is not Rust.
    pub(super) code: String,
}

impl File {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") {
            code_of(text)
        } else {
            String::new()
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
        }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// How many lines come before the module of unit tests at its end; none of a file that is such a module.
    pub(super) fn lines_without_tests(&self) -> usize {
        if self.path.ends_with("/tests.rs") {
            return 0;
        }
        let lines: Vec<_> = self.code.lines().collect();
        let tests = lines
            .windows(2)
            .position(|pair| pair[0].trim() == "#[cfg(test)]" && opens_module(pair[1]));
        tests.unwrap_or(lines.len())
    }

    /// Whether this line, counted from 0, is test code.
    pub(super) fn is_test(&self, line: usize) -> bool {
        self.path.starts_with("tests/") || line >= self.lines_without_tests()
    }
}

fn opens_module(line: &str) -> bool {
    line.trim().starts_with("mod ") && line.trim_end().ends_with('{')
}

/// All text files under a folder, but for what is built and what git keeps for itself.
///
/// # Errors
/// A folder or file cannot be read.
pub(super) fn read(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    walk(root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<File>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{}: cannot be read", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "target" || name == ".git" {
            continue;
        }
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).with_context(|| format!("{path}: cannot be read"))?;
            // What is no text (a picture, an archive) has no lines to check.
            files.extend(String::from_utf8(bytes).ok().map(|text| File::new(&path, &text)));
        }
    }
    Ok(())
}

/// Blanks comments and the insides of literals; every other character, and every line, keeps its place.
fn code_of(text: &str) -> String {
    let mut rest = text;
    let mut code = String::with_capacity(text.len());
    while let Some(next) = rest.chars().next() {
        let (hidden, length) = token(rest, code.chars().next_back());
        match hidden {
            true => code.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
            false => code.push(next),
        }
        rest = &rest[length..];
    }
    code
}

/// Whether what starts here is a comment or literal, and how many bytes it has (one character if it is neither).
fn token(rest: &str, before: Option<char>) -> (bool, usize) {
    let one = rest.chars().next().map_or(0, char::len_utf8);
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return (true, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (true, block_comment(rest));
    }
    if let Some(inside) = rest.strip_prefix('"') {
        return (true, 1 + string(inside));
    }
    if !in_word && let Some(length) = raw_string(rest) {
        return (true, length);
    }
    match rest.strip_prefix('\'').and_then(character) {
        Some(length) => (true, 1 + length),
        None => (false, one),
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Length up to and with the closing quote.
fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of `r"..."`, `r#"..."#`, `br"..."` and so on, if one starts here.
fn raw_string(rest: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        rest.strip_prefix(prefix)
            .is_some_and(|after| after.trim_start_matches('#').starts_with('"'))
    })?;
    let after = &rest[prefix.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    let start = prefix.len() + hashes + 1;
    let length = rest[start..].find(&end).map_or(rest.len() - start, |at| at + end.len());
    Some(start + length)
}

/// Length of a character literal after its first quote; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    if let Some(escape) = rest.strip_prefix('\\') {
        // The escaped character itself may be a quote.
        let first = escape.chars().next()?.len_utf8();
        return escape[first..].find('\'').map(|at| 1 + first + at + 1);
    }
    let c = rest.chars().next()?;
    rest[c.len_utf8()..].starts_with('\'').then(|| c.len_utf8() + 1)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::line_comment("a // unsafe\nb", "a          \nb")]
    #[case::block_comment("a /* x /* y */ z */ b", "a                   b")]
    #[case::string(r#"f("unsafe \" {") + g"#, "f(             ) + g")]
    #[case::raw_string(r##"f(r#"a " b"#, c)"##, "f(          , c)")]
    #[case::identifier_that_ends_in_r("for\"x\"", "for   ")]
    #[case::character("x == '\"' || y", "x ==     || y")]
    #[case::escaped_quote(r"c == '\'' + d", "c ==      + d")]
    #[case::lifetime("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)")]
    fn comments_and_literals_are_blanked_and_the_rest_keeps_its_place(#[case] text: &str, #[case] code: &str) {
        assert_eq!(code_of(text), code);
    }

    #[test]
    fn unit_tests_at_the_end_do_not_count() {
        let file = File::new(
            "a/src/b.rs",
            "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n",
        );
        assert_eq!(file.lines_without_tests(), 2);
        assert!(!file.is_test(0) && file.is_test(4));
    }

    #[test]
    fn a_test_helper_among_the_code_ends_nothing() {
        let file = File::new("a/src/b.rs", "#[cfg(test)]\nuse x;\nfn f() {}\n");
        assert_eq!(file.lines_without_tests(), 3);
    }
}
