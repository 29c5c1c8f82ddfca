//! Checksums behind a real serialisation: on a veth a packet may go round unfinished, on a wire it may not.

use anyhow::{Result, ensure};
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{PodNetwork, World};
use tests::manifests::Service;
use tests::peer::{Transport, Why};
use tests::plan::{Ip, cluster_ip, outside};
use tests::probe::{Capture, is_for, wrong_checksum};
use tests::programmed::{Programmed, TARGET, serve_everywhere};

use crate::refused;

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

/// What a refusal quotes may have a checksum that its sender has left to the card. The last hop back completes it there.
#[rstest]
fn a_refusal_is_right_on_the_last_hop(
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(true, false)] at_the_source: bool,
    #[values(Transport::Tcp, Transport::Udp)] transport: Transport,
) -> Result<()> {
    let world = World::one_node().pods(1).build()?;
    let empty = Service::named("empty", cluster_ip(11)).ports(80, TARGET);
    let programmed = Programmed::start(world, SocketLb::Off, &[empty])?;
    let (pod, node) = (programmed.world.pod(0, 0), programmed.world.node(0));
    node.netns().offloads(&pod.host_device, false)?;
    pod.netns().offloads("eth0", at_the_source)?;
    pod.netns().no_receive_offload("eth0")?;
    let capture = Capture::start(pod.netns())?;
    let why = refused(pod, transport, cluster_ip(11).at(ip, 80))?;
    ensure!(why == Why::Refused, "{why:?}");
    let mut frames = capture.stop();
    frames.retain(|frame| is_for(frame, pod.address.of(ip)) && is_error(frame, ip));
    ensure!(!frames.is_empty(), "no refusal was seen");
    let wrong = frames
        .iter()
        .find_map(|frame| wrong_checksum(frame, pod.address.of(ip)));
    ensure!(wrong.is_none(), "{wrong:?}");
    Ok(())
}

/// Whether a frame is an ICMP error: RFC 792 and RFC 4443 number "unreachable" 3 and 1.
fn is_error(frame: &[u8], ip: Ip) -> bool {
    match ip {
        Ip::V4 => frame.get(23) == Some(&1) && frame.get(34) == Some(&3),
        Ip::V6 => frame.get(20) == Some(&58) && frame.get(54) == Some(&1),
    }
}
