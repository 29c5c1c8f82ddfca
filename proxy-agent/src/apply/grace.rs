//! When the programs that were running have ended: an RCU grace period, waited for on a thread of its own.
//!
//! What the programs may still be looking at is given to others only after one. Programs of all our types run inside
//! `rcu_read_lock`, and the kernel ends an update of an array of maps by waiting for exactly that (8 to 16 ms).
//! `membarrier` would not do: it waits for processors, not for readers.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// A grace period that was asked for: over once [`Grace::completed`] has reached it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What waits for grace periods.
pub struct Grace {
    shared: Arc<Shared>,
    mode: Mode,
}

enum Mode {
    /// A thread waits.
    Thread,
    /// Whoever holds the other handle says when a period is over: for tests.
    ByHand,
    /// Nothing is ever waited for: breaks the promise, to show that the promise is kept.
    Never,
}

#[derive(Default)]
struct Shared {
    wanted: Mutex<Wanted>,
    changed: Condvar,
    completed: AtomicU64,
}

#[derive(Default)]
struct Wanted {
    ticket: u64,
    end: bool,
}

impl Grace {
    /// Starts the thread. `wait` returns after one grace period; `over` is called after each that was asked for.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(
        mut wait: impl FnMut() -> io::Result<()> + Send + 'static,
        over: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("grace".into()).spawn(move || {
            let mut done = 0;
            while let Some(ticket) = theirs.next(done) {
                match wait() {
                    Ok(()) => {
                        done = ticket;
                        theirs.completed.store(done, Ordering::Release);
                        over();
                    }
                    Err(error) => {
                        // Nothing is reused without a grace period; the maps fill up and health says so.
                        tracing::error!(%error, "waiting for a grace period failed; retired blocks stay unused");
                        return;
                    }
                }
            }
        })?;
        Ok(Grace {
            shared,
            mode: Mode::Thread,
        })
    }

    /// Grace periods that end when the returned hand says so.
    #[must_use]
    pub fn by_hand() -> (Self, Hand) {
        let shared = Arc::new(Shared::default());
        let hand = Hand(Arc::clone(&shared));
        let mode = Mode::ByHand;
        (Grace { shared, mode }, hand)
    }

    /// Grace periods that are over at once, although they are not. For the test that shows what they are for.
    #[must_use]
    pub fn unsafely_none() -> Self {
        Grace {
            shared: Arc::default(),
            mode: Mode::Never,
        }
    }

    /// Asks for a grace period that begins now or later.
    pub fn request(&self) -> Ticket {
        let mut wanted = locked(&self.shared.wanted);
        wanted.ticket += 1;
        if matches!(self.mode, Mode::Never) {
            self.shared.completed.store(wanted.ticket, Ordering::Release);
        }
        self.shared.changed.notify_all();
        Ticket(wanted.ticket)
    }

    /// The last grace period that is over.
    #[must_use]
    pub fn completed(&self) -> Ticket {
        Ticket(self.shared.completed.load(Ordering::Acquire))
    }
}

impl Drop for Grace {
    fn drop(&mut self) {
        locked(&self.shared.wanted).end = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Waits until a period beyond `done` is wanted and returns the latest; `None` at the end.
    fn next(&self, done: u64) -> Option<u64> {
        let mut wanted = locked(&self.wanted);
        loop {
            if wanted.end {
                return None;
            }
            if wanted.ticket > done {
                return Some(wanted.ticket);
            }
            wanted = self.changed.wait(wanted).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Ends grace periods of [`Grace::by_hand`].
pub struct Hand(Arc<Shared>);

impl Hand {
    /// Every period that was asked for is over.
    pub fn pass(&self) {
        let ticket = locked(&self.0.wanted).ticket;
        self.0.completed.store(ticket, Ordering::Release);
    }
}

/// The state is a number and a flag: no panic can leave it half-written.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_ticket_asked_for_during_a_period_waits_for_the_next_one() {
        let (entered, enters) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let (over, ends) = mpsc::channel();
        let grace = Grace::start(
            move || {
                entered.send(()).map_err(io::Error::other)?;
                released.recv().map_err(io::Error::other)
            },
            move || over.send(()).unwrap_or_default(),
        )
        .expect("a thread");
        let first = grace.request();
        enters.recv().expect("the first wait begins");
        let second = grace.request();
        release.send(()).expect("the thread waits");
        ends.recv().expect("the first period ends");
        assert!(grace.completed() >= first && grace.completed() < second);
        enters.recv().expect("the second wait begins");
        release.send(()).expect("the thread waits");
        ends.recv().expect("the second period ends");
        assert!(grace.completed() >= second);
    }

    #[test]
    fn periods_by_hand_end_when_the_hand_says_so() {
        let (grace, hand) = Grace::by_hand();
        let ticket = grace.request();
        assert!(grace.completed() < ticket);
        hand.pass();
        assert!(grace.completed() >= ticket);
    }
}
