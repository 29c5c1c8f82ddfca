//! Waiting for a condition instead of for a time.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a test waits for what should happen in milliseconds: long enough for a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(5);
/// Between two looks at what is timed: short against what is measured, long enough to leave the processors to it.
const SHORT_PAUSE: Duration = Duration::from_micros(20);

/// Asks `probe` until it answers, at most `within`; the error then says `what` did not come, and the last reason given.
///
/// `Ok(None)` and `Err` both mean "not yet"; an error's text is kept for the message.
pub fn until<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        let why = match probe() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if Instant::now() >= deadline {
            match why {
                Some(error) => bail!("{what}: not within {within:?}: {error:#}"),
                None => bail!("{what}: not within {within:?}"),
            }
        }
        thread::sleep(PAUSE);
    }
}

/// [`until`] for something that is timed: looked at so often that the look adds next to nothing, and cheap to look at.
pub fn closely<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = probe() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("{what}: not within {within:?}");
        }
        thread::sleep(SHORT_PAUSE);
    }
}

/// [`until`] for a condition that is true or not.
pub fn until_true(what: &str, within: Duration, mut probe: impl FnMut() -> Result<bool>) -> Result<()> {
    until(what, within, || Ok(probe()?.then_some(())))
}

/// Returns when it is `due`: the pace of what a test does again and again, never a wait for what others do.
pub fn pace(due: Instant) {
    thread::sleep(due.saturating_duration_since(Instant::now()));
}
