//! What there is to tell, before it is an object of the API.

use std::collections::BTreeMap;

use crate::model::{Complaint, Kind, ObjectName};

/// Something about an object that its owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// The object's kind.
    pub kind: Kind,
    /// The object.
    pub name: ObjectName,
    /// What has happened, in one word.
    pub reason: &'static str,
    /// What was being done, in one word.
    pub action: &'static str,
    /// What has happened, for people, in 1,024 bytes at most.
    pub note: String,
    /// Whether something is wrong.
    pub warning: bool,
    /// Who tells it, and how often.
    pub scope: Scope,
}

/// Who tells an incident, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every node would say the same: the first one does.
    Cluster,
    /// Each node to which it happens, once.
    Node,
    /// Each node to which it happens, each time.
    Moment,
}

impl Incident {
    /// About the Node of this name: something has happened to the agent.
    #[must_use]
    pub fn of_node(node: &str, reason: &'static str, note: String, warning: bool) -> Self {
        Incident {
            kind: Kind::Node,
            name: ObjectName {
                namespace: "".into(),
                name: node.into(),
            },
            reason,
            action: "StartFairlead",
            note,
            warning,
            scope: Scope::Moment,
        }
    }

    /// About a Service that this node could not write into its maps.
    #[must_use]
    pub fn of_service(name: ObjectName, note: String) -> Self {
        Incident {
            kind: Kind::Service,
            name,
            reason: "NotProgrammed",
            action: "WriteMaps",
            note,
            warning: true,
            scope: Scope::Node,
        }
    }
}

/// The fields that cannot be used, an incident for each object.
#[must_use]
pub fn of_refusals(complaints: &[Complaint]) -> Vec<Incident> {
    let mut lines: BTreeMap<(Kind, &ObjectName), Vec<String>> = BTreeMap::new();
    for complaint in complaints {
        let line = format!("{}: {}", complaint.field, complaint.reason);
        lines.entry((complaint.kind, &complaint.name)).or_default().push(line);
    }
    let incident = |((kind, name), lines): ((Kind, &ObjectName), Vec<String>)| Incident {
        kind,
        name: name.clone(),
        reason: "FieldRefused",
        action: "ReadObject",
        note: joined(&lines),
        warning: true,
        scope: Scope::Cluster,
    };
    lines.into_iter().map(incident).collect()
}

/// How much of a note may be taken before the last line that it has room for: a line has less than 500 bytes.
const NOTE: usize = 480;

fn joined(lines: &[String]) -> String {
    let mut note = String::new();
    for (index, line) in lines.iter().enumerate() {
        if note.len() > NOTE {
            return format!("{note}; and {} more", lines.len() - index);
        }
        if index > 0 {
            note.push_str("; ");
        }
        note.push_str(line);
    }
    note
}
