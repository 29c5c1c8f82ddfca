//! Service ports and the addresses that lead to them.

use proxy_common::{
    block::{View as BlockView, policy},
    frontend::FrontendKind,
};
use serde::Serialize;

use super::{Filter, Row, View, protocol_name};
use crate::{address, apply::actual::ServiceSlot};

/// A service port of one family.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceRow {
    service: String,
    protocol: &'static str,
    family: u8,
    addresses: Vec<Address>,
    local_endpoints: u32,
    cluster_endpoints: u32,
    policies: Vec<&'static str>,
    affinity_seconds: u32,
    number: u32,
    generation: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    address: String,
    kind: &'static str,
}

pub(super) fn rows(view: &View, filter: &Filter) -> Vec<ServiceRow> {
    let services = view.adopted.actual.services();
    let wanted = services.filter(|(_, slot)| {
        let addresses = slot
            .frontends
            .iter()
            .map(|(key, _)| address::narrow(key.family, &key.address));
        // What goes and only waits for its flows is no service any more.
        let is_live = slot.block.is_some() || !slot.frontends.is_empty();
        is_live && filter.wants(Some(&slot.id), slot.id.protocol) && filter.wants_address(addresses)
    });
    let mut rows: Vec<ServiceRow> = wanted.map(|(number, slot)| row(view, number, slot)).collect();
    rows.sort_by(|a, b| (&a.service, a.protocol, a.family).cmp(&(&b.service, b.protocol, b.family)));
    rows
}

fn row(view: &View, number: u32, slot: &ServiceSlot) -> ServiceRow {
    let word = view.maps.flip_word(number);
    let header = slot
        .block
        .and_then(|run| view.maps.block(run.cell))
        .map(|(header, _)| header)
        .unwrap_or_default();
    ServiceRow {
        service: slot.id.to_string(),
        protocol: protocol_name(slot.id.protocol),
        family: slot.id.family as u8,
        addresses: slot
            .frontends
            .iter()
            .map(|(key, kind)| frontend(key.to_string(), *kind))
            .collect(),
        local_endpoints: header.range(BlockView::Local).1,
        cluster_endpoints: header.range(BlockView::Cluster).1,
        policies: policies(header.flags),
        affinity_seconds: header.affinity_seconds,
        number,
        generation: word.generation(),
    }
}

fn frontend(address: String, kind: FrontendKind) -> Address {
    let kind = match kind {
        FrontendKind::ClusterIp => "ClusterIP",
        FrontendKind::External => "ExternalIP",
        FrontendKind::LoadBalancer => "LoadBalancer",
        FrontendKind::NodePort => "NodePort",
    };
    Address { address, kind }
}

fn policies(flags: u32) -> Vec<&'static str> {
    let names = [
        (policy::INTERNAL_LOCAL, "internalTrafficPolicy=Local"),
        (policy::EXTERNAL_LOCAL, "externalTrafficPolicy=Local"),
    ];
    names
        .into_iter()
        .filter(|(flag, _)| flags & flag != 0)
        .map(|(_, name)| name)
        .collect()
}

impl Row for ServiceRow {
    const COLUMNS: &'static [&'static str] = &[
        "SERVICE",
        "PROTOCOL",
        "FAMILY",
        "ADDRESSES",
        "LOCAL",
        "CLUSTER",
        "POLICIES",
        "AFFINITY",
        "NUMBER",
        "GENERATION",
    ];
    const WIDE: usize = 6;
    fn cells(&self) -> Vec<String> {
        let addresses: Vec<_> = self
            .addresses
            .iter()
            .map(|known| format!("{} {}", known.kind, known.address))
            .collect();
        vec![
            self.service.clone(),
            self.protocol.to_owned(),
            format!("v{}", self.family),
            addresses.join(", "),
            self.local_endpoints.to_string(),
            self.cluster_endpoints.to_string(),
            self.policies.join(", "),
            self.affinity_seconds.to_string(),
            self.number.to_string(),
            self.generation.to_string(),
        ]
    }
}
