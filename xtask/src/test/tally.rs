//! How many tests passed, and what failed.

/// The result of a floor, or of all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: usize,
    failures: Vec<String>,
    notes: Vec<String>,
}

impl Tally {
    pub(crate) fn pass(&mut self, count: usize) {
        self.passed += count;
    }

    /// Counts one failure; `what` is the name of a test, or the reason why none could run.
    pub(crate) fn fail(&mut self, what: String) {
        self.failures.push(what);
    }

    /// Keeps something the reader must know that is neither passed nor failed.
    pub(crate) fn note(&mut self, what: &str) {
        self.notes.push(what.to_owned());
    }

    /// Counts a check that is no libtest test.
    pub(crate) fn check(&mut self, name: &str, result: anyhow::Result<()>) {
        match result {
            Ok(()) => {
                println!("{name} ... ok");
                self.pass(1);
            }
            Err(error) => {
                println!("{name} ... FAILED: {error:#}");
                self.fail(format!("{name}: {error:#}"));
            }
        }
    }

    pub(crate) fn passed(&self) -> usize {
        self.passed
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether nothing was counted at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.passed == 0 && self.failures.is_empty()
    }

    /// Adds another's counts, its failures under its name.
    pub(crate) fn add(&mut self, name: &str, other: &Self) {
        self.passed += other.passed;
        self.failures
            .extend(other.failures.iter().map(|failure| format!("{name}: {failure}")));
        self.notes
            .extend(other.notes.iter().map(|note| format!("{name}: {note}")));
    }
}
