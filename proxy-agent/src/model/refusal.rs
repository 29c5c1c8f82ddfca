//! What cannot be used of an object, and which objects have such parts at the moment.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::Arc,
};

use crate::error::excerpt;

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
    /// The slice whose field it is, where that shows only when the slice is put together with its Service.
    slice: Option<Arc<str>>,
}

impl Refusal {
    /// A refusal of a field.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Refusal {
            field: excerpt(field.into()),
            reason: excerpt(reason.into()),
            slice: None,
        }
    }

    /// A refusal of a field of a slice, found when its Service was looked at.
    pub fn of_slice(slice: &Arc<str>, field: impl Into<String>, reason: impl Into<String>) -> Self {
        Refusal {
            slice: Some(Arc::clone(slice)),
            ..Refusal::new(field, reason)
        }
    }
}

/// When an object was looked at: each look replaces what the one before it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Look {
    /// When its source read it.
    Raw,
    /// When it was taken in.
    Alone,
    /// When it was put together with the others.
    Together,
}

/// A refusal and the object that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The object's kind.
    pub kind: Kind,
    /// The object.
    pub name: ObjectName,
    /// The field, such as `spec.ports[1].nodePort`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Complaint {
    /// The field without the numbers and names of items, such as `spec.ports[].nodePort`: there are few of these.
    #[must_use]
    pub fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.field.len());
        let mut rest = self.field.as_str();
        while let Some((before, item)) = rest.split_once('[') {
            // A name may have brackets in it.
            let end = if item.starts_with("name=") {
                item.rfind(']')
            } else {
                item.find(']')
            };
            let (inside, after) = item.split_at(end.unwrap_or(item.len()));
            pattern.push_str(before);
            pattern.push('[');
            if !inside.starts_with("name=") && inside.parse::<u64>().is_err() {
                pattern.push_str(inside);
            }
            rest = after;
        }
        pattern + rest
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.to_string();
        write!(
            f,
            "{} {}: {}: {}",
            self.kind.name(),
            name.escape_debug(),
            self.field,
            self.reason
        )
    }
}

/// An object at one look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Suspect {
    kind: Kind,
    name: ObjectName,
    look: Look,
}

impl Suspect {
    fn complaint(&self, refusal: &Refusal) -> Complaint {
        let (kind, name) = match &refusal.slice {
            None => (self.kind, self.name.clone()),
            Some(slice) => {
                let namespace = Arc::clone(&self.name.namespace);
                let name = Arc::clone(slice);
                (Kind::EndpointSlice, ObjectName { namespace, name })
            }
        };
        Complaint {
            kind,
            name,
            field: refusal.field.clone(),
            reason: refusal.reason.clone(),
        }
    }
}

/// What one look at an object has found.
#[derive(Debug, Default)]
struct Found {
    refusals: Box<[Refusal]>,
    /// With those that are not kept.
    count: usize,
}

/// How many refusals of one look at an object are kept and told: an object may have any number of bad fields.
const KEPT: usize = 32;

impl Found {
    fn new(mut refusals: Vec<Refusal>) -> Self {
        let count = refusals.len();
        refusals.truncate(KEPT);
        if let (Some(last), Some(more @ 1..)) = (refusals.last_mut(), count.checked_sub(KEPT)) {
            last.reason.push_str(&format!("; {more} more fields cannot be used"));
        }
        Found {
            refusals: refusals.into(),
            count,
        }
    }
}

/// All refusals at the moment.
#[derive(Debug, Default)]
pub struct Refusals {
    by_object: BTreeMap<Suspect, Found>,
    news: Vec<Complaint>,
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
        let found = Found::new(found);
        self.count = self.count - known.count + found.count;
        let fresh = found
            .refusals
            .iter()
            .filter(|refusal| !known.refusals.contains(refusal));
        self.news.extend(fresh.map(|refusal| suspect.complaint(refusal)));
        if found.count > 0 {
            self.by_object.insert(suspect, found);
        }
    }

    /// Forgets what was found in objects that a complete list of their kind does not have.
    pub(super) fn retain(&mut self, kind: Kind, seen: &HashSet<ObjectName>) {
        let count = &mut self.count;
        self.by_object.retain(|suspect, found| {
            let stays = suspect.kind != kind || suspect.look != Look::Alone || seen.contains(&suspect.name);
            if !stays {
                *count -= found.count;
            }
            stays
        });
    }

    /// How many fields are refused at the moment.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The refusals that were not there when this was last asked, each once.
    pub fn take_news(&mut self) -> Vec<Complaint> {
        std::mem::take(&mut self.news)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn name(text: &str) -> ObjectName {
        ObjectName {
            namespace: "ns".into(),
            name: text.into(),
        }
    }

    #[rstest]
    #[case::plain("spec.clusterIP", "spec.clusterIP")]
    #[case::numbered("endpoints[17].addresses[0]", "endpoints[].addresses[]")]
    #[case::named("spec.ports[name=\"a]b\"].nodePort", "spec.ports[].nodePort")]
    #[case::a_label(
        "metadata.labels[kubernetes.io/service-name]",
        "metadata.labels[kubernetes.io/service-name]"
    )]
    #[case::unclosed("ports[3", "ports[")]
    fn a_pattern_is_the_field_without_its_items(#[case] field: &str, #[case] expected: &str) {
        let suspect = Suspect {
            kind: Kind::Service,
            name: name("svc"),
            look: Look::Alone,
        };
        assert_eq!(suspect.complaint(&Refusal::new(field, "wrong")).pattern(), expected);
    }

    #[test]
    fn of_an_object_full_of_bad_fields_some_are_told_and_all_are_counted() {
        let mut refusals = Refusals::default();
        let all = || (0..10_000).map(|n| Refusal::new(format!("endpoints[{n}]"), "wrong"));
        for _ in 0..2 {
            refusals.found(Kind::EndpointSlice, &name("a"), Look::Alone, all().collect());
        }
        assert_eq!(refusals.count(), 10_000);
        let news = refusals.take_news();
        assert_eq!(news.len(), KEPT);
        assert!(news[KEPT - 1].reason.ends_with("; 9968 more fields cannot be used"));
        refusals.found(Kind::EndpointSlice, &name("a"), Look::Alone, Vec::new());
        assert_eq!((refusals.count(), refusals.take_news()), (0, Vec::new()));
    }

    #[test]
    fn a_long_text_is_quoted_by_its_ends() {
        let long = Refusal::new(
            "spec.externalIPs[0]",
            format!("{:?}: not an IP address", "é".repeat(9_000)),
        );
        assert!(long.reason.len() < 250, "{}", long.reason);
        assert!(long.reason.starts_with("\"éé") && long.reason.ends_with("\": not an IP address"));
    }

    #[test]
    fn a_line_is_one_line_whatever_an_object_is_called() {
        let mut refusals = Refusals::default();
        refusals.found(
            Kind::Service,
            &name("a\nb"),
            Look::Alone,
            vec![Refusal::new("metadata.name", "wrong")],
        );
        assert_eq!(
            refusals.take_news()[0].to_string(),
            "Service ns/a\\nb: metadata.name: wrong"
        );
    }
}
