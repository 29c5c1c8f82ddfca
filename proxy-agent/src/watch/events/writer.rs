//! Incidents to the API server, one after the other.

use std::{
    collections::HashSet,
    fmt::Debug,
    time::{Duration, Instant},
};

use k8s_openapi::{api::events::v1::Event, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc::Receiver, time::sleep};
use tracing::{debug, warn};

use crate::{
    model::{Kind, ObjectName},
    watch::{api::one_line, object},
};

use super::{Incident, event::event, pace::Pace};

/// How often an event is tried when the server is away or busy.
const TRIES: u32 = 3;
/// The first pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// How many names of events are remembered.
const REMEMBERED: usize = 1024;

/// What became of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is told.
    Told,
    /// It was told already, by this agent or by another one.
    Known,
    /// It is not told: the object is gone, or the server does not take it.
    Lost,
}

impl Outcome {
    /// As metrics name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Told => "told",
            Outcome::Known => "known",
            Outcome::Lost => "lost",
        }
    }
}

/// Writes until nobody has anything to tell any more. `node` is this node's name; `count` is given what became of each.
pub async fn write(client: Client, node: String, mut incidents: Receiver<Incident>, count: impl Fn(Outcome)) {
    let mut writer = Writer {
        client,
        node,
        told: HashSet::new(),
        complained: false,
    };
    let mut pace = Pace::new(Instant::now());
    while let Some(incident) = incidents.recv().await {
        sleep(pace.next(Instant::now())).await;
        count(writer.tell(&incident).await);
    }
}

struct Writer {
    client: Client,
    node: String,
    /// The names of events that are there.
    told: HashSet<String>,
    /// Whether the log says already that events cannot be written.
    complained: bool,
}

impl Writer {
    async fn tell(&mut self, incident: &Incident) -> Outcome {
        let mut pause = PAUSE;
        for attempt in 1..=TRIES {
            match self.attempt(incident).await {
                Ok(outcome) => return outcome,
                Err(error) if is_final(&error) => {
                    self.complain(&error);
                    return Outcome::Lost;
                }
                Err(error) => debug!(
                    "an event about {}: {}, try {attempt} of {TRIES}",
                    incident.name,
                    text(&error)
                ),
            }
            if attempt < TRIES {
                sleep(pause).await;
                pause *= 4;
            }
        }
        Outcome::Lost
    }

    async fn attempt(&mut self, incident: &Incident) -> Result<Outcome, kube::Error> {
        let Some(uid) = self.uid(incident).await? else {
            return Ok(Outcome::Lost);
        };
        let event = event(incident, &self.node, &uid, Timestamp::now());
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let name = event.metadata.name.clone().unwrap_or_default();
        if self.told.contains(&name) {
            return Ok(Outcome::Known);
        }
        let events: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let outcome = match events.create(&PostParams::default(), &event).await {
            Ok(_) => Outcome::Told,
            Err(kube::Error::Api(status)) if status.code == 409 => Outcome::Known,
            Err(error) => return Err(error),
        };
        self.complained = false;
        if self.told.len() >= REMEMBERED {
            self.told.clear();
        }
        self.told.insert(name);
        Ok(outcome)
    }

    /// The object's identity, without which `kubectl describe` does not show its events. `None`: it is gone.
    async fn uid(&self, incident: &Incident) -> Result<Option<String>, kube::Error> {
        let (name, client) = (&incident.name, self.client.clone());
        match incident.kind {
            // As the kubelet's events about its node have it.
            Kind::Node => Ok(Some(name.name.to_string())),
            Kind::Service => find::<object::Service>(Api::namespaced(client, &name.namespace), name).await,
            Kind::EndpointSlice => find::<object::EndpointSlice>(Api::namespaced(client, &name.namespace), name).await,
            Kind::ServiceCidr => find::<object::ServiceCidr>(Api::all(client), name).await,
        }
    }

    fn complain(&mut self, error: &kube::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            warn!("events: {}; what they would tell is in the log", text(error));
        }
    }
}

/// Listed and not got: kube-proxy's role lets nobody get a Service.
async fn find<K: Clone + Debug + DeserializeOwned>(
    api: Api<K>,
    name: &ObjectName,
) -> Result<Option<String>, kube::Error> {
    let only = ListParams::default().fields(&format!("metadata.name={}", name.name));
    let found = api.list_metadata(&only).await?.items.into_iter().next();
    Ok(found.map(|object| object.metadata.uid.unwrap_or_default()))
}

fn text(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        status.message.clone()
    } else {
        one_line(error)
    }
}

/// Whether another try would have the same answer.
fn is_final(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429)
}
