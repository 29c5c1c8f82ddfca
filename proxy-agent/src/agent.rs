//! The object's way: wait for changes, take what is queued, model -> desired -> diff -> apply. One thread, no async.

use std::{collections::BTreeSet, net::IpAddr};

use crate::desired::{Changes, ServicePortId};

/// The last two stages and the host they work on, as the agent sees them: `apply::KernelPath` in life, memory in tests.
pub trait DataPath {
    /// News from the host: a device came, an address went. Made by `host`, on a thread or task of its own, and queued to
    /// the agent beside the API's changes.
    type News: Send + 'static;

    /// Takes the host's news into account: programs on devices, addresses in maps.
    fn host_changed(&mut self, news: Self::News) -> Vec<Failure>;

    /// Every address of the host's network namespace. Asked for at the start and after [`DataPath::host_changed`].
    fn addresses(&self) -> BTreeSet<IpAddr>;

    /// Writes the difference between `changes` and what the maps hold. One failed write stops nothing else: it is
    /// returned, and the agent hands the same service (or the node) over again, in its then newest state, after a pause
    /// that grows from one failure to the next. A service named in a [`Failure`] keeps its old state in force.
    fn apply(&mut self, changes: &Changes) -> Vec<Failure>;

    /// Whether something can be done now that could not be done before, such as giving up memory after a grace period.
    /// Called when the agent is otherwise idle, at least once a second.
    fn idle(&mut self) -> Vec<Failure>;
}

/// Something that could not be written.
#[derive(Debug)]
pub struct Failure {
    /// What it is about.
    pub of: Subject,
    /// One line: what failed, and why.
    pub reason: String,
}

/// What a [`Failure`] is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A service. Its whole state is handed over again.
    Service(ServicePortId),
    /// The node's facts. They are handed over again.
    Node,
    /// Something of the host's, such as a device, by name; `host_changed` or `idle` try it again themselves.
    Host(String),
}
