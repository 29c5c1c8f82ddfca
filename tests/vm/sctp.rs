//! SCTP between real sockets. Its checksum covers the ports, and may be left to the device at either end.

use anyhow::{Result, ensure};
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{Place, PodNetwork, World};
use tests::manifests::{Protocol, Service};
use tests::peer::{Opened, Transport};
use tests::plan::{Ip, cluster_ip};
use tests::programmed::{Programmed, TARGET, sees, sees_the_client};

const PORT: u16 = 38412;
const NODE_PORT: u16 = 30080;

/// Opens associations until both endpoints have answered, and sends bytes over each.
fn talk(from: &Place, to: std::net::SocketAddr, right: impl Fn(&Opened) -> Result<()>) -> Result<()> {
    let mut servers = std::collections::BTreeSet::new();
    // One of two is missed by twenty choices once in a million runs.
    for _ in 0..20 {
        let connection = from.peer()?.open(Transport::Sctp, to)?;
        ensure!(connection.opened.remote == to, "{:?}", connection.opened);
        right(&connection.opened)?;
        for bytes in [1, 3, 1000, 20_000] {
            connection.exchange(bytes)?;
        }
        servers.insert(connection.opened.server.clone());
    }
    ensure!(servers.len() == 2, "{servers:?}");
    Ok(())
}

#[rstest]
fn associations_reach_services_from_pods_and_from_outside(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(true, false)] offloads: bool,
) -> Result<()> {
    let world = World::one_node().pods(3).network(network).build()?;
    let node = world.node(0);
    let mut service = Service::named("amf", cluster_ip(10))
        .port(Protocol::Sctp, PORT, TARGET)
        .node_port(NODE_PORT)
        .pods_of(node);
    service.backends.remove(0);
    for pod in &node.pods {
        pod.netns().offloads("eth0", offloads)?;
        node.netns().offloads(&pod.host_device, offloads)?;
        for ip in Ip::BOTH {
            pod.peer()?.serve_sctp(pod.address.at(ip, TARGET))?;
        }
    }
    world.client.netns().offloads("eth0", offloads)?;
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let world = &programmed.world;
    for ip in Ip::BOTH {
        talk(world.pod(0, 0), cluster_ip(10).at(ip, PORT), sees_the_client)?;
        let node_port = world.node(0).address().at(ip, NODE_PORT);
        talk(&world.client, node_port, sees(world.node(0)))?;
    }
    Ok(())
}
