//! Two ways to one endpoint from one client port: after translation they would be one connection.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{PodNetwork, World};
use tests::manifests::Service;
use tests::peer::{Connection, LoadPlan, Transport};
use tests::plan::{Ip, cluster_ip, load_balancer};
use tests::programmed::{Programmed, TARGET, serve_everywhere};

/// One Service with one endpoint, pod 1 of node 0, reached by two kinds of address.
fn started(network: PodNetwork) -> Result<Programmed> {
    let world = World::one_node().pods(2).network(network).build()?;
    serve_everywhere(&world)?;
    let mut service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .node_port(30080)
        .load_balancer(load_balancer(21))
        .pods_of(world.node(0));
    service.backends.remove(0);
    Programmed::start(world, SocketLb::Off, &[service])
}

#[rstest]
fn direct_and_by_every_address_from_one_port_at_once(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(0, 1, 2)] first: usize,
) -> Result<()> {
    let programmed = started(network)?;
    let client = programmed.world.pod(0, 0);
    let from = client.address.at(ip, 4567);
    let direct = programmed.world.pod(0, 1).address.at(ip, TARGET);
    let mut ways = [direct, cluster_ip(10).at(ip, 80), load_balancer(21).at(ip, 80)];
    ways.rotate_left(first);
    let mut open: Vec<(SocketAddr, Connection<'_>)> = Vec::new();
    for to in ways {
        let connection = client.peer()?.open_from(Transport::Tcp, from, to)?;
        ensure!(
            connection.opened.remote == to && connection.opened.server == "pod-a-1",
            "{:?}",
            connection.opened
        );
        open.push((to, connection));
    }
    // All are alive, and none hears another's answers.
    for size in [100, 20_000, 300] {
        open.iter().try_for_each(|(_, connection)| connection.exchange(size))?;
    }
    let mut seen: Vec<SocketAddr> = open.iter().map(|(_, connection)| connection.opened.seen).collect();
    seen.sort();
    seen.dedup();
    ensure!(seen.len() == 3, "the server saw {seen:?}");
    Ok(())
}

#[rstest]
fn nodes_and_masqueraded_clients_share_one_endpoint(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let programmed = started(PodNetwork::Bridge)?;
    let world = &programmed.world;
    let direct = world.pod(0, 1).address.at(ip, TARGET);
    let node_port = world.node(0).address().at(ip, 30080);
    let ways = [(world.node(0).peer()?, direct), (world.client.peer()?, node_port)];
    let mut loads = Vec::new();
    for (peer, to) in ways {
        for plan in [LoadPlan::short(Transport::Tcp, to), LoadPlan::long(Transport::Tcp, to)] {
            loads.push(peer.load(plan)?);
        }
    }
    loads.iter().try_for_each(|load| load.goes_on(3000))?;
    for load in loads {
        let report = load.stop()?;
        ensure!(report.failures() == 0, "{report:?}");
    }
    Ok(())
}

#[rstest]
fn thousands_of_connections_of_node_and_outside_live_side_by_side(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    const EACH: usize = 5000;
    let programmed = started(PodNetwork::Bridge)?;
    let world = &programmed.world;
    let direct = world.pod(0, 1).address.at(ip, TARGET);
    let node_port = world.node(0).address().at(ip, 30080);
    let mut open = Vec::new();
    for _ in 0..EACH {
        open.push(world.node(0).peer()?.open(Transport::Tcp, direct)?);
        open.push(world.client.peer()?.open(Transport::Tcp, node_port)?);
    }
    open.iter().try_for_each(|connection| connection.exchange(100))
}
