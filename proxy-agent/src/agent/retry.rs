//! When to try again what could not be written.

use std::time::{Duration, Instant};

/// The first pause.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(30);

/// A pause that doubles as long as something fails.
#[derive(Debug, Default)]
pub(super) struct Retry {
    pause: Option<Duration>,
    due: Option<Instant>,
}

impl Retry {
    /// How long until the next try; `None`: there is nothing to try.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(now))
    }

    /// Whether there is nothing to try.
    pub(super) const fn is_idle(&self) -> bool {
        self.due.is_none()
    }

    /// Whether to try now.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            self.due = None;
        }
        due
    }

    /// After a pass: whether something still waits. A pass that comes in between does not put the next try off.
    pub(super) fn settle(&mut self, waiting: bool, now: Instant) {
        if !waiting {
            *self = Retry::default();
        } else if self.due.is_none() {
            let pause = self.pause.map_or(SHORTEST, |pause| (pause * 2).min(LONGEST));
            self.pause = Some(pause);
            self.due = Some(now + pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_start_anew_after_a_success() {
        let now = Instant::now();
        let mut retry = Retry::default();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            retry.settle(true, now);
            let pause = retry.wait(now).expect("a next try");
            assert!(!retry.take(now));
            assert!(retry.take(now + pause));
            pauses.push(pause);
        }
        assert_eq!(pauses.first(), Some(&SHORTEST));
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&LONGEST));
        retry.settle(false, now);
        assert_eq!(retry.wait(now), None);
        retry.settle(true, now);
        assert_eq!(retry.wait(now), Some(SHORTEST));
    }
}
