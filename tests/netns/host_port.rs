//! Host ports: a CNI translates in netfilter what comes to its ports, and we what comes to services.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{NodePlan, Place, Pod, PodNetwork, World};
use tests::manifests::Service;
use tests::peer::{Opened, Transport};
use tests::plan::{Ip, cluster_ip, outside};
use tests::programmed::{Programmed, TARGET, sees, serve_everywhere, spreads_over};
use tests::rules::{Engine, HostPort, Tables};

const HOST_PORT: u16 = 8080;
const NODE_PORT: u16 = 30080;
const MAPPED: [&str; 1] = ["pod-a-1"];
const ALL: [&str; 2] = ["pod-a-0", "pod-a-1"];

/// A node whose second pod has a host port, and a Service on both pods.
fn started(network: PodNetwork, engine: Engine) -> Result<Programmed> {
    let shape = |node: &mut NodePlan| {
        (node.network, node.bridge_netfilter) = (network, network == PodNetwork::Bridge);
    };
    let world = World::one_node().pods(2).each(shape).build()?;
    serve_everywhere(&world)?;
    let node = world.node(0);
    if network == PodNetwork::Bridge {
        // As a bridge's CNI sets it: a pod that is sent back to itself gets the frame from the port that it came by.
        let port = |pod: &Pod| format!("link set {} type bridge_slave hairpin on\n", pod.host_device);
        node.netns().ip(&node.pods.iter().map(port).collect::<String>())?;
    }
    // As the port mapping sets it for the sake of 127.0.0.1.
    node.netns().sysctls(&[("net/ipv4/conf/all/route_localnet", "1")])?;
    let host_port = HostPort {
        port: HOST_PORT,
        pod: world.pod(0, 1).address,
        target: TARGET,
        network: node.pod_network(),
    };
    engine.load(node, &host_port)?;
    let service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .node_port(NODE_PORT)
        .pods_of(node);
    Programmed::start(world, SocketLb::Auto, &[service])
}

/// Over TCP and UDP, with a whole transfer.
fn answer(servers: &[&str], from: &Place, to: SocketAddr) -> Result<()> {
    for transport in [Transport::Tcp, Transport::Udp] {
        spreads_over(servers, from, transport, to, |_| Ok(()))
            .with_context(|| format!("{} to {to} over {transport:?}", from.label()))?;
    }
    from.peer()?.open(Transport::Tcp, to)?.exchange(200_000)
}

fn sees_the_clients_address(opened: &Opened) -> Result<()> {
    ensure!(opened.seen.ip() == opened.local.ip(), "{opened:?}");
    Ok(())
}

#[rstest]
#[case::bridge(PodNetwork::Bridge, Engine::Nftables)]
#[case::bridge_by_iptables(PodNetwork::Bridge, Engine::Iptables(Tables::Nft))]
#[case::routed(PodNetwork::Routed, Engine::Nftables)]
#[case::routed_by_iptables(PodNetwork::Routed, Engine::Iptables(Tables::Legacy))]
fn a_host_port_leads_to_its_pod_and_service_addresses_to_all(
    #[case] network: PodNetwork,
    #[case] engine: Engine,
) -> Result<()> {
    let programmed = started(network, engine)?;
    let world = &programmed.world;
    let (node, pods) = (world.node(0), &world.node(0).pods);
    for ip in Ip::BOTH {
        let (host_port, node_port) = (node.address().at(ip, HOST_PORT), node.address().at(ip, NODE_PORT));
        // Before anything else: a connection to the host port may have the port of one to the node port. Then netfilter, for
        // which both are one, gives the second another, and a service's is not known as such where it leaves.
        for transport in [Transport::Tcp, Transport::Udp] {
            spreads_over(&ALL, &world.client, transport, node_port, sees(node))?;
            spreads_over(&MAPPED, &world.client, transport, host_port, sees_the_clients_address)?;
        }
        let senders: [&Place; 4] = [&world.client, node, &pods[0], &pods[1]];
        for from in senders {
            answer(&MAPPED, from, host_port)?;
            answer(&ALL, from, node_port)?;
        }
        for from in [&**node, &*pods[0]] {
            answer(&ALL, from, cluster_ip(10).at(ip, 80))?;
        }
    }
    // IPv6 has no way to let its loopback address out.
    answer(&MAPPED, node, SocketAddr::from(([127, 0, 0, 1], HOST_PORT)))
}

/// Both lead to one pod's port. What translates second sees that its tuple is taken, and gives the client another port.
#[rstest]
fn a_node_port_and_then_a_host_port_from_one_port_of_a_client(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
) -> Result<()> {
    let programmed = started(network, Engine::Nftables)?;
    let (client, node) = (programmed.world.client.peer()?, programmed.world.node(0).address());
    let mut open = Vec::new();
    for ip in Ip::BOTH {
        // Several, for the node port may lead to the other pod.
        for port in 7000..7008 {
            let from = outside(2).at(ip, port);
            open.push(client.open_from(Transport::Tcp, from, node.at(ip, NODE_PORT))?);
            open.push(client.open_from(Transport::Tcp, from, node.at(ip, HOST_PORT))?);
        }
    }
    for bytes in [100, 20_000, 300] {
        open.iter().try_for_each(|connection| connection.exchange(bytes))?;
    }
    Ok(())
}
