//! The list as a page.

use std::fmt::Write as _;

use super::{Behaviour, Fairlead, Group, Shown, Suite, Test};

const HEAD: &str = "\
# What kube-proxy does, and what Fairlead does

Each behaviour of kube-proxy that people can notice, in our own words: what Fairlead does, and the tests that show it. Where
the modes of kube-proxy differ, mode nftables is meant unless mode iptables is named. `cargo xtask compatibility` makes this
page from the lists in `xtask/src/compatibility/listed`; `cargo xtask tidy`, which is a part of the test command, fails when the
page is not what they say, when what is the same or different on purpose has no test, or when a test that is named is not there.

Not on this page: session affinity, schedulers, what becomes of conversations whose endpoint goes, health checks, metrics,
events, and the configuration at large.

";

/// The page.
pub(crate) fn text(groups: &[Group]) -> String {
    let mut page = HEAD.to_owned();
    summary(&mut page, groups);
    index(&mut page, groups, "Different on purpose", |fairlead| match fairlead {
        Fairlead::Differs { what, .. } => Some(*what),
        Fairlead::Same(_) | Fairlead::Missing(_) => None,
    });
    index(&mut page, groups, "Not there yet", |fairlead| match fairlead {
        Fairlead::Missing(what) => Some(*what),
        Fairlead::Same(_) | Fairlead::Differs { .. } => None,
    });
    for group in groups {
        let _ = writeln!(page, "## {}\n", group.title);
        group
            .behaviours
            .iter()
            .for_each(|behaviour| entry(&mut page, behaviour));
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// How many behaviours of these have a status, by status.
fn counts<'a>(behaviours: impl Iterator<Item = &'a Behaviour>) -> [usize; 4] {
    behaviours.fold([0; 4], |mut counts, behaviour| {
        let column = match behaviour.fairlead {
            Fairlead::Same(_) => 1,
            Fairlead::Differs { .. } => 2,
            Fairlead::Missing(_) => 3,
        };
        counts[0] += 1;
        counts[column] += 1;
        counts
    })
}

fn summary(page: &mut String, groups: &[Group]) {
    page.push_str("| | listed | the same | different on purpose | not there yet |\n|---|---|---|---|---|\n");
    let mut row = |title: &str, counts: [usize; 4]| {
        let cells: Vec<_> = counts.iter().map(ToString::to_string).collect();
        let _ = writeln!(page, "| {title} | {} |", cells.join(" | "));
    };
    for group in groups {
        row(group.title, counts(group.behaviours.iter()));
    }
    row("**all**", counts(groups.iter().flat_map(|group| group.behaviours)));
    page.push('\n');
}

/// A list of those behaviours of which there is something to say.
fn index(page: &mut String, groups: &[Group], title: &str, say: fn(&Fairlead) -> Option<&'static str>) {
    let all = groups.iter().flat_map(|group| group.behaviours);
    let lines: Vec<_> = all
        .filter_map(|behaviour| {
            let name = behaviour.name;
            Some(format!("- [{name}](#{name}): {}\n", say(&behaviour.fairlead)?))
        })
        .collect();
    if !lines.is_empty() {
        let _ = writeln!(page, "## {title}\n\n{}", lines.concat());
    }
}

fn entry(page: &mut String, behaviour: &Behaviour) {
    let (status, what) = match &behaviour.fairlead {
        Fairlead::Same("") => ("The same", String::new()),
        Fairlead::Same(what) => ("The same", format!(" {what}")),
        Fairlead::Differs { what, why } => ("Different on purpose", format!(" {what} Because: {why}")),
        Fairlead::Missing(what) => ("Not there yet", format!(" {what}")),
    };
    let _ = writeln!(page, "### {}\n", behaviour.name);
    let _ = writeln!(page, "- kube-proxy: {}", behaviour.kube_proxy);
    let _ = writeln!(page, "- Fairlead: **{status}.**{what}");
    for shown in behaviour.tests {
        let _ = writeln!(page, "- {}", shown.line());
    }
    page.push('\n');
}

impl Shown {
    /// What is run, where, and a link to its file.
    fn line(&self) -> String {
        let (Suite(path), floor) = (self.suite, self.suite.floor());
        let what = match self.test {
            Test::Function(name, []) => format!("test, {floor}: `{name}`"),
            Test::Function(name, cases) => format!("test, {floor}: `{name}` ({})", cases.join(", ")),
            Test::Row(name) => format!("row, {floor}: \"{}\"", without_braces(name)),
        };
        format!("{what} in [{path}](../{path})")
    }
}

/// A row's name with three dots for what is put in.
fn without_braces(name: &str) -> String {
    let mut parts = name.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let after = part.split_once('}').map_or(part, |(_, after)| after);
        text + "..." + after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITE: Suite = Suite("tests/netns/web.rs");
    const ROWS: Suite = Suite("tests/src/packets/web.rs");

    const GROUPS: &[Group] = &[Group {
        title: "Choice",
        behaviours: &[
            Behaviour {
                name: "one-of-many",
                kube_proxy: "Picks one.",
                fairlead: Fairlead::Same("By dice."),
                tests: &[
                    SUITE.cases("it_picks", &["a", "b"]),
                    ROWS.row("a {what:?} of {n}, picked"),
                ],
            },
            Behaviour {
                name: "none",
                kube_proxy: "Waits.",
                fairlead: Fairlead::Differs {
                    what: "It says so.",
                    why: "it knows.",
                },
                tests: &[SUITE.test("it_says_so")],
            },
        ],
    }];

    #[test]
    fn the_page_counts_and_links_what_is_listed() {
        let page = text(GROUPS);
        for part in [
            "| Choice | 2 | 1 | 1 | 0 |",
            "| **all** | 2 | 1 | 1 | 0 |",
            "## Different on purpose\n\n- [none](#none): It says so.\n",
            "### one-of-many\n\n- kube-proxy: Picks one.\n- Fairlead: **The same.** By dice.\n",
            "- test, netns: `it_picks` (a, b) in [tests/netns/web.rs](../tests/netns/web.rs)\n",
            "- row, host and kernel: \"a ... of ..., picked\" in ",
            "**Different on purpose.** It says so. Because: it knows.\n- test, netns: `it_says_so` in ",
        ] {
            assert!(page.contains(part), "{part:?} is not in\n{page}");
        }
        assert!(
            !page.contains("Not there yet\n\n") && page.ends_with(".rs)\n"),
            "{page}"
        );
    }
}
