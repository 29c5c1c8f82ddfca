//! How fast events are written: a few at once, then one after the other.

use std::time::{Duration, Instant};

/// How many at once.
const BURST: u32 = 20;
/// How long one takes when many wait.
const EVERY: Duration = Duration::from_secs(2);

/// Says when the next event may be written.
#[derive(Debug)]
pub(super) struct Pace {
    /// When all that was written so far will be forgotten.
    rested: Instant,
}

impl Pace {
    pub(super) const fn new(now: Instant) -> Self {
        Pace { rested: now }
    }

    /// How long to wait before one more is written.
    pub(super) fn next(&mut self, now: Instant) -> Duration {
        self.rested = self.rested.max(now) + EVERY;
        let tired = self.rested.saturating_duration_since(now);
        tired.saturating_sub(EVERY * BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_written_at_once_and_then_one_after_the_other() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..BURST {
            assert_eq!(pace.next(now), Duration::ZERO);
        }
        for _ in 0..3 {
            assert_eq!(pace.next(now), EVERY);
            now += EVERY;
        }
        now += EVERY * BURST;
        for _ in 0..BURST {
            assert_eq!(pace.next(now), Duration::ZERO);
        }
        assert_eq!(pace.next(now), EVERY);
    }
}
