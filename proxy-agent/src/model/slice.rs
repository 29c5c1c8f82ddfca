//! An EndpointSlice as it is used: B-21 to B-27.

use std::{collections::HashSet, net::IpAddr, sync::Arc, time::SystemTime};

use k8s_openapi::jiff::Timestamp;
use proxy_common::{family::FamilyKind, net::Protocol};

use crate::{address::family, watch::object};

use super::{ObjectName, Refusal, Texts, address, port};

/// The usable part of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// The family of its addresses.
    pub family: FamilyKind,
    /// The ports that every endpoint has, sorted.
    pub ports: Box<[SlicePort]>,
    /// The endpoints.
    pub endpoints: Box<[Endpoint]>,
    /// Hints, one for each endpoint; empty if no endpoint has any.
    pub hints: Box<[Option<Arc<Hints>>]>,
}

impl Slice {
    /// The numbers of a Service's port: none, or several.
    pub fn numbers(&self, name: &str, protocol: Protocol) -> impl Iterator<Item = u16> {
        let key = move |port: &SlicePort| (&*port.name, port.protocol).cmp(&(name, protocol));
        let first = self.ports.partition_point(|port| key(port).is_lt());
        let same = self.ports[first..].iter().take_while(move |port| key(port).is_eq());
        same.map(|port| port.port)
    }
}

/// A port of a slice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlicePort {
    /// The name of the Service's port.
    pub name: Arc<str>,
    /// The protocol.
    pub protocol: Protocol,
    /// The number, host byte order.
    pub port: u16,
}

/// An endpoint of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddr,
    /// Of [`condition`].
    pub conditions: u8,
}

/// Bits of [`Endpoint::conditions`].
pub mod condition {
    /// It takes new flows.
    pub const READY: u8 = 1;
    /// It answers.
    pub const SERVING: u8 = 2;
    /// It is about to go.
    pub const TERMINATING: u8 = 4;
    /// It is on this node.
    pub const LOCAL: u8 = 8;
}

/// Who should use an endpoint (B-42).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hints {
    /// The zones; empty: no hint of this kind.
    pub zones: Box<[Arc<str>]>,
    /// Whether there is a hint for a node.
    pub for_nodes: bool,
    /// Whether it is for this one.
    pub for_this_node: bool,
}

/// One copy of each set of hints: there are few, and many endpoints.
#[derive(Debug, Default)]
pub(super) struct HintSets(HashSet<Arc<Hints>>);

impl HintSets {
    fn share(&mut self, hints: Hints) -> Arc<Hints> {
        if let Some(shared) = self.0.get(&hints) {
            return Arc::clone(shared);
        }
        self.0.retain(|hints| Arc::strong_count(hints) > 1);
        let shared = Arc::new(hints);
        self.0.insert(Arc::clone(&shared));
        shared
    }
}

/// What reading a slice needs beside the slice.
pub(super) struct Context<'a> {
    /// This node's name.
    pub(super) node: &'a str,
    pub(super) texts: &'a mut Texts,
    pub(super) hints: &'a mut HintSets,
}

/// Reads a slice: the Service it belongs to, in its namespace, and what is usable of it. `None`: nothing is, or it is
/// not meant for us. What is refused is added to `refusals`.
pub(super) fn read(
    name: &ObjectName,
    slice: &object::EndpointSlice,
    context: &mut Context<'_>,
    refusals: &mut Vec<Refusal>,
) -> Option<(Arc<str>, Slice)> {
    let labels = slice.metadata.labels.as_ref();
    let label = |key: &str| labels.and_then(|labels| labels.get(key));
    if label(object::LABEL_HEADLESS).is_some() {
        return None;
    }
    let Some(service) = label(object::LABEL_SERVICE_NAME).filter(|service| !service.is_empty()) else {
        let field = format!("metadata.labels[{}]", object::LABEL_SERVICE_NAME);
        refusals.push(Refusal::new(field, "missing: it belongs to no Service"));
        return None;
    };
    if name.name.is_empty() {
        refusals.push(Refusal::new("metadata.name", "missing"));
        return None;
    }
    let family = match slice.address_type.as_deref() {
        Some("IPv4") => FamilyKind::V4,
        Some("IPv6") => FamilyKind::V6,
        Some("FQDN") => return None,
        other => {
            let reason = format!("{:?}: neither IPv4 nor IPv6", other.unwrap_or_default());
            refusals.push(Refusal::new("addressType", reason));
            return None;
        }
    };
    let (endpoints, hints) = endpoints(&slice.endpoints, family, context, refusals);
    let slice = Slice {
        name: Arc::clone(&name.name),
        family,
        ports: ports(&slice.ports, context.texts, refusals),
        endpoints,
        hints,
    };
    Some((service.as_str().into(), slice))
}

/// When the change was made that a slice followed (B-28).
pub(super) fn trigger(slice: &object::EndpointSlice) -> Option<SystemTime> {
    let text = slice.metadata.annotations.as_ref()?.get(object::ANNOTATION_TRIGGER)?;
    text.parse::<Timestamp>().ok().map(SystemTime::from)
}

fn ports(given: &[object::EndpointPort], texts: &mut Texts, refusals: &mut Vec<Refusal>) -> Box<[SlicePort]> {
    let mut ports = Vec::with_capacity(given.len());
    for (index, port) in given.iter().enumerate() {
        let read = port::protocol(port.protocol.as_deref())
            .map_err(|reason| ("protocol", reason))
            .and_then(|protocol| match port::port_number(port.port) {
                Ok(number) => Ok((protocol, number)),
                Err(reason) => Err(("port", reason)),
            });
        match read {
            Ok((protocol, number)) => ports.push(SlicePort {
                // The API server's default for a name that is absent is the empty one, so only a manifest has none.
                name: texts.share(port.name.as_deref().unwrap_or_default()),
                protocol,
                port: number,
            }),
            Err((field, reason)) => refusals.push(Refusal::new(format!("ports[{index}].{field}"), reason)),
        }
    }
    ports.sort_unstable();
    ports.into()
}

type Endpoints = (Box<[Endpoint]>, Box<[Option<Arc<Hints>>]>);

fn endpoints(
    given: &[object::Endpoint],
    wanted: FamilyKind,
    context: &mut Context<'_>,
    refusals: &mut Vec<Refusal>,
) -> Endpoints {
    let mut endpoints = Vec::with_capacity(given.len());
    let mut hints = Vec::with_capacity(given.len());
    for (index, endpoint) in given.iter().enumerate() {
        if let Some(second) = endpoint.addresses.get(1) {
            let reason = format!("{second:?}: the first address of an endpoint is used alone");
            refusals.push(Refusal::new(format!("endpoints[{index}].addresses[1]"), reason));
        }
        match usable(endpoint, wanted) {
            Ok(address) => {
                endpoints.push(Endpoint {
                    address,
                    conditions: conditions(endpoint, context.node),
                });
                hints.push(read_hints(endpoint, context));
            }
            Err(reason) => refusals.push(Refusal::new(format!("endpoints[{index}].addresses[0]"), reason)),
        }
    }
    if hints.iter().all(Option::is_none) {
        hints.clear();
    }
    (endpoints.into(), hints.into())
}

fn usable(endpoint: &object::Endpoint, wanted: FamilyKind) -> Result<IpAddr, String> {
    let Some(text) = endpoint.addresses.first() else {
        return Err("missing".to_owned());
    };
    let address = address::parse(text).ok_or_else(|| format!("{text:?}: not an IP address"))?;
    if family(address) != wanted {
        return Err(format!("{text}: not of the slice's addressType"));
    }
    match address::never_routed(address) {
        Some(reason) => Err(format!("{text}: {reason}")),
        None => Ok(address),
    }
}

/// The conditions with the API's defaults (B-25), and whether it is on this node (B-26).
fn conditions(endpoint: &object::Endpoint, node: &str) -> u8 {
    let given = endpoint.conditions;
    let is_here = endpoint
        .node_name
        .as_deref()
        .is_some_and(|name| name.eq_ignore_ascii_case(node));
    let flags = [
        (given.ready.unwrap_or(true), condition::READY),
        (given.serving.unwrap_or(true), condition::SERVING),
        (given.terminating.unwrap_or(false), condition::TERMINATING),
        (is_here, condition::LOCAL),
    ];
    flags
        .into_iter()
        .filter(|(set, _)| *set)
        .fold(0, |all, (_, flag)| all | flag)
}

fn read_hints(endpoint: &object::Endpoint, context: &mut Context<'_>) -> Option<Arc<Hints>> {
    let (zones, nodes) = (&endpoint.hints.for_zones, &endpoint.hints.for_nodes);
    if zones.is_empty() && nodes.is_empty() {
        return None;
    }
    let hints = Hints {
        zones: zones.iter().map(|zone| context.texts.share(&zone.name)).collect(),
        for_nodes: !nodes.is_empty(),
        for_this_node: nodes.iter().any(|node| node.name.eq_ignore_ascii_case(context.node)),
    };
    Some(context.hints.share(hints))
}
