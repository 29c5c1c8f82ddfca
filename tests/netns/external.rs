//! External and load-balancer addresses.

use anyhow::{Result, ensure};
use rstest::rstest;
use serde_json::json;
use tests::agent::SocketLb;
use tests::cluster::{PodNetwork, Uplink, World};
use tests::manifests::{Backend, Service};
use tests::peer::Transport;
use tests::plan::{Dual, Ip, cluster_ip, load_balancer, outside};
use tests::programmed::{Programmed, TARGET, sees, sees_the_client, serve_at, serve_everywhere, spreads_over};

use crate::is_refused;

const PORT: u16 = 80;
const ALL: [&str; 4] = ["pod-a-0", "pod-a-1", "pod-b-0", "pod-b-1"];

/// Reached by both kinds of address.
fn web(world: &World) -> Service {
    let service = Service::named("web", cluster_ip(10))
        .ports(PORT, TARGET)
        .node_port(30080)
        .external_ip(load_balancer(20))
        .load_balancer(load_balancer(21));
    world.nodes.iter().fold(service, Service::pods_of)
}

const ADDRESSES: [u8; 2] = [20, 21];

#[rstest]
fn the_outside_reaches_every_endpoint(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Uplink::Direct, Uplink::BridgePort)] uplink: Uplink,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let world = World::two_nodes()
        .pods(2)
        .network(network)
        .each(|node| node.uplink = uplink)
        .build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let node = programmed.world.node(0);
    for number in ADDRESSES {
        let to = load_balancer(number).at(ip, PORT);
        for transport in [Transport::Tcp, Transport::Udp] {
            spreads_over(&ALL, &programmed.world.client, transport, to, sees(node))?;
        }
    }
    Ok(())
}

/// In mode iptables of kube-proxy what the node itself sends goes on to the load balancer.
#[rstest]
fn without_endpoints_the_node_itself_is_refused_too(
    #[values("nftables", "iptables")] mode: &str,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let world = World::one_node().build()?;
    let service = web(&world);
    let mode = format!("--proxy-mode={mode}");
    let programmed = Programmed::start_with(world, SocketLb::Host, &[service], &[&mode])?;
    for number in ADDRESSES {
        is_refused(programmed.world.node(0), load_balancer(number).at(ip, PORT))?;
    }
    Ok(())
}

#[rstest]
fn the_inside_reaches_them_without_leaving_the_node(
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(SocketLb::Off, SocketLb::Auto)] socket_lb: SocketLb,
) -> Result<()> {
    let world = World::two_nodes().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, socket_lb, &[service])?;
    for number in ADDRESSES {
        let to = load_balancer(number).at(ip, PORT);
        for transport in [Transport::Tcp, Transport::Udp] {
            spreads_over(&ALL, programmed.world.pod(1, 0), transport, to, |_| Ok(()))?;
            if socket_lb == SocketLb::Auto {
                spreads_over(&ALL, programmed.world.node(1), transport, to, |_| Ok(()))?;
            }
        }
    }
    Ok(())
}

#[rstest]
fn the_local_policy_keeps_the_client(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::two_nodes().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = web(&world).field("externalTrafficPolicy", json!("Local"));
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    for number in ADDRESSES {
        let to = load_balancer(number).at(ip, PORT);
        spreads_over(
            &["pod-a-0", "pod-a-1"],
            &programmed.world.client,
            Transport::Tcp,
            to,
            sees_the_client,
        )?;
    }
    Ok(())
}

/// A backend in the node's own namespace, on the address that is the load balancer's too.
#[rstest]
fn a_host_network_backend_may_share_its_address_with_the_load_balancer(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(1).build()?;
    let node = world.node(0);
    serve_at(node, node.address())?;
    let shared: Dual = node.address();
    let service = Service::named("gateway", cluster_ip(13))
        .ports(PORT, TARGET)
        .load_balancer(shared)
        .backend(Backend::host(node));
    let programmed = Programmed::start(world, SocketLb::Auto, &[service])?;
    let world = &programmed.world;
    let (client, pod, node) = (&world.client, world.pod(0, 0), world.node(0));
    for transport in [Transport::Tcp, Transport::Udp] {
        spreads_over(&["node-a"], client, transport, shared.at(ip, PORT), |_| Ok(()))?;
        // From a port of its own: a UDP packet straight to an endpoint reserves nothing, and the kernel may give its
        // socket the port that one to the service has had.
        let own = outside(2).at(ip, 7000);
        let direct = client.peer()?.open_from(transport, own, shared.at(ip, TARGET))?;
        ensure!(direct.opened.server == "node-a", "{:?}", direct.opened);
        spreads_over(&["node-a"], pod, transport, shared.at(ip, PORT), |_| Ok(()))?;
        spreads_over(&["node-a"], pod, transport, cluster_ip(13).at(ip, PORT), |_| Ok(()))?;
        // The backend asks its own service.
        spreads_over(&["node-a"], node, transport, shared.at(ip, PORT), |_| Ok(()))?;
        spreads_over(&["node-a"], node, transport, cluster_ip(13).at(ip, PORT), |_| Ok(()))?;
    }
    Ok(())
}
