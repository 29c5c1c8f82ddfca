//! Live flows: conversations through a Service of their own, in the flow table of the client's node, between clients and
//! an endpoint that no kernel has; see [`Conversations`].

use std::fs;
use std::net::SocketAddrV4;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::crowd;
use super::peer::Peer;
use super::proxy::Proxy;
use super::stand::Stand;
use crate::cluster::World;
use crate::plan::{self, Dual};
use crate::probe::{Conversations, Side, hardware_address};

const NAME: &str = "live";
const PORT: u16 = 80;
const TARGET: u16 = 8080;

/// The made-up clients have the upper quarter of the pod network of the client's node, for which no pods are made.
const CLIENTS: u8 = 192;
const CLIENT_LENGTHS: (u8, u8) = (26, 122);

/// Conversations that are looked after one by one, drawn evenly from all.
const LOOKED_AFTER: u32 = 1000;

/// What a live flow may take of the machine's memory: in the kernel's connection tracking, and in Fairlead's maps of both
/// families, which are as large as can be needed from the beginning.
fn bytes(peer: Peer) -> u64 {
    match peer.fairlead() {
        Some(_) => 2500,
        None if peer.has_services() => 800,
        None => 0,
    }
}

/// Of numbers of live flows those for which this machine has memory with these peers.
pub fn that_fit(flows: Vec<u32>, peers: &[Peer]) -> Vec<u32> {
    let present = peers.iter().filter(|peer| peer.absent().is_none());
    let each: u64 = present.map(|peer| bytes(*peer)).sum();
    let available = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available(&text));
    let needed = |flows: u32| each * u64::from(flows);
    let fits = |flows: &u32| available.is_none_or(|available| needed(*flows) < available);
    let (fitting, others): (Vec<u32>, Vec<u32>) = flows.into_iter().partition(fits);
    for flows in others {
        let gigabytes = needed(flows) / 1_000_000_000;
        println!("{flows} live flows are left out: they may need {gigabytes} GB of memory, more than there is");
    }
    fitting
}

/// The bytes that can be had, by `/proc/meminfo`.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The Service and its slice.
pub(super) fn objects() -> Vec<Value> {
    let labels = json!({ "kubernetes.io/service-name": NAME });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": NAME, "namespace": "default" },
        "spec": {
            "clusterIP": cluster_ip().v4,
            "clusterIPs": [cluster_ip().v4],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{ "name": "http", "protocol": "TCP", "port": PORT, "targetPort": TARGET }],
        },
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": { "name": NAME, "namespace": "default", "labels": labels },
        "addressType": "IPv4",
        "ports": [{ "name": "http", "protocol": "TCP", "port": TARGET }],
        "endpoints": [{
            "addresses": [backend().v4],
            "conditions": { "ready": true, "serving": true, "terminating": false },
            "nodeName": "node-a",
        }],
    });
    vec![service, slice]
}

fn cluster_ip() -> Dual {
    plan::cluster_ip(201)
}

/// Behind the first serving pod of the client's node.
fn backend() -> Dual {
    crowd::address(0, 0)
}

/// Sends the made-up clients' network to the client's pod and that of the endpoint to a serving one, whose kernels are not
/// told that these addresses are theirs.
///
/// # Errors
/// When a route is refused.
pub(super) fn settle(world: &World) -> Result<()> {
    world.route_to_pod(0, 0, plan::in_pod_network(0, CLIENTS), CLIENT_LENGTHS)?;
    world.route_to_pod(0, 1, crowd::network(0, 0), crowd::LENGTHS)
}

/// Adds live flows to a stand until there are so many; a peer without services has none.
///
/// # Errors
/// When one cannot be opened, or they are not in the peer's books.
pub(super) fn fill(stand: &mut Stand, flows: u32) -> Result<()> {
    if !stand.plan.peer.has_services() || flows <= stand.live {
        return Ok(());
    }
    conversations(stand)?.open(stand.live..flows)?;
    stand.live = flows;
    live(stand)
}

/// Whether the live flows of a stand, which is not paused, are still there: a part of them one by one, all by the peer's
/// books.
///
/// # Errors
/// When some have been forgotten.
pub(super) fn live(stand: &Stand) -> Result<()> {
    if stand.live == 0 {
        return Ok(());
    }
    let step = stand.live.div_ceil(LOOKED_AFTER).max(1);
    let some = (0..stand.live).step_by(usize::try_from(step)?);
    conversations(stand)?.live(some)?;
    let (counted, by) = counted(stand)?;
    ensure!(
        counted >= u64::from(stand.live),
        "{} live flows were made, and {by} has {counted}",
        stand.live
    );
    Ok(())
}

/// How many flows there are by the books of the client's node, the measured ones included.
fn counted(stand: &Stand) -> Result<(u64, &'static str)> {
    let agent = stand.agents.first().context("the peer has no agent")?;
    match agent {
        Proxy::KubeProxy(_) => {
            let file = "/proc/sys/net/netfilter/nf_conntrack_count";
            let text = stand.node().netns().run(|| fs::read_to_string(file))?.context(file)?;
            let count = text.trim().parse().with_context(|| format!("{file}: {text:?}"))?;
            Ok((count, "the kernel's connection tracking"))
        }
        Proxy::Fairlead(agent) => {
            let status = agent.ask(&["status"])?;
            let count = status["programmed"]["flows"].as_u64().context("status: no flows")?;
            Ok((count, "its table of flows"))
        }
    }
}

fn conversations(stand: &Stand) -> Result<Conversations> {
    let (client, server) = (stand.client(), stand.world.pod(0, 1));
    let side = |pod| {
        let next = hardware_address(stand.node().netns(), stand.node().gateway_device(pod))?;
        Side::open(pod.netns(), "eth0", next)
    };
    Ok(Conversations {
        client: side(client)?,
        server: side(server)?,
        first: plan::in_pod_network(0, CLIENTS).v4,
        dialled: SocketAddrV4::new(cluster_ip().v4, PORT),
        backend: SocketAddrV4::new(backend().v4, TARGET),
    })
}

#[cfg(test)]
mod tests {
    use super::super::plan::MOST_FLOWS;
    use super::*;

    #[test]
    fn what_can_be_had_of_the_memory_is_read_in_bytes() {
        let text = "MemTotal:       24640000 kB\nMemFree:        1 kB\nMemAvailable:   22595472 kB\n";
        assert_eq!(available(text), Some(22_595_472 * 1024));
        assert_eq!(available("MemTotal: 1 kB"), None);
    }

    #[test]
    fn made_up_clients_have_addresses_of_their_own() {
        let clients = Conversations::addresses(MOST_FLOWS);
        assert!(clients <= 1 << (32 - CLIENT_LENGTHS.0), "{clients}");
        // The client, and as many endpoints as can be asked for.
        let last = plan::pod(0, 64).v4;
        assert!(last < plan::in_pod_network(0, CLIENTS).v4, "{last}");
    }
}
