//! A pod that is its own endpoint.

use anyhow::{Result, ensure};
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{PodNetwork, World};
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip, load_balancer};
use tests::programmed::{Programmed, TARGET, serve_everywhere, spreads_over};

#[rstest]
fn a_pod_reaches_itself_through_every_kind_of_address(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(80, TARGET)] port: u16,
) -> Result<()> {
    let world = World::one_node().pods(1).network(network).build()?;
    serve_everywhere(&world)?;
    let service = Service::named("self", cluster_ip(10))
        .ports(port, TARGET)
        .node_port(30080)
        .load_balancer(load_balancer(21))
        .pods_of(world.node(0));
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let pod = programmed.world.pod(0, 0);
    let node_port = programmed.world.node(0).address().at(ip, 30080);
    for to in [cluster_ip(10).at(ip, port), node_port, load_balancer(21).at(ip, port)] {
        for transport in [Transport::Tcp, Transport::Udp] {
            spreads_over(&["pod-a-0"], pod, transport, to, |opened| {
                ensure!(
                    opened.seen.ip() != pod.address.of(ip),
                    "seen as itself, {}: it would answer itself",
                    opened.seen
                );
                Ok(())
            })?;
        }
    }
    Ok(())
}

#[rstest]
fn a_source_port_equal_to_the_target_port_works(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let world = World::one_node().pods(1).network(network).build()?;
    serve_everywhere(&world)?;
    let service = Service::named("self", cluster_ip(10))
        .ports(80, TARGET)
        .pods_of(world.node(0));
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let pod = programmed.world.pod(0, 0);
    let own = pod.address.at(ip, TARGET);
    let connection = pod.peer()?.open_from(Transport::Tcp, own, cluster_ip(10).at(ip, 80))?;
    ensure!(
        connection.opened.seen != own,
        "seen as {own}, which is the server's own"
    );
    connection.exchange(5000)
}
