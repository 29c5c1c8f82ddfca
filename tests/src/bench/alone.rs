//! Whether a stand has nothing of another peer in it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};

use super::kube_proxy::{Mode, Tools};
use super::peer::Peer;
use super::programs;
use super::stand::Stand;
use crate::cluster::{Node, Place};
use crate::netns::NetNs;
use crate::{agent, apiserver};

/// Looks into every namespace and cgroup of a stand.
///
/// # Errors
/// What there is that is not the peer's: where, and what.
pub(super) fn is_alone(stand: &Stand) -> Result<()> {
    let peer = stand.plan.peer;
    for node in &stand.world.nodes {
        let mut tables: BTreeSet<&str> = stand.plan.host.tables().iter().copied().collect();
        tables.extend(own_tables(peer));
        tables_are_of(node, &tables)?;
        legacy_is_of(node.netns(), peer.kube_proxy() == Some(Mode::Iptables(Tools::Legacy)))?;
        programs_are_of(node, peer.fairlead().is_some())?;
        processes_are_of(node, peer)?;
        for pod in &node.pods {
            nothing_in(pod)?;
        }
    }
    nothing_in(&stand.world.router)?;
    nothing_in(&stand.world.client)
}

/// The nftables tables that a peer may make.
const fn own_tables(peer: Peer) -> &'static [&'static str] {
    match peer.kube_proxy() {
        Some(Mode::Iptables(Tools::Nft) | Mode::Ipvs) => &[
            "ip nat",
            "ip filter",
            "ip mangle",
            "ip6 nat",
            "ip6 filter",
            "ip6 mangle",
        ],
        Some(Mode::Nftables) => &["ip kube-proxy", "ip6 kube-proxy"],
        Some(Mode::Iptables(Tools::Legacy)) | None => &[],
    }
}

/// Pods, the router and the client have neither rules nor programs, whoever the peer is.
fn nothing_in(place: &Place) -> Result<()> {
    tables_are_of(place, &BTreeSet::new())?;
    legacy_is_of(place.netns(), false)?;
    let hooks = programs::at_devices(place.netns())?;
    ensure!(hooks.is_empty(), "{}: programs at {hooks:?}", place.label());
    Ok(())
}

fn tables_are_of(place: &Place, allowed: &BTreeSet<&str>) -> Result<()> {
    let said = place.tool("nft", &["list", "tables"])?;
    let tables = said.lines().filter_map(|line| line.strip_prefix("table "));
    let others: Vec<&str> = tables.filter(|table| !allowed.contains(table)).collect();
    ensure!(
        others.is_empty(),
        "{}: nftables tables that are not the peer's: {}",
        place.label(),
        others.join(", ")
    );
    Ok(())
}

/// The kernel's own iptables have no tables in a namespace before somebody asks for one, which listing them would do.
fn legacy_is_of(netns: &NetNs, allowed: bool) -> Result<()> {
    let tables = || {
        ["ip_tables_names", "ip6_tables_names"].map(|file| {
            // Without the module there is no such file.
            fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default()
        })
    };
    let tables = netns.run(tables)?;
    let any = tables.iter().any(|names| !names.is_empty());
    ensure!(
        allowed || !any,
        "{}: tables of iptables-legacy that are not the peer's: {}",
        netns.name(),
        tables.concat().split_whitespace().collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

fn programs_are_of(node: &Node, allowed: bool) -> Result<()> {
    let most = usize::from(allowed);
    let mut hooks = programs::at_devices(node.netns())?;
    hooks.extend(programs::at_cgroup(node.cgroup().path())?);
    let others = hooks.iter().find(|hook| hook.programs > most);
    if let Some(hook) = others {
        anyhow::bail!(
            "{}: {} programs at {}, of which the peer's are {most}",
            node.label(),
            hook.programs,
            hook.name
        );
    }
    let pins = node.pins();
    ensure!(
        allowed || pins.is_empty(),
        "{}: pins of Fairlead in {}",
        node.label(),
        node.state_dir().display()
    );
    Ok(())
}

/// No process of a node is another peer's agent.
fn processes_are_of(node: &Node, peer: Peer) -> Result<()> {
    let mut others = Vec::new();
    if peer.fairlead().is_none() {
        others.push(agent::binary()?);
    }
    if !peer.is_kube_proxy() {
        others.push(apiserver::binary("kube-proxy")?);
    }
    let others = others
        .into_iter()
        .map(|path| fs::canonicalize(&path).with_context(|| format!("{}", path.display())))
        .collect::<Result<Vec<_>>>()?;
    for process in node.cgroup().processes() {
        // One that has ended meanwhile is nobody's.
        let Ok(program) = fs::read_link(format!("/proc/{process}/exe")) else {
            continue;
        };
        ensure!(
            !others.contains(&program),
            "{}: {} runs there",
            node.label(),
            program.display()
        );
    }
    Ok(())
}
