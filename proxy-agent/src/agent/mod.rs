//! The object's way: wait for changes, take what is queued, model -> desired -> diff -> apply. One thread, no async.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{debug, info, warn};

use crate::{
    desired::{Changes, FamilyKind, ServicePortId},
    health::{Health, Pass},
    model::ObjectName,
    settings::NodeSettings,
    watch::{
        Change, Notice,
        events::{Events, Incident, Outcome, of_refusals},
    },
};

pub use inbox::{Inbox, Wake};
pub use objects::{Counts, Objects};
pub use snapshot::snapshot;

use retry::Retry;

mod inbox;
mod objects;
mod retry;
mod snapshot;
#[cfg(test)]
mod tests;

/// The last two stages and the host they work on, as the agent sees them: `apply::KernelPath` in life, memory in tests.
pub trait DataPath {
    /// News from the host: a device came, an address went. Made by `host`, on a thread or task of its own, and queued to
    /// the agent beside the API's changes.
    type News: Send + 'static;

    /// Takes the host's news into account: programs on devices, addresses in maps. Returns everything of the host's that
    /// cannot be done at the moment, the old included.
    fn host_changed(&mut self, news: Self::News) -> Vec<Failure>;

    /// Every address of the host's network namespace. Asked for at the start and after [`DataPath::host_changed`].
    fn addresses(&self) -> BTreeSet<IpAddr>;

    /// Writes the difference between `changes` and what the maps hold. One failed write stops nothing else: it is
    /// returned, and the agent hands the same service (or the node) over again, in its then newest state, after a pause
    /// that grows from one failure to the next. A service named in a [`Failure`] keeps its old state in force.
    fn apply(&mut self, changes: &Changes) -> Vec<Failure>;

    /// Does what can be done now and could not be done before, such as giving up memory after a grace period. Called
    /// when nothing else is queued, at least once a second. Returns what [`DataPath::host_changed`] returns.
    fn idle(&mut self) -> Vec<Failure>;

    /// How many writes to maps there have been since the start.
    fn writes(&self) -> u64;
}

/// Something that could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Subject::Service(id) => write!(f, "service {id}"),
            Subject::Node => f.write_str("node"),
            Subject::Host(name) => f.write_str(name),
        }
    }
}

fn not_programmed(id: &ServicePortId, reason: &str) -> Incident {
    let name = ObjectName {
        namespace: Arc::clone(&id.namespace),
        name: Arc::clone(&id.name),
    };
    let family = match id.family {
        FamilyKind::V4 => "IPv4",
        FamilyKind::V6 => "IPv6",
    };
    let protocol = format!("{:?}", id.protocol).to_uppercase();
    let port = format!("port {:?} of {protocol}, {family}", id.port);
    Incident::of_service(name, format!("{port}: {reason}; what is in force stays in force"))
}

/// How many changes of one pass are timed at most.
const NEWS: usize = 4096;

/// How long the agent sleeps at most.
const IDLE: Duration = Duration::from_secs(1);

/// All stages, one after the other.
#[derive(Debug)]
pub struct Agent<D> {
    objects: Objects,
    data_path: D,
    health: Arc<Health>,
    events: Events,
    /// How many fields were refused when that was told last.
    refused: usize,
    retry: Retry,
    failures: BTreeMap<Subject, String>,
    troubles: BTreeMap<&'static str, String>,
    /// When the changes were read that the next pass takes in.
    news: Vec<Instant>,
    started: bool,
}

impl<D: DataPath> Agent<D> {
    /// An agent that knows nothing yet.
    #[must_use]
    pub fn new(settings: &NodeSettings, data_path: D, health: Arc<Health>) -> Self {
        let mut objects = Objects::new(settings);
        objects.set_node_addresses(data_path.addresses());
        Agent {
            objects,
            data_path,
            health,
            events: Events::default(),
            refused: 0,
            retry: Retry::default(),
            failures: BTreeMap::new(),
            troubles: BTreeMap::new(),
            news: Vec::new(),
            started: false,
        }
    }

    /// The same agent, which tells the cluster what is wrong with its objects.
    #[must_use]
    pub fn telling(mut self, events: Events) -> Self {
        self.events = events;
        self
    }

    /// Works until it is told to stop.
    pub fn run(&mut self, inbox: &mut Inbox<D::News>) {
        loop {
            let now = Instant::now();
            let wait = self.retry.wait(now).map_or(IDLE, |wait| wait.min(IDLE));
            let mut wake = inbox.next(wait);
            loop {
                match wake {
                    Wake::Stop => return,
                    Wake::Notice(notice) => self.notice(notice),
                    Wake::News(news) => self.news(news),
                    Wake::Nothing => break,
                }
                wake = inbox.queued();
            }
            self.pass(Instant::now());
            let failures = self.data_path.idle();
            self.host_failures(failures);
            self.health.wrote(self.data_path.writes());
            self.health.beat(Instant::now());
        }
    }

    /// Takes in what a source says.
    pub fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Changes { seen, changes } => {
                if self.news.len() < NEWS && changes.iter().any(Change::is_news) {
                    self.news.push(seen);
                }
                for change in changes {
                    self.objects.take(change);
                }
            }
            Notice::Trouble { source, reason } => {
                match reason {
                    Some(reason) => self.troubles.insert(source, reason),
                    None => self.troubles.remove(source),
                };
                self.health.troubles(&self.troubles);
            }
        }
    }

    /// Takes in what the host says.
    pub fn news(&mut self, news: D::News) {
        let failures = self.data_path.host_changed(news);
        self.host_failures(failures);
        self.objects.set_node_addresses(self.data_path.addresses());
    }

    /// Brings the maps to what is wanted, if anything may be different.
    pub fn pass(&mut self, now: Instant) {
        if self.retry.take(now) {
            for subject in self.failures.keys() {
                self.objects.again(subject);
            }
        }
        let news = std::mem::take(&mut self.news);
        while let Some(changes) = self.objects.wanted() {
            self.health.pending(now);
            let failures = self.data_path.apply(&changes);
            if changes.complete && failures.is_empty() {
                self.health.followed(&news);
            }
            self.settle(&changes, failures, now);
            if changes.complete {
                self.report(now, &changes);
            }
        }
        if self.objects.is_complete() {
            self.complain();
        }
    }

    /// Tells which fields cannot be used, as far as that is new: an object may be refused without a change of anything.
    fn complain(&mut self) {
        let complaints = self.objects.take_complaints();
        let refused = self.objects.refused();
        let changed = std::mem::replace(&mut self.refused, refused) != refused;
        if complaints.is_empty() && !changed {
            return;
        }
        self.health.refused(refused, &complaints);
        for complaint in &complaints {
            warn!("refused: {complaint}");
        }
        for incident in of_refusals(&complaints) {
            self.tell(incident);
        }
    }

    fn tell(&self, incident: Incident) {
        if !self.events.tell(incident) {
            self.health.metrics.event(Outcome::Lost);
        }
    }

    /// Remembers what could not be written, and when to try it again.
    fn settle(&mut self, changes: &Changes, failures: Vec<Failure>, now: Instant) {
        let before = std::mem::take(&mut self.failures);
        let settled = |subject: &Subject| match subject {
            Subject::Service(id) => changes.services.contains_key(id),
            Subject::Node => changes.node.is_some(),
            Subject::Host(_) => false,
        };
        self.failures.extend(
            before
                .iter()
                .filter(|(subject, _)| !settled(subject))
                .map(|(s, r)| (s.clone(), r.clone())),
        );
        for Failure { of, reason } in failures {
            if before.get(&of) != Some(&reason) {
                warn!("{of}: {reason}; what is in force stays in force");
                if let Subject::Service(id) = &of {
                    self.tell(not_programmed(id, &reason));
                }
            }
            self.failures.insert(of, reason);
        }
        let waiting = self.failures.keys().any(|subject| !matches!(subject, Subject::Host(_)));
        self.retry.settle(waiting, now);
    }

    fn host_failures(&mut self, failures: Vec<Failure>) {
        let is_host = |subject: &Subject| matches!(subject, Subject::Host(_));
        let known = self.failures.iter().filter(|(subject, _)| is_host(subject)).count();
        if known == 0 && failures.is_empty() {
            return;
        }
        for Failure { of, reason } in &failures {
            if self.failures.get(of) != Some(reason) {
                warn!("{of}: {reason}");
            }
        }
        self.failures.retain(|subject, _| !is_host(subject));
        self.failures
            .extend(failures.into_iter().map(|failure| (failure.of, failure.reason)));
        self.health.failures(&self.failures);
    }

    /// After a pass that leaves nothing to be handed over.
    fn report(&mut self, began: Instant, changes: &Changes) {
        let pass = Pass {
            began,
            took: began.elapsed(),
            changed: self.objects.take_counts(),
            node_eligible: self.objects.node_eligible(),
        };
        if self.retry.is_idle() {
            self.health.programmed(&self.objects.take_triggers());
        }
        self.health.passed(&pass, &self.failures);
        if !self.started {
            self.started = true;
            if !self.objects.knows_node() {
                warn!("there is no Node object of this node: its node ports wait for it, unless they are configured");
            }
            info!(services = self.objects.services(), "everything is programmed");
        }
        debug!(services = changes.services.len(), node = changes.node.is_some(), "pass");
    }
}
