//! Endpoints and their state.

use std::net::SocketAddr;

use proxy_common::{block::View as BlockView, endpoint::serving};
use serde::Serialize;

use super::{Filter, Row, View, protocol_name};
use crate::{
    address,
    apply::actual::{EndpointSlot, ServiceSlot},
};

/// An endpoint of one service.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointRow {
    service: String,
    protocol: &'static str,
    endpoint: String,
    local: bool,
    cluster: bool,
    serving: bool,
    flows: u64,
    opened: u64,
    answered: u64,
    number: u32,
}

pub(super) fn rows(view: &View, filter: &Filter) -> Vec<EndpointRow> {
    let mut rows = Vec::new();
    for (service, slot) in view.adopted.actual.services() {
        if !filter.wants(Some(&slot.id), slot.id.protocol) {
            continue;
        }
        let (local, cluster) = views(view, slot);
        for number in &slot.endpoints {
            let endpoint = view.adopted.actual.endpoint(*number);
            let address = address::narrow(slot.id.family, &endpoint.address);
            if filter.wants_address([address]) && endpoint.service == service {
                let row = row(view, slot, *number, &endpoint);
                rows.push(EndpointRow {
                    local: local.contains(number),
                    cluster: cluster.contains(number),
                    ..row
                });
            }
        }
    }
    rows.sort_by(|a, b| (&a.service, a.protocol, &a.endpoint).cmp(&(&b.service, b.protocol, &b.endpoint)));
    rows
}

/// The numbers of the endpoints in each view of a service's block.
fn views(view: &View, slot: &ServiceSlot) -> (Vec<u32>, Vec<u32>) {
    let Some((header, entries)) = slot.block.and_then(|run| view.maps.block(run.cell)) else {
        return Default::default();
    };
    let numbers = |of: BlockView| {
        let (first, count) = header.range(of);
        entries
            .iter()
            .skip(first as usize)
            .take(count as usize)
            .map(|entry| entry.endpoint)
            .collect()
    };
    (numbers(BlockView::Local), numbers(BlockView::Cluster))
}

fn row(view: &View, slot: &ServiceSlot, number: u32, endpoint: &EndpointSlot) -> EndpointRow {
    let state = view.maps.state(number);
    let address = address::narrow(slot.id.family, &endpoint.address);
    EndpointRow {
        service: slot.id.to_string(),
        protocol: protocol_name(slot.id.protocol),
        endpoint: SocketAddr::new(address, endpoint.port.get()).to_string(),
        local: false,
        cluster: false,
        serving: state.flags & serving::SERVING != 0,
        flows: state.flows,
        opened: state.opened,
        answered: state.answered,
        number,
    }
}

impl Row for EndpointRow {
    const COLUMNS: &'static [&'static str] = &[
        "SERVICE", "PROTOCOL", "ENDPOINT", "VIEWS", "SERVING", "FLOWS", "OPENED", "ANSWERED", "NUMBER",
    ];
    const WIDE: usize = 6;
    fn cells(&self) -> Vec<String> {
        let views = match (self.local, self.cluster) {
            (true, true) => "local, cluster",
            (true, false) => "local",
            (false, true) => "cluster",
            (false, false) => "-",
        };
        vec![
            self.service.clone(),
            self.protocol.to_owned(),
            self.endpoint.clone(),
            views.to_owned(),
            if self.serving { "yes" } else { "no" }.to_owned(),
            self.flows.to_string(),
            self.opened.to_string(),
            self.answered.to_string(),
            self.number.to_string(),
        ]
    }
}
