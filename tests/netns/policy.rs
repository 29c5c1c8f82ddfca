//! Firewalls and network policies are written in addresses of pods: they must see those, on both sides of every service.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{Node, NodePlan, Place, Pod, PodNetwork, World};
use tests::manifests::{Backend, Service};
use tests::peer::{Aim, Transport, Why};
use tests::plan::{Ip, cluster_ip, outside};
use tests::programmed::{Programmed, TARGET, sees, sees_the_client, serve_everywhere, spreads_over};
use tests::rules::{Engine, NOTHING_FORWARDED, Policy, Side, Tables};

const NODE_PORT: u16 = 30080;
const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Udp];

/// Two nodes with three pods each whose bridged packets are seen by rules; Service `one` leads to pod 1 of node b, `two` to
/// pod 0 of it.
fn started(network: PodNetwork) -> Result<Programmed> {
    let shape = |node: &mut NodePlan| {
        (node.network, node.bridge_netfilter) = (network, network == PodNetwork::Bridge);
    };
    let world = World::two_nodes().pods(3).each(shape).build()?;
    serve_everywhere(&world)?;
    let to = |name, number: u8, pod| {
        Service::named(name, cluster_ip(number))
            .ports(80, TARGET)
            .node_port(NODE_PORT + u16::from(number))
            .backend(Backend::pod(world.node(1), world.pod(1, pod)))
    };
    let services = [to("one", 1, 1), to("two", 2, 0)];
    Programmed::start(world, SocketLb::Auto, &services)
}

/// Nobody answers, and nobody says why.
fn is_dropped(from: &Place, to: &[SocketAddr]) -> Result<()> {
    let aims: Vec<Aim> = TRANSPORTS
        .into_iter()
        .flat_map(|transport| to.iter().map(move |to| (transport, *to)))
        .map(|(transport, to)| Aim {
            transport,
            to,
            tries: 1,
            within: Duration::from_millis(700),
        })
        .collect();
    for (aim, met) in aims.iter().zip(from.peer()?.reach(aims.clone())?) {
        let silence = met.servers.is_empty() && met.failures == BTreeSet::from([Why::TimedOut]);
        ensure!(silence, "{} to {aim:?}: {met:?}", from.label());
    }
    Ok(())
}

/// The client is answered by the Service and by the pod itself, and seen as it is.
fn is_let_through(from: &Pod, [service, pod]: [SocketAddr; 2], server: &str) -> Result<()> {
    let ip = if pod.is_ipv4() { Ip::V4 } else { Ip::V6 };
    // A datagram straight to a pod reserves nothing: from a port that none to the Service comes from.
    let own = from.address.at(ip, 7000);
    for transport in TRANSPORTS {
        spreads_over(&[server], from, transport, service, sees_the_client)
            .with_context(|| format!("{} to {service} over {transport:?}", from.label()))?;
        let direct = from.peer()?.open_from(transport, own, pod)?;
        ensure!(direct.opened.server == server, "{:?}", direct.opened);
        sees_the_client(&direct.opened)?;
        direct.exchange(4000)?;
    }
    Ok(())
}

#[rstest]
#[case::bridge(PodNetwork::Bridge, Engine::Nftables)]
#[case::bridge_by_iptables(PodNetwork::Bridge, Engine::Iptables(Tables::Nft))]
#[case::routed(PodNetwork::Routed, Engine::Nftables)]
#[case::routed_by_iptables(PodNetwork::Routed, Engine::Iptables(Tables::Legacy))]
fn a_policy_knows_both_pods_of_a_service(#[case] network: PodNetwork, #[case] engine: Engine) -> Result<()> {
    let programmed = started(network)?;
    let world = &programmed.world;
    let (near, far) = (world.node(0), world.node(1));
    let called = Policy {
        pod: world.pod(1, 1).address,
        side: Side::Ingress,
        peers: vec![world.pod(0, 0).address, world.pod(1, 0).address, outside(2)],
    };
    let calling = Policy {
        pod: world.pod(0, 0).address,
        side: Side::Egress,
        peers: vec![called.pod],
    };
    engine.load(far, &called)?;
    engine.load(near, &calling)?;
    for ip in Ip::BOTH {
        let one = [cluster_ip(1).at(ip, 80), called.pod.at(ip, TARGET)];
        let two = [cluster_ip(2).at(ip, 80), world.pod(1, 0).address.at(ip, TARGET)];
        is_let_through(world.pod(0, 0), one, "pod-b-1")?;
        is_let_through(world.pod(1, 0), one, "pod-b-1")?;
        is_dropped(world.pod(0, 1), &one)?;
        is_dropped(world.pod(1, 2), &one)?;
        is_let_through(world.pod(0, 1), two, "pod-b-0")?;
        is_dropped(world.pod(0, 0), &two)?;
        // A client outside is known where it enters, before it is masqueraded, and by the other node's address behind it.
        let through = |node: &Node| node.address().at(ip, NODE_PORT + 1);
        for transport in TRANSPORTS {
            spreads_over(&["pod-b-1"], &world.client, transport, through(far), sees(far))?;
        }
        is_dropped(&world.client, &[through(near)])?;
    }
    Ok(())
}

/// As beside kube-proxy in mode nftables, which leaves it to the administrator to let services through.
#[rstest]
#[case::bridge(PodNetwork::Bridge, Engine::Iptables(Tables::Legacy))]
#[case::routed(PodNetwork::Routed, Engine::Nftables)]
fn what_a_firewall_does_not_forward_no_service_carries_through(
    #[case] network: PodNetwork,
    #[case] engine: Engine,
) -> Result<()> {
    let programmed = started(network)?;
    let world = &programmed.world;
    world
        .nodes
        .iter()
        .try_for_each(|node| engine.load(node, &NOTHING_FORWARDED))?;
    for ip in Ip::BOTH {
        let service = cluster_ip(1).at(ip, 80);
        is_dropped(world.pod(0, 0), &[service])?;
        is_dropped(world.pod(1, 0), &[service])?;
        is_dropped(&world.client, &[world.node(1).address().at(ip, NODE_PORT + 1)])?;
        // What a node sends to its own pods is not forwarded.
        for transport in TRANSPORTS {
            spreads_over(&["pod-b-1"], world.node(1), transport, service, |_| Ok(()))?;
        }
    }
    Ok(())
}
