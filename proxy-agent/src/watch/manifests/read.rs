//! A manifest's text -> objects.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    error::excerpt,
    watch::object::{EndpointSlice, Endpoints, Node, Service, ServiceCidr},
};

use super::endpoints;

/// Which object it is, over all files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) kind: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name.escape_debug())
        } else {
            let (namespace, name) = (self.namespace.escape_debug(), self.name.escape_debug());
            write!(f, "{} {namespace}/{name}", self.kind)
        }
    }
}

/// An object of a manifest.
#[derive(Clone, Debug)]
pub(super) enum Object {
    Service(Service),
    Slice(EndpointSlice),
    Node(Node),
    ServiceCidr(ServiceCidr),
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Its objects, in the order of the file.
    pub(super) objects: Vec<(Key, Object)>,
    /// Documents that are not what they should be.
    pub(super) faults: Vec<Fault>,
    /// Whether the last document is one of them: the file may have been cut short.
    pub(super) is_cut: bool,
    /// Documents of kinds that are not used, a line each.
    pub(super) ignored: Vec<String>,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where it stands in its file.
    place: String,
    /// The object, if that can be read.
    pub(super) object: Option<Key>,
    /// The field, if it is one that is wrong.
    pub(super) field: String,
    /// What is wrong with it.
    pub(super) reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.reason)
    }
}

/// A field, and what is wrong with it.
type Wrong = (String, String);

fn wrong(field: &str, reason: &str) -> Wrong {
    (field.to_owned(), reason.to_owned())
}

/// What a text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Yaml,
    Json,
}

/// Reads a manifest.
///
/// # Errors
///
/// One line, if the text cannot be taken apart into documents.
pub(super) fn read(text: &str, syntax: Syntax) -> Result<Reading, String> {
    let mut reading = Reading::default();
    for (index, document) in documents(text, syntax)?.into_iter().enumerate() {
        let faults = reading.faults.len();
        reading.take(&format!("document {}", index + 1), None, document);
        reading.is_cut = reading.faults.len() > faults;
    }
    Ok(reading)
}

fn documents(text: &str, syntax: Syntax) -> Result<Vec<Value>, String> {
    let documents: Result<Vec<Value>, String> = match syntax {
        Syntax::Json => serde_json::Deserializer::from_str(text)
            .into_iter()
            .map(|document| document.map_err(|error| error.to_string()))
            .collect(),
        Syntax::Yaml => serde_saphyr::read_with_options(&mut text.as_bytes(), yaml_options())
            .map(|document| document.map_err(|error| error.to_string()))
            .collect(),
    };
    documents.map_err(|message| message.lines().next().unwrap_or_default().to_owned())
}

/// No limit but that of depth: a folder of manifests may be as large as a cluster.
fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: None,
            max_events: usize::MAX,
            max_documents: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_total_comment_bytes: usize::MAX,
        },
        with_snippet: false,
    }
}

impl Reading {
    /// Whether it cannot be told what of the file's objects is still meant to be there.
    pub(super) fn is_unsure(&self) -> bool {
        self.is_cut || self.faults.iter().any(|fault| fault.object.is_none())
    }

    fn fault(&mut self, place: &str, object: Option<Key>, (field, reason): Wrong) {
        self.faults.push(Fault {
            place: place.to_owned(),
            object,
            field,
            reason,
        });
    }

    /// Takes a document, or an item of a typed list, which need not say again what it is.
    fn take(&mut self, place: &str, list: Option<&str>, document: Value) {
        let Value::Object(mut document) = document else {
            return self.fault(place, None, wrong("", "not an object"));
        };
        let kind = text(&document, "kind").or_else(|| list?.strip_suffix("List").map(str::to_owned));
        let version = text(&document, "apiVersion");
        match (version.as_deref(), kind.as_deref()) {
            (_, None) => self.fault(place, None, wrong("kind", "missing")),
            (_, Some("List")) => self.take_items(place, None, document.remove("items")),
            (_, Some(list)) if version_of_items(list).is_some() => {
                self.take_items(place, Some(list), document.remove("items"));
            }
            (Some("v1"), Some("Service")) => self.object(place, "Service", document, check_service, Object::Service),
            (Some("v1"), Some("Node")) => self.object(place, "Node", document, |_: &Node| None, Object::Node),
            (Some("v1"), Some("Endpoints")) => self.endpoints(place, document),
            (Some("discovery.k8s.io/v1"), Some("EndpointSlice")) => {
                let complete = document.contains_key("endpoints");
                let check = move |slice: &EndpointSlice| check_slice(slice, complete);
                self.object(place, "EndpointSlice", document, check, Object::Slice);
            }
            (Some("networking.k8s.io/v1"), Some("ServiceCIDR")) => {
                self.object(
                    place,
                    "ServiceCIDR",
                    document,
                    |_: &ServiceCidr| None,
                    Object::ServiceCidr,
                );
            }
            (None, Some(_)) => self.fault(place, None, wrong("apiVersion", "missing")),
            (Some(version), Some(kind)) if kind.ends_with("List") || has_name(&document) => {
                self.ignored
                    .push(excerpt(format!("{place}: {version} {kind}: a kind that is not used")));
            }
            (Some(_), Some(_)) => self.fault(place, None, wrong("metadata.name", "missing")),
        }
    }

    fn take_items(&mut self, place: &str, list: Option<&str>, items: Option<Value>) {
        match items {
            None | Some(Value::Null) => {}
            Some(Value::Array(items)) => {
                for (index, item) in items.into_iter().enumerate() {
                    self.take(&format!("{place}: items[{index}]"), list, with_version(item, list));
                }
            }
            Some(_) => self.fault(place, None, wrong("items", "not a list")),
        }
    }

    fn object<T: DeserializeOwned + kube::Resource<DynamicType = ()>>(
        &mut self,
        place: &str,
        kind: &'static str,
        document: Map<String, Value>,
        check: impl Fn(&T) -> Option<Wrong>,
        wrap: impl Fn(T) -> Object,
    ) {
        let namespaced = matches!(kind, "Service" | "EndpointSlice");
        let named = key_of(kind, &document, namespaced);
        match decode::<T>(document) {
            Err(wrong) => self.fault(place, named, wrong),
            Ok(mut object) => match key(kind, object.meta_mut(), namespaced) {
                Err(wrong) => self.fault(place, None, wrong),
                Ok(key) => match check(&object) {
                    Some(wrong) => self.fault(place, Some(key), wrong),
                    None => self.objects.push((key, wrap(object))),
                },
            },
        }
    }

    /// An Endpoints counts as the slices that say the same.
    fn endpoints(&mut self, place: &str, document: Map<String, Value>) {
        let read = decode::<Endpoints>(document).and_then(|mut endpoints| {
            key("Endpoints", &mut endpoints.metadata, true)?;
            Ok(endpoints)
        });
        match read {
            Err(wrong) => self.fault(place, None, wrong),
            Ok(endpoints) => {
                for mut slice in endpoints::as_slices(&endpoints) {
                    if let Ok(key) = key("EndpointSlice", &mut slice.metadata, true) {
                        self.objects.push((key, Object::Slice(slice)));
                    }
                }
            }
        }
    }
}

/// The version of the objects in a typed list: as the API server gives them, they do not say it themselves.
fn version_of_items(list: &str) -> Option<&'static str> {
    match list {
        "ServiceList" | "NodeList" | "EndpointsList" => Some("v1"),
        "EndpointSliceList" => Some("discovery.k8s.io/v1"),
        "ServiceCIDRList" => Some("networking.k8s.io/v1"),
        _ => None,
    }
}

fn with_version(mut item: Value, list: Option<&str>) -> Value {
    if let (Value::Object(item), Some(version)) = (&mut item, list.and_then(version_of_items)) {
        item.entry("apiVersion").or_insert_with(|| version.into());
    }
    item
}

fn has_name(document: &Map<String, Value>) -> bool {
    let name = document.get("metadata").and_then(|metadata| metadata.get("name"));
    name.is_some_and(Value::is_string)
}

fn text(document: &Map<String, Value>, field: &str) -> Option<String> {
    document.get(field).and_then(Value::as_str).map(str::to_owned)
}

fn decode<T: DeserializeOwned>(document: Map<String, Value>) -> Result<T, Wrong> {
    serde_path_to_error::deserialize(Value::Object(document))
        .map_err(|error| (error.path().to_string(), excerpt(error.inner().to_string())))
}

/// The key of an object that perhaps cannot be read.
fn key_of(kind: &'static str, document: &Map<String, Value>, namespaced: bool) -> Option<Key> {
    let text = |field: &str| document.get("metadata")?.get(field)?.as_str().map(str::to_owned);
    let mut metadata = ObjectMeta {
        name: text("name"),
        namespace: text("namespace"),
        ..ObjectMeta::default()
    };
    key(kind, &mut metadata, namespaced).ok()
}

/// The key of an object; an object without a namespace is put into `default`, as `kubectl` would.
fn key(kind: &'static str, metadata: &mut ObjectMeta, namespaced: bool) -> Result<Key, Wrong> {
    let name = metadata
        .name
        .clone()
        .filter(|name| !name.is_empty())
        .ok_or_else(|| wrong("metadata.name", "missing"))?;
    if namespaced {
        let namespace = metadata.namespace.get_or_insert_default();
        if namespace.is_empty() {
            namespace.push_str("default");
        }
    } else {
        metadata.namespace = None;
    }
    Ok(Key {
        kind,
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name,
    })
}

/// What the API requires of a Service, and a file that was cut short may lack.
fn check_service(service: &Service) -> Option<Wrong> {
    let lacking = service.spec.ports.iter().position(|port| port.port.is_none());
    lacking.map(|index| wrong(&format!("spec.ports[{index}].port"), "missing"))
}

/// The same for an EndpointSlice.
fn check_slice(slice: &EndpointSlice, has_endpoints: bool) -> Option<Wrong> {
    if slice.address_type.is_none() {
        return Some(wrong("addressType", "missing"));
    }
    if !has_endpoints {
        return Some(wrong("endpoints", "missing"));
    }
    let lacking = slice
        .endpoints
        .iter()
        .position(|endpoint| endpoint.addresses.is_empty());
    lacking.map(|index| wrong(&format!("endpoints[{index}].addresses"), "missing"))
}
