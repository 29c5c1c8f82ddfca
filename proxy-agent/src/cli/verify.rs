//! `fairlead verify`: what the maps hold against what the objects say.

use std::{collections::BTreeSet, process::ExitCode, thread, time::Duration};

use ipnet::IpNet;
use proxy_common::network::{Rule, UNANSWERED};
use serde::Serialize;

use super::{
    VerifyArgs,
    get::{self, View, failed, json},
    output::Brief,
};
use crate::{
    agent::snapshot,
    apply::{
        actual::ServiceSlot,
        node::{NodeTables, contents, live_machine},
    },
    datapath::Pins,
    desired::{Changes, DesiredService, ServicePortId},
    diff::{Plan, diff},
    error::Error,
    host::{HostFacts, watch},
    key::SocketKey,
    settings::{NodeSettings, Source},
};

/// How long an API server may take to tell everything.
const PATIENCE: Duration = Duration::from_secs(30);
/// What differs is looked at again after this: an agent may be about to write it.
const PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize)]
struct Verdict {
    differences: BTreeSet<String>,
    services: usize,
    refused: Vec<String>,
}

/// Prints the differences; the exit code is 1 if there are any.
///
/// # Errors
/// If there are no pins, or the source cannot be read.
pub fn verify(args: &VerifyArgs) -> Result<ExitCode, Error> {
    let (settings, warnings) = NodeSettings::of(&args.node)?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let source = Source::of(&args.source, &args.node)?;
    let pins = Pins::new(&args.state.state);
    let mut verdict = compare(&settings, &source, &pins)?;
    if !verdict.differences.is_empty() {
        thread::sleep(PAUSE);
        let again = compare(&settings, &source, &pins)?;
        verdict = Verdict {
            differences: verdict.differences.intersection(&again.differences).cloned().collect(),
            ..again
        };
    }
    match args.output {
        Brief::Json => print!("{}", json(&verdict)),
        Brief::Table => print!("{}", text(&verdict)),
    }
    Ok(ExitCode::from(u8::from(!verdict.differences.is_empty())))
}

fn text(verdict: &Verdict) -> String {
    let mut lines: Vec<String> = verdict
        .refused
        .iter()
        .map(|refusal| format!("not used: {refusal}"))
        .collect();
    lines.extend(verdict.differences.iter().cloned());
    lines.push(match verdict.differences.len() {
        0 => format!("{} services are in the maps as the objects want them", verdict.services),
        count => format!("{count} differences in {} services", verdict.services),
    });
    lines.join("\n") + "\n"
}

fn compare(settings: &NodeSettings, source: &Source, pins: &Pins) -> Result<Verdict, Error> {
    let facts = watch::read().map_err(failed)?;
    let (changes, refused) = snapshot(settings, source, facts.local_addresses(), PATIENCE)?;
    let view = View::open(pins)?;
    let mut differences: BTreeSet<String> = view.adopted.findings.iter().map(ToString::to_string).collect();
    differences.extend(services(&view, &changes));
    differences.extend(networks(&view, &changes));
    differences.extend(node(pins, &changes, &facts)?);
    let devices = get::devices(pins)?;
    let bare = devices.iter().filter(|device| !device.attached);
    differences.extend(bare.map(|device| format!("device {}: does not carry the programs", device.name)));
    let services = changes.services.values().flatten().count();
    Ok(Verdict {
        differences,
        services,
        refused,
    })
}

fn services(view: &View, changes: &Changes) -> Vec<String> {
    let mut differences = Vec::new();
    for (id, desired) in changes
        .services
        .iter()
        .filter_map(|(id, desired)| Some((id, desired.as_ref()?)))
    {
        differences.extend(
            service(view, id, desired)
                .into_iter()
                .map(|what| format!("service {}: {what}", name(id))),
        );
    }
    let is_wanted = |id: &ServicePortId| changes.services.get(id).is_some_and(Option::is_some);
    let is_live = |slot: &ServiceSlot| slot.block.is_some() || !slot.frontends.is_empty();
    let extra = view
        .adopted
        .actual
        .services()
        .filter(|(_, slot)| is_live(slot) && !is_wanted(&slot.id));
    differences.extend(extra.map(|(_, slot)| format!("service {}: is in the maps and not wanted", name(&slot.id))));
    differences
}

fn name(id: &ServicePortId) -> String {
    format!("{id} {} v{}", get::protocol_name(id.protocol), id.family as u8)
}

fn service(view: &View, id: &ServicePortId, desired: &DesiredService) -> Vec<String> {
    let Some(number) = view.adopted.actual.number(id) else {
        return vec!["is wanted and not in the maps".to_owned()];
    };
    let published = view.adopted.actual.published(number, &view.maps);
    let Plan {
        marks,
        block,
        add,
        remove,
    } = diff(desired, id.protocol, &published);
    let mut differences = Vec::new();
    differences.extend(
        add.iter()
            .map(|(key, _)| format!("address {key} is wanted and does not lead to it")),
    );
    differences.extend(
        remove
            .iter()
            .map(|key| format!("address {key} leads to it and is not wanted")),
    );
    let admitted: Vec<IpNet> = view.maps.networks.of(number).map(|(network, _)| network).collect();
    if admitted != desired.source_ranges {
        differences.push("its source ranges are not those in force".to_owned());
    }
    if block.is_some() {
        differences.push("its endpoints or policies are not those in force".to_owned());
    }
    differences.extend(marks.iter().map(|change| {
        let key = SocketKey {
            family: id.family,
            address: change.address,
            port: change.port,
            protocol: id.protocol,
        };
        format!("endpoint {key} has not the marks that it should have")
    }));
    differences
}

/// What becomes of packets to addresses of services at which none answers.
fn networks(view: &View, changes: &Changes) -> Vec<String> {
    let Some(node) = &changes.node else {
        return Vec::new();
    };
    let known = changes.addresses.iter().filter(|(_, is_service)| **is_service);
    let wanted: BTreeSet<(IpNet, Rule)> = known
        .map(|(address, _)| (IpNet::from(*address), Rule::REFUSE))
        .chain(node.refused_networks().map(|network| (network, Rule::DROP)))
        .collect();
    let found: BTreeSet<(IpNet, Rule)> = view.maps.networks.of(UNANSWERED).collect();
    let missing = wanted.difference(&found);
    let extra = found.difference(&wanted);
    let missing = missing.map(|(network, _)| format!("{network}: what no service answers there is not refused"));
    missing
        .chain(extra.map(|(network, _)| format!("{network}: is refused and not wanted")))
        .collect()
}

/// Ports in use come and go by the second, and are not compared.
fn node(pins: &Pins, changes: &Changes, facts: &HostFacts) -> Result<Vec<String>, Error> {
    let Some(node) = &changes.node else {
        return Ok(Vec::new());
    };
    let tables = NodeTables::open(&pins.maps()).map_err(failed)?;
    let machine = live_machine(&tables).map_err(failed)?;
    let wanted = contents(node, facts, &machine, &BTreeSet::new());
    tables.differences(&wanted).map_err(failed)
}
