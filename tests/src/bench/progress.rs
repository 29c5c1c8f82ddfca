//! How far a run is, for the person who waits.

use indicatif::{ProgressBar, ProgressStyle};

use super::peer::Peer;
use crate::measure::results::Subject;

/// One bar over all samples of the run, with the time that is left.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// For a run of so many samples.
    pub(super) fn of(samples: u64) -> Self {
        let bar = ProgressBar::new(samples);
        let template = "{elapsed_precise} [{bar:30}] {pos}/{len} samples, {eta_precise} left; {wide_msg}";
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar }
    }

    /// Something that is no sample.
    pub(super) fn tell(&self, what: &str) {
        if self.bar.is_hidden() {
            println!("{what}");
        } else {
            self.bar.println(what);
        }
    }

    /// A sample begins.
    pub(super) fn measuring(&mut self, subject: &Subject, peer: Peer) {
        self.bar.set_message(format!("{peer}: {subject}"));
        self.bar.inc(1);
    }

    /// Beside the samples.
    pub(super) fn profiling(&self, subject: &Subject, peer: Peer) {
        self.bar.set_message(format!("profile of {peer}: {subject}"));
    }

    /// A task that an earlier run did.
    pub(super) fn skip(&mut self, samples: u64) {
        self.bar.inc(samples);
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
