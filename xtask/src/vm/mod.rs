//! The vm floor: what other kernels change of the kernel and netns floors, and what the machine's own kernel may lack.

mod cpio;
mod image;
mod machine;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use image::{Contents, TestRun};
use machine::End;

use crate::setup::{self, KERNELS};
use crate::test::{Reading, Tally};
use crate::{process, workspace};

/// How long one machine may take: under emulation everything is some ten times slower, and the host may be busy.
const PATIENCE: Duration = Duration::from_secs(25 * 60);

/// Processors of a machine, and so tests that run in it at once.
pub(crate) const PROCESSORS: usize = 2;

/// What runs of a test binary, by parts of names.
struct Part {
    binary: &'static str,
    /// Everything if it is empty.
    chosen: &'static [&'static str],
    /// Not even if it is chosen.
    left: &'static [&'static str],
}

/// What runs under the oldest kernel. Emulation takes ten times as long, so it is what a kernel can change and no more:
/// random packets meet the library on each side alike, and nothing is measured by the clock.
const OLDEST: [Part; 3] = [
    Part {
        binary: "kernel",
        chosen: &[
            "verifier::",
            "attach::",
            "explain::",
            "maps::",
            "twin::",
            "they_agree_on_every_row",
        ],
        left: &["within_100_ms", "less_than_two_milliseconds"],
    },
    // A whole life, every shape of a cluster, and what is attached differently where there is no tcx.
    Part {
        binary: "netns",
        chosen: &[
            "smoke",
            "everyone_reaches_the_pods_of_every_shape",
            "the_outside_reaches_the_nodes",
            "with_filters_of_others",
        ],
        left: &[],
    },
    EXTRAS,
];

/// What runs under the others, which attach as the machine's own does: their verifiers, and a life.
const NEWER: [Part; 3] = [
    Part {
        binary: "kernel",
        chosen: &["verifier::", "explain::", "they_agree_on_every_row"],
        left: &[],
    },
    Part {
        binary: "netns",
        chosen: &["smoke"],
        left: &[],
    },
    EXTRAS,
];

/// Protocols and devices that the machine's own kernel may lack.
const EXTRAS: Part = Part {
    binary: "vm",
    chosen: &[],
    left: &[],
};

/// Runs the floor under every kernel; a filter chooses tests by name.
///
/// # Errors
/// The tests do not build, or a machine cannot be made; failures of tests and machines are in the tally.
pub(crate) fn run(filter: Option<&str>, tally: &mut Tally) -> Result<()> {
    let built = build_tests()?;
    let folder = workspace::target().join("vm");
    fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    for (number, series) in KERNELS.into_iter().enumerate() {
        let parts = if number == 0 { &OLDEST } else { &NEWER };
        let tests: Vec<_> = parts
            .iter()
            .map(|part| part.run(&built, filter))
            .collect::<Result<_>>()?;
        let contents = Contents {
            agent: &workspace::agent(),
            helpers: &built.helpers,
            tests: &tests,
            is_filtered: filter.is_some(),
        };
        let mut under = Tally::default();
        if let Err(error) = under_kernel(series, &folder, &contents, &mut under) {
            under.fail(format!("{error:#}"));
        }
        tally.add(series, &under);
    }
    Ok(())
}

impl Part {
    fn run(&self, built: &Built, filter: Option<&str>) -> Result<TestRun> {
        let chosen = filter.map_or_else(|| self.chosen.to_vec(), |filter| vec![filter]);
        let mut arguments: Vec<_> = chosen.into_iter().map(str::to_owned).collect();
        arguments.extend(self.left.iter().map(|name| format!("--skip={name}")));
        arguments.push(format!("--test-threads={PROCESSORS}"));
        Ok(TestRun {
            name: self.binary,
            binary: built.test(self.binary)?,
            arguments,
        })
    }
}

fn under_kernel(series: &'static str, folder: &Path, contents: &Contents<'_>, tally: &mut Tally) -> Result<()> {
    let kernel = setup::kernel(series)?;
    let initramfs = folder.join(format!("{series}.cpio"));
    let console = folder.join(format!("{series}.console"));
    image::write(&initramfs, &kernel, contents)?;
    println!("-- kernel {series}: its messages are in {} --", console.display());
    let mut report = Report {
        is_filtered: contents.is_filtered,
        ..Report::default()
    };
    let end = machine::run(&kernel.image, &initramfs, &console, PATIENCE, |line| {
        report.line(line, tally)
    })?;
    if end == End::Deadline {
        tally.fail(format!(
            "the machine did not end within {} minutes",
            PATIENCE.as_secs() / 60
        ));
    }
    let complete = report.finish(tally);
    if !complete || end == End::Deadline {
        println!("-- the last lines of the console --\n{}", machine::tail(&console));
    }
    fs::remove_file(&initramfs).with_context(|| format!("{}: cannot be removed", initramfs.display()))
}

/// What a machine wrote, test binary by test binary.
#[derive(Default)]
struct Report {
    current: Option<(String, Reading)>,
    /// Whether tests were chosen by name, so that a binary may have none.
    is_filtered: bool,
    is_complete: bool,
}

impl Report {
    fn line(&mut self, line: &str, tally: &mut Tally) {
        println!("{line}");
        if let Some(name) = line.strip_prefix(image::BEGIN) {
            self.current = Some((name.trim().to_owned(), Reading::default()));
        } else if let Some(end) = line.strip_prefix(image::END) {
            self.close(end.ends_with(" 0"), tally);
        } else if line == image::DONE {
            self.is_complete = true;
        } else if let Some((_, reading)) = &mut self.current {
            reading.line(line);
        }
    }

    fn close(&mut self, success: bool, tally: &mut Tally) {
        if let Some((name, reading)) = self.current.take() {
            let mut tests = Tally::default();
            reading.finish(success, &name, &mut tests);
            if tests.is_empty() && !self.is_filtered {
                tests.fail("no test ran".to_owned());
            }
            tally.add(&name, &tests);
        }
    }

    /// Whether everything ran; a binary that was cut off is a failure.
    fn finish(mut self, tally: &mut Tally) -> bool {
        self.close(false, tally);
        if !self.is_complete {
            tally.fail("the machine ended before its tests did".to_owned());
        }
        self.is_complete
    }
}

/// What cargo made of the tests crate.
struct Built {
    tests: Vec<PathBuf>,
    helpers: Vec<PathBuf>,
}

impl Built {
    /// The test binary of a name: `name-HASH`.
    fn test(&self, name: &str) -> Result<PathBuf> {
        let is_named = |path: &&PathBuf| {
            let file = path
                .file_name()
                .map(|file| file.to_string_lossy().into_owned())
                .unwrap_or_default();
            file.rsplit_once('-').is_some_and(|(stem, _)| stem == name)
        };
        match self.tests.iter().find(is_named) {
            Some(path) => Ok(path.clone()),
            None => bail!("the tests crate has no test called {name}"),
        }
    }
}

fn build_tests() -> Result<Built> {
    let mut cargo = process::cargo();
    cargo.current_dir(workspace::root());
    cargo.args([
        "test",
        "--package",
        "tests",
        "--tests",
        "--bins",
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ]);
    let (tests, helpers) = executables(&process::read(&mut cargo)?);
    Ok(Built { tests, helpers })
}

/// The executables in cargo's messages: test binaries, which lie in `deps/`, and the programs of the crate.
fn executables(messages: &str) -> (Vec<PathBuf>, Vec<PathBuf>) {
    // One message a line; a path with a quote in it would be a checkout nobody can build in.
    let paths = messages
        .lines()
        .filter_map(|line| line.split_once("\"executable\":\"")?.1.split('"').next());
    paths
        .map(PathBuf::from)
        .partition(|path| path.parent().is_some_and(|folder| folder.ends_with("deps")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_tests_are_told_apart() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":\"/t/debug/deps/kernel-1f\",\"fresh\":true}\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":\"/t/debug/peer\",\"fresh\":true}\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":null}\n";
        let (tests, helpers) = executables(messages);
        assert_eq!(helpers, [PathBuf::from("/t/debug/peer")]);
        let built = Built { tests, helpers };
        assert_eq!(built.test("kernel").unwrap(), PathBuf::from("/t/debug/deps/kernel-1f"));
        assert_eq!(
            built.test("netns").unwrap_err().to_string(),
            "the tests crate has no test called netns"
        );
    }

    fn report(lines: &[&str]) -> (Tally, bool) {
        let mut tally = Tally::default();
        let mut report = Report::default();
        lines.iter().for_each(|line| report.line(line, &mut tally));
        let complete = report.finish(&mut tally);
        (tally, complete)
    }

    const OK: &str = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.01s";

    #[test]
    fn a_machine_that_ran_everything_is_counted() {
        let lines = [
            "fairlead-vm begin kernel",
            "running 3 tests",
            OK,
            "fairlead-vm end kernel 0",
            "fairlead-vm done",
        ];
        let (tally, complete) = report(&lines);
        assert_eq!((tally.passed(), tally.failures().len(), complete), (3, 0, true));
    }

    #[test]
    fn a_machine_that_stops_half_way_has_failed() {
        let (tally, complete) = report(&["fairlead-vm begin kernel", "running 3 tests", "test a ... ok"]);
        let expected = [
            "kernel: a binary of 3 tests ended without a result",
            "the machine ended before its tests did",
        ];
        assert_eq!((tally.failures(), complete), (&expected.map(str::to_owned)[..], false));
    }

    #[test]
    fn a_machine_that_never_came_up_has_failed() {
        assert!(!report(&[]).0.failures().is_empty());
    }

    #[test]
    fn a_binary_of_which_no_test_was_chosen_has_failed() {
        let result = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s";
        let lines = [
            "fairlead-vm begin netns",
            "running 0 tests",
            result,
            "fairlead-vm end netns 0",
            "fairlead-vm done",
        ];
        assert_eq!(report(&lines).0.failures(), ["netns: no test ran"]);
    }
}
