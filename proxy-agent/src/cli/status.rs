//! `fairlead status`: what is attached, programmed and healthy.

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode};

use proxy_common::{
    family::V4,
    node::{Hook, NodeConfig},
    reason::Reason,
    schema,
};
use serde::Serialize;

use super::{
    StatusArgs,
    get::{self, DeviceRow, View, failed, json},
    output::Brief,
    table::table,
};
use crate::{
    apply::{
        kernel::{KernelArray, counters},
        map::Table as _,
        metrics::hook_name,
    },
    datapath::{Pins, attach, load},
    error::Error,
    health,
    host::{HostFacts, links},
};

/// Everything that `status` says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    ready: bool,
    agent: Option<health::Report>,
    state: PathBuf,
    layout: u32,
    devices: Vec<DeviceRow>,
    socket_hooks: Vec<&'static str>,
    programmed: Programmed,
    masquerade_ports: Ports,
    counters: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    warnings: Vec<String>,
}

/// How much is in the maps.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Programmed {
    services: usize,
    addresses: usize,
    endpoints: usize,
    flows: usize,
}

/// The ports that stand in for clients' when they are masqueraded.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ports {
    first: u32,
    last: u32,
    free: u32,
}

/// Prints the status. The exit code is 0 whether or not all is well: `ready` says that.
///
/// # Errors
/// If there are no pins, or a map cannot be read.
pub fn status(args: &StatusArgs) -> Result<ExitCode, Error> {
    let status = read(&Pins::new(&args.state.state))?;
    match args.output {
        Brief::Json => print!("{}", json(&status)),
        Brief::Table => print!("{}", text(&status)),
    }
    Ok(ExitCode::SUCCESS)
}

fn read(pins: &Pins) -> Result<Status, Error> {
    let view = View::open(pins)?;
    let agent = health::ask(pins.root());
    let devices = get::devices(pins)?;
    let socket_hooks = attach::attached_sockets(pins);
    let mut warnings = warnings(&devices);
    if agent.is_none() {
        warnings.push("no agent runs: what is programmed goes on working and follows no changes".to_owned());
    }
    warnings.extend(view.adopted.findings.iter().map(ToString::to_string));
    Ok(Status {
        ready: agent.as_ref().is_some_and(|agent| agent.ready),
        agent,
        state: pins.root().to_owned(),
        layout: load::abi(pins).map_err(failed)?,
        devices,
        socket_hooks,
        programmed: programmed(&view)?,
        masquerade_ports: ports(pins)?,
        counters: by_hook(&counters(&pins.maps()).map_err(failed)?),
        warnings,
    })
}

fn programmed(view: &View) -> Result<Programmed, Error> {
    let actual = &view.adopted.actual;
    let live = || actual.services().filter(|(_, slot)| slot.block.is_some());
    Ok(Programmed {
        services: live().count(),
        addresses: live().map(|(_, slot)| slot.frontends.len()).sum(),
        endpoints: actual.endpoints().filter(|(_, slot)| slot.serves()).count(),
        flows: get::count_flows(&view.pins)?,
    })
}

fn ports(pins: &Pins) -> Result<Ports, Error> {
    let maps = pins.maps();
    let node = KernelArray::<NodeConfig<V4>>::open(&maps, &schema::NODE_V4).map_err(failed)?;
    let config = node.get(&0).map_err(failed)?.unwrap_or_default();
    let free = KernelArray::<u64>::open(&maps, &schema::FREE_PORTS).map_err(failed)?;
    let free = free
        .entries()
        .map_err(failed)?
        .iter()
        .map(|(_, word)| word.count_ones())
        .sum();
    Ok(Ports {
        first: config.masquerade_first,
        last: (config.masquerade_first + config.masquerade_count).saturating_sub(1),
        free,
    })
}

/// The counters that are not zero, by hook and reason.
fn by_hook(counters: &[u64]) -> BTreeMap<&'static str, BTreeMap<&'static str, u64>> {
    let of = |hook: Hook| {
        let count = |reason: &Reason| counters.get(reason.counter(hook) as usize).copied().unwrap_or(0);
        let seen = Reason::ALL
            .iter()
            .map(|reason| (reason.name(), count(reason)))
            .filter(|(_, count)| *count > 0);
        (hook_name(hook), seen.collect())
    };
    let left_behind = counters.get(Reason::KEYS_LEFT_BEHIND as usize).copied().unwrap_or(0);
    let table = (left_behind > 0).then(|| ("table", BTreeMap::from([(Reason::KeyLeftBehind.name(), left_behind)])));
    Hook::ALL.into_iter().map(of).chain(table).collect()
}

fn warnings(devices: &[DeviceRow]) -> Vec<String> {
    let mut warnings = Vec::new();
    for device in devices {
        if !device.attached {
            warnings.push(format!("device {} does not carry the programs", device.name));
        } else if device.first == Some(false) {
            warnings.push(format!(
                "device {}: a program of somebody else's comes before ours",
                device.name
            ));
        }
    }
    if has_bridge() && !bridge_is_filtered() && drops_invalid() {
        warnings.push(
            "a bridge without br_netfilter and a firewall that drops INVALID: replies that stay on the bridge break \
             connections; load br_netfilter or take the rule out"
                .to_owned(),
        );
    }
    warnings
}

fn has_bridge() -> bool {
    let mut facts = HostFacts::default();
    let read = facts.read_links();
    read.is_ok() && facts.links.values().any(|link: &links::Link| link.kind == "bridge")
}

fn bridge_is_filtered() -> bool {
    let setting = fs::read_to_string("/proc/sys/net/bridge/bridge-nf-call-iptables");
    setting.is_ok_and(|setting| setting.trim() == "1")
}

/// Whether a rule of any firewall tool drops what conntrack calls invalid. A tool that is not there has no rules.
fn drops_invalid() -> bool {
    let listings: [(&str, &[&str]); 3] = [
        ("iptables-legacy-save", &[]),
        ("iptables-nft-save", &[]),
        ("nft", &["list", "ruleset"]),
    ];
    listings.into_iter().any(|(program, arguments)| {
        let output = std::process::Command::new(program).args(arguments).output();
        output.is_ok_and(|output| {
            let rules = String::from_utf8_lossy(&output.stdout).to_lowercase();
            rules
                .lines()
                .any(|rule| rule.contains("invalid") && rule.contains("drop"))
        })
    })
}

fn text(status: &Status) -> String {
    let mut lines = Vec::new();
    lines.push(match &status.agent {
        Some(agent) => format!(
            "agent       {} {} (process {}), node {}, mode {}, since {}",
            if agent.ready { "ready" } else { "NOT READY" },
            agent.version,
            agent.pid,
            agent.node,
            agent.mode,
            agent.began
        ),
        None => "agent       none".to_owned(),
    });
    let programmed = &status.programmed;
    lines.push(format!(
        "state       {} (layout {})",
        status.state.display(),
        status.layout
    ));
    lines.push(format!(
        "programmed  {} services at {} addresses, {} endpoints; {} flows",
        programmed.services, programmed.addresses, programmed.endpoints, programmed.flows
    ));
    let ports = &status.masquerade_ports;
    lines.push(format!(
        "masquerade  ports {}-{}, {} of them free of others' use",
        ports.first, ports.last, ports.free
    ));
    let hooks = if status.socket_hooks.is_empty() {
        "none".to_owned()
    } else {
        status.socket_hooks.join(" ")
    };
    lines.push(format!("sockets     {hooks}"));
    let troubles = status
        .agent
        .iter()
        .flat_map(|agent| agent.troubles.iter().chain(&agent.failures));
    lines.extend(troubles.map(|(what, reason)| format!("failing     {what}: {reason}")));
    lines.extend(status.warnings.iter().map(|warning| format!("warning     {warning}")));
    format!(
        "{}\n\n{}\n{}",
        lines.join("\n"),
        devices(&status.devices),
        counted(status)
    )
}

fn devices(devices: &[DeviceRow]) -> String {
    let rows: Vec<_> = devices.iter().map(get::Row::cells).collect();
    table(<DeviceRow as get::Row>::COLUMNS, &rows)
}

fn counted(status: &Status) -> String {
    let rows: Vec<_> = status
        .counters
        .iter()
        .flat_map(|(hook, reasons)| {
            reasons
                .iter()
                .map(|(reason, count)| vec![hook.to_string(), reason.to_string(), count.to_string()])
        })
        .collect();
    table(&["HOOK", "REASON", "PACKETS"], &rows)
}
