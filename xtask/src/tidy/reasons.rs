//! Every way to pass or drop a packet has a name, and every name is explained to the people who read counters.

use super::Violation;
use super::source::File;

const CODE: &str = "proxy-common/src/reason.rs";
const TEXT: &str = "docs/reasons.md";

pub(super) fn check(files: &[File]) -> Vec<Violation> {
    let find = |path: &str| files.iter().find(|file| file.path == path);
    let Some(code) = find(CODE) else {
        return vec![Violation {
            path: CODE.to_owned(),
            line: 0,
            what: "is not there".to_owned(),
        }];
    };
    let variants = variants(&code.code);
    let text = find(TEXT).map_or("", |file| &file.text);
    let documented: Vec<_> = text.lines().filter_map(documented).collect();
    let mut found = Vec::new();
    if variants.is_empty() {
        found.push(Violation {
            path: CODE.to_owned(),
            line: 0,
            what: "has no list of reasons".to_owned(),
        });
    }
    for variant in variants.iter().filter(|variant| !documented.contains(variant)) {
        let what = format!("no line `| \\`{variant}\\` | ...`");
        found.push(Violation {
            path: TEXT.to_owned(),
            line: 0,
            what,
        });
    }
    for name in documented.iter().filter(|name| !variants.contains(name)) {
        found.push(Violation {
            path: TEXT.to_owned(),
            line: 0,
            what: format!("`{name}` is no Reason"),
        });
    }
    found
}

/// The names in `reasons! { Name = 0, ... }`, which makes the enum.
fn variants(code: &str) -> Vec<&str> {
    let Some((_, body)) = code.split_once("\nreasons! {") else {
        return Vec::new();
    };
    let body = body.split('}').next().unwrap_or_default();
    body.split(',')
        .filter_map(|row| row.split_once('='))
        .map(|(name, _)| name.trim())
        .collect()
}

/// The name that a row of the table explains: `` | `Name` | ... ``.
fn documented(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("| `")?.split('`').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "macro_rules! reasons {\n}\n\nreasons! {\n    /// One, or so.\n    Truncated = 0,\n    \
                        /// Two = 2.\n    NoService = 32,\n}\n\nimpl Reason {}\n";

    fn found(text: &str) -> Vec<String> {
        check(&[File::new(CODE, LIST), File::new(TEXT, text)])
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn documented_reasons_pass() {
        assert!(
            found("| Reason | Meaning |\n|---|---|\n| `Truncated` | cut |\n| `NoService` | not ours |\n").is_empty()
        );
    }

    #[test]
    fn an_unexplained_reason_is_found() {
        assert_eq!(
            found("| `Truncated` | cut |"),
            ["docs/reasons.md: no line `| \\`NoService\\` | ...`"]
        );
    }

    #[test]
    fn an_explained_name_that_no_longer_exists_is_found() {
        let text = "| `Truncated` | a |\n| `NoService` | b |\n| `Gone` | c |";
        assert_eq!(found(text), ["docs/reasons.md: `Gone` is no Reason"]);
    }
}
