//! What is listed of kube-proxy's behaviours has a test that is there, and the page says what the list says.
//!
//! Tests are looked for in the sources and not asked of the test binaries: the rows of packets are no tests of their own,
//! and the list of a floor's tests could only be had by building all floors.

use std::collections::BTreeSet;

use super::Violation;
use super::source::File;
use crate::compatibility::{Behaviour, Fairlead, GROUPS, Group, PAGE, Shown, Suite, Test, text};

/// Where the lists are.
const LISTS: &str = "xtask/src/compatibility/listed";

pub(super) fn check(files: &[File]) -> Vec<Violation> {
    check_groups(files, GROUPS)
}

fn check_groups(files: &[File], groups: &[Group]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for behaviour in groups.iter().flat_map(|group| group.behaviours) {
        if !is_name(behaviour.name) || !names.insert(behaviour.name) {
            found.push(format!("{}: not a name of its own in small letters", behaviour.name));
        }
        found.extend(complaint(behaviour).map(|what| format!("{}: {what}", behaviour.name)));
        let missing = behaviour.tests.iter().filter_map(|shown| missing(files, shown));
        found.extend(missing.map(|what| format!("{}: {what}", behaviour.name)));
    }
    let mut violations: Vec<_> = found.into_iter().map(|what| violation(LISTS, what)).collect();
    let page = files.iter().find(|file| file.path == PAGE);
    if page.is_none_or(|page| page.text != text(groups)) {
        let what = "is not what the lists say: `cargo xtask compatibility` writes it".to_owned();
        violations.push(violation(PAGE, what));
    }
    violations
}

fn violation(path: &str, what: String) -> Violation {
    Violation {
        path: path.to_owned(),
        line: 0,
        what,
    }
}

fn is_name(name: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.split('-').all(is_word)
}

/// What is wrong with an entry by itself.
fn complaint(behaviour: &Behaviour) -> Option<&'static str> {
    if behaviour.kube_proxy.is_empty() {
        return Some("what kube-proxy does is not said");
    }
    let is_shown = !behaviour.tests.is_empty();
    match behaviour.fairlead {
        Fairlead::Same(_) if !is_shown => Some("no test shows that it is the same"),
        Fairlead::Differs { what, why } if what.is_empty() || why.is_empty() => {
            Some("what differs, or why, is not said")
        }
        Fairlead::Differs { .. } if !is_shown => Some("no test shows what differs"),
        Fairlead::Missing("") => Some("what happens instead is not said"),
        Fairlead::Same(_) | Fairlead::Differs { .. } | Fairlead::Missing(_) => None,
    }
}

/// What is not there of a test.
fn missing(files: &[File], shown: &Shown) -> Option<String> {
    let Suite(path) = shown.suite;
    let Some(file) = files.iter().find(|file| file.path == path) else {
        return Some(format!("there is no file {path}"));
    };
    match shown.test {
        Test::Row(name) => (!has_row(file, name)).then(|| format!("no row {name:?} in {path}")),
        Test::Function(name, cases) => {
            let Some(attributes) = attributes(file, name) else {
                return Some(format!("no test `{name}` in {path}"));
            };
            let missing = cases.iter().find(|case| !has_case(&attributes, case))?;
            Some(format!("`{name}` in {path} has no case `{missing}`"))
        }
    }
}

/// Whether a string of the source is the row's name.
fn has_row(file: &File, name: &str) -> bool {
    let quoted = format!("{name:?}");
    let mut lines = file.text.lines().map(str::trim_start);
    lines.any(|line| !line.starts_with("//") && line.contains(&quoted))
}

/// The lines above a test function up to an empty one: its attributes. `None`: there is no such function, or it is none.
fn attributes<'a>(file: &'a File, name: &str) -> Option<Vec<&'a str>> {
    let code: Vec<&str> = file.code.lines().map(str::trim_start).collect();
    let text: Vec<&str> = file.text.lines().collect();
    let at = code.iter().position(|line| is_function(line, name))?;
    let above = text[..at]
        .iter()
        .rev()
        .take_while(|line| !line.trim().is_empty())
        .count();
    let attributes = code[at - above..at].to_vec();
    let is_test = |line: &&str| ["#[test]", "#[rstest]", "#[tokio::test]"].contains(line);
    attributes
        .iter()
        .any(|line| is_test(&line.trim_end()))
        .then_some(attributes)
}

fn is_function(line: &str, name: &str) -> bool {
    let line = line.strip_prefix("async ").unwrap_or(line);
    let after = line.strip_prefix("fn ").and_then(|line| line.strip_prefix(name));
    after.is_some_and(|after| after.starts_with(['(', '<']))
}

fn has_case(attributes: &[&str], case: &str) -> bool {
    let after = |line: &&str| line.strip_prefix("#[case::")?.strip_prefix(case).map(str::to_owned);
    attributes
        .iter()
        .filter_map(after)
        .any(|after| after.starts_with(['(', ']']))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TESTS: &str = "\
#[rstest]
#[case::one(1)]
#[case::of_several_lines(
    json!({ \"a\": [] }),
)]
fn it_picks(#[case] n: u8) {}

fn it_helps() {}

proptest! {
    #[test]
    fn it_holds(n in 0..9) {}
}

#[tokio::test]
async fn it_waits() {}

// #[test]
// fn it_was() {}
";
    const PACKETS: &str = "row(\"a packet to {to:?}\", &fixture)\n// row(\"an old packet\", &fixture)\n";
    const SUITE: Suite = Suite("tests/netns/web.rs");
    const ROWS: Suite = Suite("tests/src/packets/web.rs");

    const fn function(name: &'static str, cases: &'static [&'static str]) -> Shown {
        Shown {
            suite: SUITE,
            test: Test::Function(name, cases),
        }
    }

    const fn row(name: &'static str) -> Shown {
        Shown {
            suite: ROWS,
            test: Test::Row(name),
        }
    }

    fn files() -> [File; 2] {
        [File::new(SUITE.0, TESTS), File::new(ROWS.0, PACKETS)]
    }

    #[rstest]
    #[case::a_case(function("it_picks", &["one", "of_several_lines"]), None)]
    #[case::of_a_macro(function("it_holds", &[]), None)]
    #[case::that_waits(function("it_waits", &[]), None)]
    #[case::a_row(row("a packet to {to:?}"), None)]
    #[case::no_such_case(function("it_picks", &["on"]), Some("has no case `on`"))]
    #[case::no_test(function("it_helps", &[]), Some("no test `it_helps`"))]
    #[case::half_a_name(function("it_pick", &[]), Some("no test `it_pick`"))]
    #[case::a_comment(function("it_was", &[]), Some("no test `it_was`"))]
    #[case::half_a_row(row("a packet"), Some("no row \"a packet\""))]
    #[case::a_row_of_the_past(row("an old packet"), Some("no row \"an old packet\""))]
    fn a_test_is_found_in_its_file_or_is_not(#[case] shown: Shown, #[case] complaint: Option<&str>) {
        let found = missing(&files(), &shown);
        assert_eq!(found.is_some(), complaint.is_some(), "{found:?}");
        assert!(found.unwrap_or_default().contains(complaint.unwrap_or_default()));
    }

    #[test]
    fn a_file_that_is_gone_is_missed() {
        let found = missing(&[], &function("it_picks", &[]));
        assert_eq!(found.as_deref(), Some("there is no file tests/netns/web.rs"));
    }

    const fn behaviour(name: &'static str, fairlead: Fairlead, tests: &'static [Shown]) -> Behaviour {
        Behaviour {
            name,
            kube_proxy: "It picks.",
            fairlead,
            tests,
        }
    }

    const SHOWN: &[Shown] = &[row("a packet to {to:?}")];
    const GONE: &[Shown] = &[row("another packet")];
    const BY_WHIM: Fairlead = Fairlead::Differs {
        what: "It waits.",
        why: "",
    };
    const BY_REASON: Fairlead = Fairlead::Differs {
        what: "It waits.",
        why: "it is late.",
    };

    /// What is wrong with one entry beside the page, which is never there.
    #[rstest]
    #[case::the_same(vec![behaviour("it-picks", Fairlead::Same(""), SHOWN)], None)]
    #[case::not_there(vec![behaviour("it-picks", Fairlead::Missing("Nothing."), &[])], None)]
    #[case::not_shown(vec![behaviour("it-picks", Fairlead::Same(""), &[])], Some("no test shows that it is the same"))]
    #[case::shown_by_nothing(vec![behaviour("it-picks", Fairlead::Same(""), GONE)], Some("no row \"another packet\""))]
    #[case::no_reason(vec![behaviour("it-picks", BY_WHIM, SHOWN)], Some("what differs, or why, is not said"))]
    #[case::a_reason_and_no_test(vec![behaviour("it-picks", BY_REASON, &[])], Some("no test shows what differs"))]
    #[case::nothing_said(vec![behaviour("it-picks", Fairlead::Missing(""), &[])], Some("what happens instead"))]
    #[case::no_name(vec![behaviour("It picks", Fairlead::Missing("Nothing."), &[])], Some("not a name of its own"))]
    #[case::one_name_twice(
        vec![behaviour("it", Fairlead::Missing("Nothing."), &[]), behaviour("it", Fairlead::Missing("Nothing."), &[])],
        Some("not a name of its own"))]
    fn an_entry_says_what_it_must(#[case] behaviours: Vec<Behaviour>, #[case] complaint: Option<&str>) {
        let group = Group {
            title: "Choice",
            behaviours: behaviours.leak(),
        };
        let found = check_groups(&files(), &[group]);
        let found: Vec<_> = found.iter().filter(|found| found.path == LISTS).collect();
        assert_eq!(found.len(), usize::from(complaint.is_some()), "{found:?}");
        assert!(
            found
                .iter()
                .all(|found| found.what.contains(complaint.unwrap_or_default())),
            "{found:?}"
        );
    }

    #[test]
    fn a_page_that_is_not_what_the_lists_say_is_found() {
        let of = |page: &str| check_groups(&[File::new(PAGE, page)], &[]).len();
        assert_eq!((of(&text(&[])), of("# something else\n")), (0, 1));
    }
}
