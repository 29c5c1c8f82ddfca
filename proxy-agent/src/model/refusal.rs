//! What cannot be used of an object, and which objects have such parts at the moment.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use super::ObjectName;

/// Which kind of object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// v1 Service.
    Service,
    /// discovery.k8s.io/v1 EndpointSlice.
    EndpointSlice,
    /// v1 Node.
    Node,
    /// networking.k8s.io/v1 ServiceCIDR.
    ServiceCidr,
}

impl Kind {
    /// As manifests write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Service => "Service",
            Kind::EndpointSlice => "EndpointSlice",
            Kind::Node => "Node",
            Kind::ServiceCidr => "ServiceCIDR",
        }
    }
}

/// A field that cannot be used. The rest of its object is used, as far as it can do without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The field, such as `spec.ports[1].nodePort`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Refusal {
    /// A refusal of a field.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Refusal {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

/// When an object was looked at: each look replaces what the one before it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Look {
    /// When it was read.
    Alone,
    /// When it was put together with the others.
    Together,
}

/// An object at one look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Suspect {
    kind: Kind,
    name: ObjectName,
    look: Look,
}

impl fmt::Display for Suspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)
    }
}

/// All refusals at the moment.
#[derive(Debug, Default)]
pub struct Refusals {
    by_object: BTreeMap<Suspect, Box<[Refusal]>>,
    news: Vec<String>,
    count: usize,
}

impl Refusals {
    /// What a look at an object has found, in place of what it found last time.
    pub fn found(&mut self, kind: Kind, name: &ObjectName, look: Look, found: Vec<Refusal>) {
        if found.is_empty() && self.by_object.is_empty() {
            return;
        }
        let suspect = Suspect {
            kind,
            name: name.clone(),
            look,
        };
        let known = self.by_object.remove(&suspect).unwrap_or_default();
        self.count = self.count - known.len() + found.len();
        for refusal in found.iter().filter(|refusal| !known.contains(refusal)) {
            self.news
                .push(format!("{suspect}: {}: {}", refusal.field, refusal.reason));
        }
        if !found.is_empty() {
            self.by_object.insert(suspect, found.into());
        }
    }

    /// Forgets what was found in objects that a complete list of their kind does not have.
    pub(super) fn retain(&mut self, kind: Kind, seen: &HashSet<ObjectName>) {
        let count = &mut self.count;
        self.by_object.retain(|suspect, refusals| {
            let stays = suspect.kind != kind || suspect.look != Look::Alone || seen.contains(&suspect.name);
            if !stays {
                *count -= refusals.len();
            }
            stays
        });
    }

    /// How many fields are refused at the moment.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Lines about refusals that were not there when this was last asked, each once.
    pub fn take_news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }

    /// A line about every refusal of the moment, by kind and name.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.by_object.iter().flat_map(|(suspect, refusals)| {
            refusals
                .iter()
                .map(move |refusal| format!("{suspect}: {}: {}", refusal.field, refusal.reason))
        })
    }
}
