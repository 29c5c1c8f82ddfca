//! Events: what the agent tells the cluster about its objects, where `kubectl describe` shows it (B-185 to B-190).
//!
//! Nobody waits for an event: it goes into a queue, from which a task of its own writes as fast as it may. What does not fit
//! is lost and counted; it is in the log all the same.

use tokio::sync::mpsc;

pub use incident::{Incident, Scope, of_refusals};
pub use writer::{Outcome, write};

mod incident;
mod event;
mod pace;
mod writer;
#[cfg(test)]
pub(in crate::watch) mod tests;

/// Where incidents are put. Without an API server, nowhere.
#[derive(Clone, Debug, Default)]
pub struct Events(Option<mpsc::Sender<Incident>>);

/// How many may wait.
const WAITING: usize = 256;

impl Events {
    /// A place for incidents, and its other end, for [`write`].
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Incident>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Events(Some(sender)), receiver)
    }

    /// Puts an incident there, without waiting. Returns false if it is lost, for want of room.
    #[must_use]
    pub fn tell(&self, incident: Incident) -> bool {
        self.0.as_ref().is_none_or(|sender| sender.try_send(incident).is_ok())
    }
}
