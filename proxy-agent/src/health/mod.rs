//! How the agent is: told over HTTP as kube-proxy tells it (B-125 to B-130), and to `fairlead status` over a socket.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use crate::{
    agent::{Counts, Subject},
    desired::ProxyMode,
    model::Complaint,
    settings::NodeSettings,
};

pub use metrics::Metrics;
pub use report::Report;
pub use socket::ask;

pub mod serve;
mod clock;
mod metrics;
mod report;
mod socket;
#[cfg(test)]
mod tests;

/// A change that is not in the maps after this time makes the agent unhealthy: twice kube-proxy's sync period (B-125).
const PATIENCE: Duration = Duration::from_secs(60);

/// How the agent is. Written by the agent's thread, read by those that answer.
#[derive(Debug)]
pub struct Health {
    node: String,
    mode: ProxyMode,
    state: Mutex<State>,
    /// What is counted.
    pub metrics: Metrics,
}

#[derive(Debug)]
struct State {
    began: SystemTime,
    /// When the agent's thread last came round.
    beat: Instant,
    /// The first pass after which nothing was missing.
    complete: Option<SystemTime>,
    /// The last pass after which nothing was missing.
    updated: Option<SystemTime>,
    /// Since when something that is wanted is not in the maps.
    pending: Option<Instant>,
    troubles: BTreeMap<&'static str, String>,
    failures: BTreeMap<String, String>,
    refused: usize,
    writes: u64,
    node_eligible: bool,
}

/// A pass of the agent.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// When it began.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
    /// How many changes it took in.
    pub changed: Counts,
    /// Whether load balancers should send new traffic to this node.
    pub node_eligible: bool,
}

impl Health {
    /// An agent that has just begun.
    #[must_use]
    pub fn new(settings: &NodeSettings) -> Self {
        Health {
            node: settings.name.clone(),
            mode: settings.mode,
            state: Mutex::new(State {
                began: SystemTime::now(),
                beat: Instant::now(),
                complete: None,
                updated: None,
                pending: None,
                troubles: BTreeMap::new(),
                failures: BTreeMap::new(),
                refused: 0,
                writes: 0,
                node_eligible: true,
            }),
            metrics: Metrics::default(),
        }
    }

    /// The agent's thread came round.
    pub fn beat(&self, now: Instant) {
        self.state().beat = now;
    }

    /// There have been so many writes to maps since the start.
    pub fn wrote(&self, writes: u64) {
        self.state().writes = writes;
    }

    /// Changes that were read at these times are in the maps.
    pub fn followed(&self, seen: &[Instant]) {
        for seen in seen {
            self.metrics.followed(seen.elapsed());
        }
    }

    /// Something that is wanted may not be in the maps.
    pub fn pending(&self, now: Instant) {
        self.state().pending.get_or_insert(now);
        self.metrics.queued(SystemTime::now());
    }

    /// A pass is over. What could not be written is in `failures`.
    pub fn passed(&self, pass: &Pass, failures: &BTreeMap<Subject, String>) {
        let now = SystemTime::now();
        let mut state = self.state();
        state.node_eligible = pass.node_eligible;
        state.failures = named(failures);
        // What the host cannot do is shown, but no change waits for it.
        if failures.keys().all(|subject| matches!(subject, Subject::Host(_))) {
            state.pending = None;
            state.updated = Some(now);
            state.complete.get_or_insert(now);
        }
        self.metrics.passed(pass, failures.len(), now);
    }

    /// Endpoints' changes that were made at these times are in the maps. What was made before the agent began says
    /// nothing about it (B-28).
    pub fn programmed(&self, triggers: &[SystemTime]) {
        let now = SystemTime::now();
        let began = self.state().began;
        for since in triggers
            .iter()
            .filter(|trigger| **trigger >= began)
            .map(|trigger| now.duration_since(*trigger))
        {
            self.metrics.programmed(since.unwrap_or_default());
        }
    }

    /// What cannot be done at the moment.
    pub fn failures(&self, failures: &BTreeMap<Subject, String>) {
        self.state().failures = named(failures);
        self.metrics.failures(failures.len());
    }

    /// So many fields of objects are refused, and these of them are new.
    pub fn refused(&self, refused: usize, complaints: &[Complaint]) {
        self.state().refused = refused;
        self.metrics.refused(refused, complaints);
    }

    /// How the sources are.
    pub fn troubles(&self, troubles: &BTreeMap<&'static str, String>) {
        self.state().troubles.clone_from(troubles);
    }

    /// Whether the agent's thread comes round and every change of the last minute is in the maps.
    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.state().beat) < PATIENCE
    }

    fn is_healthy(&self, now: Instant) -> bool {
        let pending = self.state().pending;
        self.is_alive(now) && pending.is_none_or(|since| now.saturating_duration_since(since) < PATIENCE)
    }

    /// Whether everything that is wanted has been in the maps once, and nothing fails.
    fn is_ready(&self) -> bool {
        let state = self.state();
        state.complete.is_some() && state.failures.is_empty()
    }

    fn is_node_eligible(&self) -> bool {
        self.state().node_eligible
    }

    /// When everything was in the maps last: now, as long as the agent is healthy (B-128).
    fn updated(&self, now: Instant) -> SystemTime {
        if self.is_healthy(now) {
            SystemTime::now()
        } else {
            let state = self.state();
            state.updated.unwrap_or(state.began)
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn named(failures: &BTreeMap<Subject, String>) -> BTreeMap<String, String> {
    failures
        .iter()
        .map(|(subject, reason)| (subject.to_string(), reason.clone()))
        .collect()
}
