//! Where the API keeps an object, and what of a manifest it takes.

use anyhow::{Context, Result, bail};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

/// The kinds that tests use, with the name of their collection.
const KINDS: [(&str, &str); 6] = [
    ("Service", "services"),
    ("EndpointSlice", "endpointslices"),
    ("Node", "nodes"),
    ("ServiceCIDR", "servicecidrs"),
    ("IPAddress", "ipaddresses"),
    ("Event", "events"),
];

/// The collection an object is in, and its name.
pub(super) fn find(client: &Client, object: &Value) -> Result<(Api<DynamicObject>, String)> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let version = text("/apiVersion").context("no apiVersion")?;
    let kind = text("/kind").context("no kind")?;
    let name = text("/metadata/name").context("no metadata.name")?.to_owned();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let Some((_, plural)) = KINDS.iter().find(|(known, _)| *known == kind) else {
        bail!("{kind} {name}: not a kind that tests use");
    };
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    let api = match text("/metadata/namespace") {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    Ok((api, name))
}

/// A manifest without what the server decides itself, and its status, which is written by a request of its own.
pub(super) fn admissible(manifest: &Value) -> (Value, Option<Value>) {
    let mut object = manifest.clone();
    let status = object.as_object_mut().and_then(|fields| fields.remove("status"));
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("uid");
        metadata.remove("creationTimestamp");
    }
    (object, status)
}
