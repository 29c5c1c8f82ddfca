//! An incident as an Event of the API (events.k8s.io/v1).

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};

use crate::{hash, model::Kind};

use super::{Incident, Scope};

/// Who tells.
const CONTROLLER: &str = "fairlead";
/// The longest name of an instance (the API's validation of events).
const INSTANCE: usize = 128;
/// How much of the object's name is in that of the event, which has 253 bytes at most.
const STEM: usize = 200;

/// The Event. Its name follows from what it says, so that what another node or an earlier agent has told already is there
/// under the same name.
pub(super) fn event(incident: &Incident, node: &str, uid: &str, now: Timestamp) -> Event {
    let namespace = Some(&*incident.name.namespace).filter(|namespace| !namespace.is_empty());
    let kind = if incident.warning { "Warning" } else { "Normal" };
    Event {
        metadata: ObjectMeta {
            // Where events of objects without a namespace are.
            namespace: Some(namespace.unwrap_or("default").to_owned()),
            name: Some(name(incident, node, uid, now)),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        type_: Some(kind.to_owned()),
        reason: Some(incident.reason.to_owned()),
        action: Some(incident.action.to_owned()),
        note: Some(incident.note.clone()),
        regarding: Some(ObjectReference {
            api_version: Some(api_version(incident.kind).to_owned()),
            kind: Some(incident.kind.name().to_owned()),
            namespace: namespace.map(str::to_owned),
            name: Some(incident.name.name.to_string()),
            uid: Some(uid.to_owned()).filter(|uid| !uid.is_empty()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(node.chars().take(INSTANCE).collect()),
        ..Event::default()
    }
}

fn name(incident: &Incident, node: &str, uid: &str, now: Timestamp) -> String {
    let told_once_by = match incident.scope {
        Scope::Cluster => String::new(),
        Scope::Node => node.to_owned(),
        Scope::Moment => format!("{node} {}", now.as_nanosecond()),
    };
    let kind = incident.kind.name();
    let says = [
        kind,
        &incident.name.namespace,
        &incident.name.name,
        incident.reason,
        &incident.note,
        uid,
        &told_once_by,
    ];
    // None of the parts has a zero byte.
    let number = hash::stable(says.join("\0").as_bytes());
    let stem: String = incident.name.name.chars().take(STEM).collect();
    format!("{}.{number:016x}", stem.trim_end_matches(['-', '.']))
}

const fn api_version(kind: Kind) -> &'static str {
    match kind {
        Kind::Service | Kind::Node => "v1",
        Kind::EndpointSlice => "discovery.k8s.io/v1",
        Kind::ServiceCidr => "networking.k8s.io/v1",
    }
}
