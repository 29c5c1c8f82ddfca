//! Checksums behind a real serialisation: on a veth a packet may go round unfinished, on a wire it may not.

use anyhow::{Result, ensure};
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{PodNetwork, World};
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip, outside};
use tests::probe::{Capture, is_for, wrong_checksum};
use tests::programmed::{Programmed, TARGET, serve_everywhere};

const NODE_PORT: u16 = 30080;

/// The frames of a capture whose checksums were looked at, and what is wrong with the first bad one.
fn all_right(capture: Capture, receiver: std::net::IpAddr) -> Result<()> {
    let mut frames = capture.stop();
    frames.retain(|frame| is_for(frame, receiver));
    ensure!(frames.len() > 20, "{} frames", frames.len());
    ensure!(
        frames.iter().all(|frame| frame.len() <= 1514),
        "a frame was not serialised"
    );
    frames
        .iter()
        .find_map(|frame| wrong_checksum(frame, receiver))
        .map_or(Ok(()), |wrong| Err(anyhow::anyhow!(wrong)))
}

#[rstest]
fn checksums_are_right_on_the_last_hop(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(true, false)] at_the_source: bool,
    #[values(true, false)] from_outside: bool,
) -> Result<()> {
    let world = World::one_node().pods(2).network(network).build()?;
    serve_everywhere(&world)?;
    let mut service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .node_port(NODE_PORT);
    service = service.pods_of(world.node(0));
    service.backends.remove(0);
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let world = &programmed.world;
    let (server, node) = (world.pod(0, 1), world.node(0));
    // The last hop in each direction is serialised: its sender finishes every checksum and cuts every large segment.
    node.netns().offloads(&server.host_device, false)?;
    let (from, own, to) = if from_outside {
        world.router.netns().offloads("client", false)?;
        (&world.client, outside(2), node.address().at(ip, NODE_PORT))
    } else {
        node.netns().offloads(&world.pod(0, 0).host_device, false)?;
        (&**world.pod(0, 0), world.pod(0, 0).address, cluster_ip(10).at(ip, 80))
    };
    for netns in [from.netns(), server.netns()] {
        netns.offloads("eth0", at_the_source)?;
        netns.no_receive_offload("eth0")?;
    }
    let (at_server, at_client) = (Capture::start(server.netns())?, Capture::start(from.netns())?);
    for transport in [Transport::Tcp, Transport::Udp] {
        let connection = from.peer()?.open(transport, to)?;
        for bytes in [1, 2, 3, 1000, 1400, 20_000] {
            connection.exchange(bytes)?;
        }
    }
    let large = from.peer()?.open(Transport::Tcp, to)?;
    large.exchange(300_000)?;
    drop(large);
    all_right(at_server, server.address.of(ip))?;
    all_right(at_client, own.of(ip))
}
