//! Datagrams larger than a packet: only the first fragment has ports.

use std::time::Duration;

use anyhow::Result;
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{Between, PodNetwork, World};
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip};
use tests::programmed::{Programmed, TARGET, serve_everywhere};
use tests::wait;

const SECOND: Duration = Duration::from_secs(1);

#[rstest]
fn large_datagrams_arrive_whole_in_both_directions(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Between::Routes, Between::Vxlan)] between: Between,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(false, true)] conntrack: bool,
) -> Result<()> {
    let world = World::two_nodes()
        .pods(2)
        .network(network)
        .between(between)
        .each(|node| node.conntrack = conntrack)
        .build()?;
    serve_everywhere(&world)?;
    let service = Service::named("web", cluster_ip(10)).ports(80, TARGET).node_port(30080);
    let service = world.nodes.iter().fold(service, Service::pods_of);
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let world = &programmed.world;
    let node_port = world.node(0).address().at(ip, 30080);
    for (from, to) in [
        (&**world.pod(0, 0), cluster_ip(10).at(ip, 80)),
        (&world.client, node_port),
    ] {
        for _ in 0..8 {
            let connection = from.peer()?.open(Transport::Udp, to)?;
            // The first large datagram on a way with a narrower link is lost: IPv6 fragments at the sender, which learns
            // the way's MTU from that loss.
            wait::until_true("a large datagram", wait::PATIENCE, || {
                Ok(connection.try_exchange(3000, SECOND)?.is_ok())
            })?;
            for bytes in [1473, 3000, 9000, 60_000] {
                connection.exchange(bytes)?;
            }
        }
    }
    Ok(())
}
