//! A pod that has only just come: its first connection, and how soon its device has programs.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{PodNetwork, World};
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip};
use tests::programmed::{Programmed, TARGET, serve_everywhere};
use tests::wait;

/// How many devices come; the first for the full figures.
const DEVICES: [usize; 2] = [100, 20];
/// Within which time 99 of 100 of them have their programs. It is asked for with the full figures only: a busy machine
/// may take longer for the command that makes a device.
const SOON: Duration = Duration::from_millis(100);

fn started(network: PodNetwork) -> Result<Programmed> {
    let world = World::two_nodes().pods(1).network(network).build()?;
    serve_everywhere(&world)?;
    let service = Service::named("web", cluster_ip(10)).ports(80, TARGET);
    let service = service.pods_of(world.node(0)).pods_of(world.node(1));
    let programmed = Programmed::start(world, SocketLb::Auto, &[service])?;
    programmed.settled()?;
    Ok(programmed)
}

/// Whether a device of the node has the programs, by their pins.
fn has_programs(programmed: &Programmed, device: &str) -> Result<bool> {
    let node = programmed.world.node(0);
    let index = node.netns().run(|| nix::net::if_::if_nametoindex(device))??;
    let links = node.state_dir().join("links");
    Ok(["ingress", "egress"]
        .iter()
        .all(|direction| links.join(format!("{index}_{direction}")).exists()))
}

#[rstest]
fn the_first_connections_of_a_pod_do_not_wait_for_its_programs(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let programmed = started(network)?;
    let agent = programmed.agents[0].process().context("the agent runs")?;
    let node = programmed.world.node(0);
    let to = cluster_ip(10).at(ip, 80);
    // An agent that is stopped gives no device its programs.
    agent.signal(Signal::SIGSTOP)?;
    let pod = node.unconnected_pod()?;
    node.connect(&pod)?;
    let mut early = Vec::new();
    for transport in [Transport::Tcp, Transport::Udp, Transport::UdpUnconnected] {
        for _ in 0..8 {
            let connection = pod.peer()?.open(transport, to)?;
            ensure!(connection.opened.remote == to, "{:?}", connection.opened);
            connection.exchange(1200)?;
            early.push(connection);
        }
    }
    ensure!(
        !has_programs(&programmed, &pod.host_device)?,
        "the programs came too early"
    );
    agent.signal(Signal::SIGCONT)?;
    wait::until_true("programs at the pod's device", wait::PATIENCE, || {
        has_programs(&programmed, &pod.host_device)
    })?;
    for transport in [Transport::Tcp, Transport::Udp] {
        pod.peer()?.open(transport, to)?.exchange(1200)?;
    }
    // What began by the socket hooks goes on under the programs.
    early.iter().try_for_each(|connection| connection.exchange(1200))
}

#[test]
fn a_device_that_comes_has_its_programs_soon() -> Result<()> {
    let devices = DEVICES[usize::from(!crate::figures())];
    let programmed = started(PodNetwork::Bridge)?;
    let node = programmed.world.node(0);
    // The other ends go there.
    let beyond = node.unconnected_pod()?;
    let mut took = Vec::new();
    for number in 0..devices {
        let device = format!("new{number}");
        let line = format!(
            "link add {device} up type veth peer name end{number} netns {}",
            beyond.netns().name()
        );
        let begin = Instant::now();
        node.netns().ip(&line)?;
        wait::until_true(&format!("programs at {device}"), wait::PATIENCE, || {
            has_programs(&programmed, &device)
        })?;
        took.push(begin.elapsed());
    }
    took.sort_unstable();
    let (middle, late, last) = (took[devices / 2], took[devices * 99 / 100 - 1], took[devices - 1]);
    println!("{devices} devices: half of them within {middle:?}, 99 of 100 within {late:?}, all within {last:?}");
    ensure!(late <= SOON || !crate::figures(), "{late:?}");
    let pins = fs::read_dir(node.state_dir().join("links"))?.count();
    ensure!(pins > 2 * devices, "{pins} pins");
    Ok(())
}
