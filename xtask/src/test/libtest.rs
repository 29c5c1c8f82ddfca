//! Reads what the test harness prints, line by line, while the user reads it too.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::tally::Tally;
use crate::process;

/// Runs a command that runs tests and counts what they came to.
///
/// # Errors
/// The command cannot be started.
pub(super) fn run(command: &mut Command, tally: &mut Tally) -> Result<()> {
    let words = process::words(command);
    println!("{words}");
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be started", words.split(' ').next().unwrap_or_default()))?;
    let mut reading = Reading::default();
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            reading.line(text.trim_end());
            if is_shown(text.trim_end()) {
                std::io::stdout().write_all(&line)?;
            } else if let Some(progress) = reading.progress() {
                println!("{progress}");
            }
            line.clear();
        }
    }
    let status = child.wait()?;
    reading.finish(status.success(), &words, tally);
    Ok(())
}

/// Whether a line is worth its place: a log that may be cut is for what went wrong, so what passed is only counted there.
fn is_shown(line: &str) -> bool {
    !is_passed(line) || std::io::stdout().is_terminal()
}

/// What was read so far of one or more test binaries.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    passed: usize,
    failures: Vec<String>,
    /// Tests of the binary that runs now, until its result line is read.
    running: Option<usize>,
    /// Those of them that have passed so far.
    so_far: usize,
    /// The test whose output is being read, while it is.
    telling: Option<String>,
}

/// So many lines of what a failed test printed go into the summary: a log may keep no more than its end.
const REASON_LINES: usize = 12;
/// A log says after so many passed tests that they have.
const EVERY: usize = 25;

impl Reading {
    /// Takes one line; lines that are not the harness's are passed over.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(count) = announced(line) {
            self.close_unfinished();
            self.telling = None;
            self.running = Some(count);
            self.so_far = 0;
        } else if is_passed(line) {
            self.so_far += 1;
        } else if let Some(name) = heading(line) {
            self.telling = Some(name.to_owned());
        } else if line == "failures:" || line == "Stack backtrace:" {
            self.telling = None;
        } else if let Some(name) = &self.telling {
            tell(&mut self.failures, name, line);
        } else if let Some(name) = failed(line) {
            self.failures.push(name.to_owned());
        } else if let Some(counts) = Counts::read(line) {
            self.running = None;
            self.passed += counts.passed;
            if counts.ignored > 0 {
                self.failures.push(format!(
                    "{} tests are ignored, and nothing may be skipped",
                    counts.ignored
                ));
            }
        }
    }

    /// A line now and then for those who wait.
    fn progress(&self) -> Option<String> {
        let due = self.so_far > 0 && self.so_far.is_multiple_of(EVERY);
        due.then(|| format!("    {} of {} passed", self.so_far, self.running.unwrap_or_default()))
    }

    /// Adds everything to the tally; `success` is the exit of the command called `words`.
    pub(crate) fn finish(mut self, success: bool, words: &str, tally: &mut Tally) {
        self.close_unfinished();
        if !success && self.failures.is_empty() {
            // Not a test's failure: the build, a doc test's build, the command itself.
            self.failures.push(format!("`{words}` failed"));
        }
        tally.pass(self.passed);
        self.failures.into_iter().for_each(|failure| tally.fail(failure));
    }

    fn close_unfinished(&mut self) {
        if let Some(count) = self.running.take() {
            self.failures
                .push(format!("a binary of {count} tests ended without a result"));
        }
    }
}

/// Adds a line of what a failed test printed to its entry.
fn tell(failures: &mut [String], name: &str, line: &str) {
    let of_test = |failure: &&mut String| failure.lines().next() == Some(name);
    if let Some(failure) = failures.iter_mut().rfind(of_test)
        && !line.is_empty()
        && failure.lines().count() <= REASON_LINES
    {
        failure.push_str("\n    ");
        failure.push_str(line);
    }
}

/// The name in `---- NAME stdout ----`, above what a failed test printed.
fn heading(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// The number in `running 3 tests`.
fn announced(line: &str) -> Option<usize> {
    let rest = line.strip_prefix("running ")?;
    rest.strip_suffix(" tests")
        .or_else(|| rest.strip_suffix(" test"))?
        .parse()
        .ok()
}

/// Whether it is `test NAME ... ok`, as for a test that should panic, too.
fn is_passed(line: &str) -> bool {
    line.starts_with("test ") && line.ends_with(" ... ok")
}

/// The name in `test NAME ... FAILED`.
fn failed(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

/// The numbers of `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s`.
struct Counts {
    passed: usize,
    ignored: usize,
}

impl Counts {
    fn read(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("test result: ")?;
        let number = |word: &str| {
            rest.split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(word))
                .and_then(|n| n.trim().parse().ok())
        };
        Some(Self {
            passed: number("passed")?,
            ignored: number("ignored")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str], success: bool) -> Tally {
        let mut reading = Reading::default();
        lines.iter().for_each(|line| reading.line(line));
        let mut tally = Tally::default();
        reading.finish(success, "cargo test", &mut tally);
        tally
    }

    const OK: &str = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.01s";

    #[test]
    fn results_of_several_binaries_add_up() {
        let tally = read(
            &["running 3 tests", "test a ... ok", OK, "", "running 3 tests", OK],
            true,
        );
        assert_eq!((tally.passed(), tally.failures().len()), (6, 0));
    }

    #[test]
    fn a_failed_test_is_named() {
        let result =
            "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let tally = read(&["running 1 test", "test a::b ... FAILED", result], false);
        assert_eq!(tally.failures(), ["a::b"]);
    }

    #[test]
    fn a_failed_test_says_why_and_no_more_than_that() {
        let result =
            "test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let mut lines = vec![
            "running 2 tests",
            "test a ... FAILED",
            "test b ... FAILED",
            "",
            "failures:",
            "",
        ];
        lines.extend([
            "---- a stdout ----",
            "Error: no answer",
            "",
            "Stack backtrace:",
            "   0: std",
            "",
        ]);
        lines.extend(["---- b stdout ----"]);
        lines.extend(["test c ... FAILED"; REASON_LINES + 5]);
        lines.extend(["", "failures:", "    a", "    b", "", result]);
        let tally = read(&lines, false);
        let reason = "\n    test c ... FAILED".repeat(REASON_LINES);
        assert_eq!(tally.failures(), ["a\n    Error: no answer", &format!("b{reason}")]);
    }

    #[test]
    fn a_log_counts_what_passes_now_and_then() {
        let mut reading = Reading::default();
        reading.line("running 60 tests");
        let said: Vec<String> = (0..60)
            .filter_map(|n| {
                reading.line(&format!("test a::b{n} - should panic ... ok"));
                reading.progress()
            })
            .collect();
        assert_eq!(said, ["    25 of 60 passed", "    50 of 60 passed"]);
    }

    #[test]
    fn an_ignored_test_is_a_failure() {
        let result = "test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let tally = read(&["running 3 tests", result], true);
        assert_eq!(tally.failures(), ["2 tests are ignored, and nothing may be skipped"]);
    }

    #[test]
    fn a_build_that_fails_is_a_failure() {
        assert_eq!(read(&[], false).failures(), ["`cargo test` failed"]);
    }

    #[test]
    fn a_binary_that_dies_is_a_failure_even_if_another_follows() {
        let tally = read(&["running 7 tests", "test a ... ok", "running 3 tests", OK], false);
        assert_eq!(
            (tally.passed(), tally.failures()),
            (3, &["a binary of 7 tests ended without a result".to_owned()][..])
        );
    }

    #[test]
    fn what_a_test_prints_is_not_taken_for_a_result() {
        let tally = read(&["running 3 tests", "note: test result: none yet", OK], true);
        assert_eq!((tally.passed(), tally.failures().len()), (3, 0));
    }
}
