//! A node that need not be this one: its objects from manifests, its devices from a file.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use proxy_common::{frontend::FrontendKind, node::Device};

use super::{
    Question,
    answer::{Answer, Surroundings},
    facts::{self, NodeFacts},
    live::{report, takes_node_ports},
    packet,
};
use crate::{
    agent::snapshot,
    apply::{
        Applier,
        grace::Grace,
        kernel::Access,
        maps::ServiceMaps,
        node::{Machine, NodeTables, contents},
    },
    cli::{CapacityArgs, ExplainArgs, SocketLb, get::failed},
    datapath::load,
    desired::{Changes, DesiredNode},
    error::Error,
    host::{links, watch},
    settings::{NodeSettings, Source},
};

/// The interface that every namespace has: the packet is taken to come in from it, and it is given the properties of the
/// device that it is meant to be.
const STAND_IN: u32 = 1;
/// Reading manifests waits for nobody.
const PATIENCE: Duration = Duration::ZERO;

/// Asks a twin of its own, over maps that hold what the manifests say.
pub(super) fn answer(question: &Question, args: &ExplainArgs, folder: &Path) -> Result<Answer, Error> {
    let (settings, warnings) = NodeSettings::of(&args.node)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let facts = match &args.node_facts {
        Some(path) => facts::read(path)?,
        None => of_this_machine()?,
    };
    let source = Source::Manifests(folder.to_owned());
    let (changes, refusals) = snapshot(&settings, &source, facts.host.local_addresses(), PATIENCE)?;
    refusals.iter().for_each(|refusal| tracing::warn!("{refusal}"));
    let apart = load::load_apart(&sizes(&changes)).map_err(|error| Error::Host(error.into()))?;
    let node = changes
        .node
        .clone()
        .ok_or_else(|| Error::Failed(anyhow::anyhow!("{}: nothing is wanted", folder.display())))?;
    let (device, words) = device(question, &facts, &node);
    write_node(&node, &facts, device, &changes, &apart)?;
    let maps = ServiceMaps::open(&apart, Access::Write).map_err(failed)?;
    let mut applier = Applier::adopt(maps, Grace::unsafely_none()).map_err(failed)?;
    let applied = applier.apply(&changes);
    if let Some((id, error)) = applied.failures.into_iter().next() {
        return Err(Error::Failed(anyhow::anyhow!("service {id}: {error}")));
    }
    if let Some(error) = applied.networks {
        return Err(failed(error));
    }
    apart.run(STAND_IN, &packet::first(question)).map_err(failed)?;
    let report = report(&apart).map_err(failed)?;
    let around = Surroundings {
        maps: &ServiceMaps::open(&apart, Access::Read).map_err(failed)?,
        actual: applier.actual(),
        device: words,
        takes_node_ports: takes_node_ports(question.destination.ip(), &apart).map_err(failed)?,
    };
    Ok(Answer::new(question, &report, &around))
}

fn of_this_machine() -> Result<NodeFacts, Error> {
    Ok(NodeFacts {
        host: watch::read().map_err(failed)?,
        networks: Vec::new(),
    })
}

/// Maps no larger than needed.
fn sizes(changes: &Changes) -> CapacityArgs {
    let wanted = || changes.services.values().flatten();
    let size = |count: usize| Some(u32::try_from(count).unwrap_or(u32::MAX).saturating_add(64));
    CapacityArgs {
        max_frontends: size(wanted().map(|service| service.frontends.len()).sum()),
        max_services: size(wanted().count()),
        max_endpoints: size(wanted().map(|service| service.endpoints.len()).sum()),
        max_flows: Some(64),
    }
}

/// What the sender's packets come in from, and how it is called.
fn device(question: &Question, facts: &NodeFacts, node: &DesiredNode) -> (Device, String) {
    let source = question.source.ip();
    if facts.host.local_addresses().contains(&source) {
        return (Device::default(), "this node itself".to_owned());
    }
    let edges = links::edges(facts.links(), Some(&node.detector));
    let named = facts.device_of(source);
    let found = named.and_then(|link| edges.iter().find(|edge| edge.target.ifindex == link.index));
    match found {
        Some(edge) => (
            Device {
                routed_from: STAND_IN,
                ..edge.device
            },
            edge.target.name.clone(),
        ),
        None => (Device::default(), "beyond the networks of this node".to_owned()),
    }
}

fn write_node(
    node: &DesiredNode,
    facts: &NodeFacts,
    device: Device,
    changes: &Changes,
    apart: &load::Apart,
) -> Result<(), Error> {
    let machine = Machine {
        host_netns: 0,
        fib_source: false,
        socket_lb: SocketLb::Off,
        records: 64,
    };
    let frontends = changes
        .services
        .values()
        .flatten()
        .flat_map(|service| &service.frontends);
    let node_ports: BTreeSet<u16> = frontends
        .filter(|frontend| frontend.kind == FrontendKind::NodePort)
        .map(|frontend| frontend.port)
        .collect();
    let mut wanted = contents(node, &facts.host, &machine, &node_ports);
    wanted.devices = BTreeMap::from([(STAND_IN, device)]);
    let mut tables = NodeTables::open(apart).map_err(failed)?;
    tables.sync(&wanted).map_err(failed)?;
    Ok(())
}
