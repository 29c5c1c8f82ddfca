//! The agent ends, in order and not, and comes back.

use anyhow::{Result, ensure};
use rstest::rstest;
use tests::agent::{Agent, SocketLb};
use tests::cluster::{PodNetwork, World};
use tests::manifests::Service;
use tests::peer::{Load, LoadPlan, Transport};
use tests::plan::{Ip, cluster_ip};
use tests::programmed::{Programmed, TARGET, sees_the_client, serve, serve_everywhere, spreads_over};

/// Two nodes with a Service on both; the client's Services are those of node 0.
fn started(network: PodNetwork) -> Result<Programmed> {
    let world = World::two_nodes().pods(2).network(network).build()?;
    serve_everywhere(&world)?;
    let service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .node_port(30080)
        .pods_of(world.node(1));
    Programmed::start(world, SocketLb::Auto, &[service])
}

fn loads<'a>(world: &'a World, ip: Ip) -> Result<Vec<Load<'a>>> {
    let mut loads = Vec::new();
    let node_port = world.node(0).address().at(ip, 30080);
    let ways = [
        (world.pod(0, 0).peer()?, cluster_ip(10).at(ip, 80)),
        (world.node(0).peer()?, cluster_ip(10).at(ip, 80)),
        (world.client.peer()?, node_port),
    ];
    for (peer, to) in ways {
        for transport in [Transport::Tcp, Transport::Udp] {
            for plan in [LoadPlan::short(transport, to), LoadPlan::long(transport, to)] {
                loads.push(peer.load(LoadPlan { workers: 1, ..plan })?);
            }
        }
    }
    Ok(loads)
}

fn none_failed(loads: Vec<Load<'_>>) -> Result<()> {
    for load in loads {
        let report = load.stop()?;
        ensure!(report.failures() == 0, "{report:?}");
    }
    Ok(())
}

#[rstest]
fn a_stop_in_order_leaves_the_data_path_and_a_start_adopts_it(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let mut programmed = started(PodNetwork::Bridge)?;
    let Programmed { world, agents, .. } = &mut programmed;
    let loads = loads(world, ip)?;
    loads.iter().try_for_each(|load| load.goes_on(50))?;
    agents.iter_mut().try_for_each(Agent::stop)?;
    loads.iter().try_for_each(|load| load.goes_on(50))?;
    agents.iter_mut().try_for_each(Agent::resume)?;
    loads.iter().try_for_each(|load| load.goes_on(50))?;
    none_failed(loads)
}

#[rstest]
fn changes_made_while_it_was_away_are_followed_at_its_return(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let mut programmed = started(PodNetwork::Bridge)?;
    programmed.agents[0].crash()?;
    let added = programmed.world.nodes[0].add_pod()?;
    serve(added)?;
    let node = programmed.world.node(0);
    let service = Service::named("web", cluster_ip(10)).ports(80, TARGET).pods_of(node);
    let new = Service::named("new", cluster_ip(11)).ports(80, TARGET).pods_of(node);
    programmed.manifests.put(&service)?;
    programmed.manifests.put(&new)?;
    programmed.agents[0].resume()?;
    programmed.agents[0].settled()?;
    for number in [10, 11] {
        let to = cluster_ip(number).at(ip, 80);
        let client = programmed.world.pod(0, 0);
        spreads_over(&["pod-a-0", "pod-a-1", "pod-a-2"], client, Transport::Tcp, to, |_| {
            Ok(())
        })?;
    }
    Ok(())
}

#[rstest]
fn cleanup_leaves_no_pin_and_no_translation(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let mut programmed = started(PodNetwork::Routed)?;
    let to = cluster_ip(10).at(ip, 80);
    spreads_over(
        &["pod-b-0", "pod-b-1"],
        programmed.world.pod(0, 0),
        Transport::Tcp,
        to,
        sees_the_client,
    )?;
    programmed.agents[0].stop()?;
    programmed.agents[0].cleanup()?;
    let world = &programmed.world;
    let pins = std::fs::read_dir(world.node(0).state_dir())
        .map(Iterator::count)
        .unwrap_or_default();
    assert_eq!(pins, 0);
    crate::refused(world.pod(0, 0), Transport::Tcp, to)?;
    crate::refused(world.node(0), Transport::Tcp, to)?;
    let direct = world.pod(1, 0).address.at(ip, TARGET);
    spreads_over(&["pod-b-0"], world.pod(0, 0), Transport::Tcp, direct, sees_the_client)
}

#[test]
fn a_second_agent_on_the_same_pins_is_refused() -> Result<()> {
    let programmed = started(PodNetwork::Bridge)?;
    let flags = ["--healthz-bind-address=127.0.0.1:0"];
    let (status, said) = Agent::of(programmed.world.node(0), SocketLb::Auto, &flags).run_to_end()?;
    ensure!(status.code() == Some(2), "{status}: {said}");
    spreads_over(
        &["pod-b-0", "pod-b-1"],
        programmed.world.pod(0, 0),
        Transport::Tcp,
        cluster_ip(10).at(Ip::V4, 80),
        sees_the_client,
    )
}
