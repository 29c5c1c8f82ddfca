//! `results.json`: every sample of a run and what is needed to read it. `docs/benchmarks/SCHEMA.md` describes it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::profile::Profile;

/// The version of the file's shape: a reader refuses a later one.
pub const SCHEMA: u32 = 2;
/// The oldest version that is read. It has no profiles and no live flows.
pub const OLDEST_SCHEMA: u32 = 1;

/// A run: also a run that was stopped, or that goes on later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The machine.
    pub machine: Machine,
    /// How the run was made.
    pub run: Run,
    /// Everyone asked for, also those that could not be measured; the order is the report's.
    pub peers: Vec<Entrant>,
    /// One for each thing measured; the order is the report's.
    pub series: Vec<Series>,
    /// Why what was lost was lost.
    #[serde(default)]
    pub profiles: Vec<Profile>,
}

/// Facts of the machine that the figures depend on, by name, in the order to show them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Such as `("kernel", "6.18.0")`.
    pub facts: Vec<(String, String)>,
}

/// How a run was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The command line that repeats it.
    pub command: String,
    /// Of this project, with the commit where it is known.
    pub version: String,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// Measured rounds, without those that warm up.
    pub rounds: u32,
    /// How long one sample of a load takes, in milliseconds.
    pub sample_ms: u64,
    /// What decides the order within each round.
    pub seed: u64,
    /// Samples that failed and were taken a second time, with success or without.
    #[serde(default)]
    pub repeated: u32,
    /// Whether everything that was planned is there.
    pub complete: bool,
}

/// What a peer is, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entrant {
    /// As on the command line.
    pub name: String,
    /// What it stands for.
    pub kind: Kind,
    /// For people: what it is, with its version.
    pub title: String,
    /// What became of it.
    pub state: State,
}

/// What a peer stands for in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// No service, no rules: everything is shown as a ratio to it.
    Ceiling,
    /// The ceiling a second time: what it differs by from the first is the run's own error.
    Control,
    /// A mode of kube-proxy.
    KubeProxy,
    /// A mode of Fairlead.
    Fairlead,
}

/// What became of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It took part.
    Measured,
    /// This machine cannot have it, and why.
    Absent(String),
    /// It should have taken part and did not: why, with the end of its log.
    Failed(String),
}

/// One thing measured of every peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What was done, where, among how many.
    pub subject: Subject,
    /// What was read.
    pub metric: Metric,
    /// The values of each peer that has some.
    pub values: Vec<Values>,
}

/// The values of one peer, in the order of the rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// [`Entrant::name`].
    pub peer: String,
    /// In the metric's unit. Those of the same place in two peers come from the same round; more than there were rounds
    /// are single events.
    pub samples: Vec<f64>,
}

/// What a series is of. Two runs' series are the same thing when their subjects and metrics' names are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// The case's name on the command line, such as `tcp-short`.
    pub case: String,
    /// From where to where, such as `pod to pod, same node, bridge`.
    pub path: String,
    /// `IPv4`, `IPv6`, or empty where it is of neither.
    pub family: String,
    /// The host the peers run on: `bare`, or `as a node is`.
    pub host: String,
    /// Services that are programmed.
    pub services: u32,
    /// Endpoints of each.
    pub endpoints: u32,
    /// Conversations that lived beside the measurement, in the flow table of the node they cross; 0 where none were made.
    #[serde(default)]
    pub flows: u32,
    /// Where the measured service is in the peer's own list: `first`, `middle`, `last`, or empty where none is meant.
    pub position: String,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Such as `rate` or `p99`.
    pub name: String,
    /// Such as `connections/s` or `µs`.
    pub unit: String,
    /// Which way is good.
    pub better: Better,
}

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// A rate.
    Higher,
    /// A time, a size.
    Lower,
}

impl Results {
    /// The peers of a kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Entrant> {
        self.peers.iter().filter(move |peer| peer.kind == kind)
    }

    /// The same run without anything measured.
    pub fn empty(&self) -> Self {
        Self {
            schema: self.schema,
            machine: self.machine.clone(),
            run: self.run.clone(),
            peers: self.peers.clone(),
            series: Vec::new(),
            profiles: Vec::new(),
        }
    }

    /// The profile of a peer in a place, if there is one.
    pub fn profile(&self, subject: &Subject, peer: &str) -> Option<&Profile> {
        let is_it = |profile: &&Profile| profile.peer == peer && profile.subject == *subject;
        self.profiles.iter().find(is_it)
    }

    /// What became of a peer; nothing where there is none of that name.
    pub fn state(&self, peer: &str) -> Option<&State> {
        let is_it = |entrant: &&Entrant| entrant.name == peer;
        self.peers.iter().find(is_it).map(|entrant| &entrant.state)
    }

    /// Notes what became of a peer.
    pub fn set_state(&mut self, peer: &str, state: State) {
        if let Some(entrant) = self.peers.iter_mut().find(|entrant| entrant.name == peer) {
            entrant.state = state;
        }
    }

    /// Removes all that was measured of a subject.
    pub fn forget(&mut self, subject: &Subject) {
        self.series.retain(|series| series.subject != *subject);
        self.profiles.retain(|profile| profile.subject != *subject);
    }

    /// Adds a sample of a peer.
    pub fn add(&mut self, subject: &Subject, metric: &Metric, peer: &str, sample: f64) {
        let at = match self
            .series
            .iter()
            .position(|s| s.subject == *subject && s.metric == *metric)
        {
            Some(at) => at,
            None => {
                self.series.push(Series {
                    subject: subject.clone(),
                    metric: metric.clone(),
                    values: Vec::new(),
                });
                self.series.len() - 1
            }
        };
        let values = &mut self.series[at].values;
        match values.iter_mut().find(|values| values.peer == peer) {
            Some(values) => values.samples.push(sample),
            None => values.push(Values {
                peer: peer.to_owned(),
                samples: vec![sample],
            }),
        }
    }
}

impl Metric {
    /// A figure of which more is better.
    pub fn higher(name: &str, unit: &str) -> Self {
        Self::new(name, unit, Better::Higher)
    }

    /// A figure of which less is better.
    pub fn lower(name: &str, unit: &str) -> Self {
        Self::new(name, unit, Better::Lower)
    }

    fn new(name: &str, unit: &str, better: Better) -> Self {
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            better,
        }
    }
}

impl Series {
    /// The samples of a peer; none where it has none.
    pub fn samples(&self, peer: &str) -> &[f64] {
        let of_peer = self.values.iter().find(|values| values.peer == peer);
        of_peer.map(|values| &values.samples[..]).unwrap_or_default()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.case, self.path)?;
        for part in [&self.family, &self.host] {
            if !part.is_empty() {
                write!(f, ", {part}")?;
            }
        }
        write!(f, ", {} services of {}", self.services, self.endpoints)?;
        if self.flows > 0 {
            write!(f, ", {} live flows", self.flows)?;
        }
        if !self.position.is_empty() {
            write!(f, ", the {}", self.position)?;
        }
        Ok(())
    }
}
