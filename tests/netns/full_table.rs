//! The flow table is full, and nobody from user space makes room.

use anyhow::{Result, ensure};
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::World;
use tests::manifests::Service;
use tests::peer::{LoadPlan, Transport};
use tests::plan::{Ip, cluster_ip, outside};
use tests::probe::flood;
use tests::programmed::{Programmed, TARGET, serve_everywhere};

/// The capacity of each family's table in these tests.
const FLOWS: u32 = 2048;

fn started() -> Result<Programmed> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let mut service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .node_port(30080)
        .pods_of(world.node(0));
    service.backends.remove(0);
    Programmed::start_with(world, SocketLb::Off, &[service], &[&format!("--max-flows={FLOWS}")])
}

#[rstest]
fn short_connections_turn_it_over_three_times_without_an_agent(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let mut programmed = started()?;
    programmed.agents[0].crash()?;
    let world = &programmed.world;
    let ways = [
        (world.pod(0, 0).peer()?, cluster_ip(10).at(ip, 80)),
        (world.client.peer()?, world.node(0).address().at(ip, 30080)),
    ];
    let mut loads = Vec::new();
    for (peer, to) in ways {
        // A few that stay open have to survive it.
        loads.push(peer.load(LoadPlan::long(Transport::Tcp, to))?);
        loads.push(peer.load(LoadPlan::short(Transport::Tcp, to))?);
    }
    loads.iter().try_for_each(|load| load.goes_on(u64::from(FLOWS) * 3))?;
    for load in loads {
        let report = load.stop()?;
        ensure!(report.failures() == 0, "{report:?}");
    }
    Ok(())
}

#[rstest]
fn a_flood_of_ten_tables_breaks_no_connection_and_keeps_none_out(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let programmed = started()?;
    let world = &programmed.world;
    let to = world.node(0).address().at(ip, 30080);
    let client = world.client.peer()?;
    let mut old = Vec::new();
    for _ in 0..100 {
        old.push(client.open(Transport::Tcp, to)?);
    }
    let load = world
        .pod(0, 0)
        .peer()?
        .load(LoadPlan::short(Transport::Tcp, cluster_ip(10).at(ip, 80)))?;
    load.goes_on(10)?;
    flood(world.client.netns(), outside(2).of(ip), to, FLOWS * 10)?;
    load.goes_on(100)?;
    let report = load.stop()?;
    ensure!(report.failures() == 0, "{report:?}");
    for _ in 0..100 {
        client.open(Transport::Tcp, to)?.exchange(100)?;
    }
    old.iter().try_for_each(|connection| connection.exchange(5000))
}
