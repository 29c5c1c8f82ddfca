//! Nodes joined by tunnels without a link header (ipip, sit).

use anyhow::{Result, ensure};
use tests::agent::SocketLb;
use tests::cluster::{Between, PodNetwork, World};
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip};
use tests::programmed::{Programmed, TARGET, sees, sees_the_client, serve_everywhere, spreads_over};

const NODE_PORT: u16 = 30080;

#[test]
fn services_reach_pods_behind_a_tunnel() -> Result<()> {
    let world = World::two_nodes()
        .pods(1)
        .network(PodNetwork::Routed)
        .between(Between::Tunnels)
        .build()?;
    serve_everywhere(&world)?;
    let service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .node_port(NODE_PORT)
        .pods_of(world.node(1));
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let world = &programmed.world;
    let devices = programmed.agents[0].ask(&["get", "devices"])?.to_string();
    ensure!(devices.contains("four1") && devices.contains("six1"), "{devices}");
    for ip in Ip::BOTH {
        let (own, to) = (cluster_ip(10).at(ip, 80), world.node(0).address().at(ip, NODE_PORT));
        for transport in [Transport::Tcp, Transport::Udp] {
            spreads_over(&["pod-b-0"], world.pod(0, 0), transport, own, sees_the_client)?;
            spreads_over(&["pod-b-0"], &world.client, transport, to, sees(world.node(0)))?;
        }
        world.pod(0, 0).peer()?.open(Transport::Tcp, own)?.exchange(200_000)?;
        world.client.peer()?.open(Transport::Tcp, to)?.exchange(200_000)?;
    }
    Ok(())
}
