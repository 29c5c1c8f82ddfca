//! When a folder that is being changed is worth looking at: a moment after the last change, or some time after the
//! first if changes do not end.

use std::time::{Duration, Instant};

/// Several files are often written in one go; they should count as one change.
const QUIET: Duration = Duration::from_millis(5);
/// A folder that never comes to rest is looked at all the same.
const LIMIT: Duration = Duration::from_millis(50);

/// Whether there is something to look at, and when.
#[derive(Debug, Default)]
pub(super) struct Debounce {
    /// The first and the last change since the last look.
    noticed: Option<(Instant, Instant)>,
}

impl Debounce {
    /// Something has changed.
    pub(super) fn notice(&mut self, now: Instant) {
        let first = self.noticed.map_or(now, |(first, _)| first);
        self.noticed = Some((first, now));
    }

    /// How long to wait; `None`: nothing has changed.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let (first, last) = self.noticed?;
        let due = (last + QUIET).min(first + LIMIT);
        Some(due.saturating_duration_since(now))
    }

    /// Whether to look now. If so, nothing has changed any more.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let due = self.wait(now) == Some(Duration::ZERO);
        if due {
            self.noticed = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_waits_for_a_quiet_moment() {
        let start = Instant::now();
        let mut debounce = Debounce::default();
        assert_eq!(debounce.wait(start), None);
        assert!(!debounce.take(start));
        debounce.notice(start);
        debounce.notice(start + QUIET / 2);
        assert!(!debounce.take(start + QUIET));
        assert!(debounce.take(start + QUIET / 2 + QUIET));
        assert!(!debounce.take(start + LIMIT));
    }

    #[test]
    fn a_folder_that_never_rests_is_looked_at_all_the_same() {
        let start = Instant::now();
        let mut debounce = Debounce::default();
        let looked = (0..100).map(|step| start + QUIET / 2 * step).find(|now| {
            debounce.notice(*now);
            debounce.take(*now)
        });
        assert_eq!(looked, Some(start + LIMIT));
    }
}
