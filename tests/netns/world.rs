//! The world by itself, before any agent: what later fails is then not the world's.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use rstest::rstest;
use tests::cluster::{Between, Place, PodNetwork, Uplink, World, leftovers};
use tests::peer::{LoadPlan, Open, Transport, Why};
use tests::plan::{Dual, Ip, in_pod_network};
use tests::probe::{Capture, Hop, answers_ping, trace, wrong_checksum};
use tests::servers::{Dns, Iperf, Nginx, dig, stream};

use crate::two_nodes;

const PORT: u16 = 8000;
const TRANSPORTS: [Transport; 3] = [Transport::Tcp, Transport::Udp, Transport::UdpUnconnected];

/// Opens and uses a conversation; both ends must see each other's own addresses.
fn sees(client: &Place, own: Dual, ip: Ip, transport: Transport, to: SocketAddr) -> Result<()> {
    let connection = client.peer()?.open(transport, to)?;
    assert_eq!(connection.opened.remote, to);
    assert_eq!(connection.opened.seen.ip(), own.of(ip), "{} to {to}", client.label());
    connection.exchange(1200)
}

#[rstest]
fn everyone_reaches_the_pods_of_every_shape(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Uplink::Direct, Uplink::BridgePort)] uplink: Uplink,
    #[values(Between::Routes, Between::Vxlan)] between: Between,
) -> Result<()> {
    everyone_reaches_pods(&two_nodes(network, uplink, between)?)
}

#[test]
fn everyone_reaches_pods_on_the_segment_of_the_nodes() -> Result<()> {
    let on_segment = |node: &mut tests::cluster::NodePlan| node.network = PodNetwork::Macvlan;
    let world = World::two_nodes().pods(2).node(1, on_segment).build()?;
    everyone_reaches_pods(&world)?;
    for ip in Ip::BOTH {
        let at = world.pod(1, 0).address.at(ip, PORT);
        sees(world.pod(1, 1), world.pod(1, 1).address, ip, Transport::Tcp, at)?;
        sees(world.node(1), in_pod_network(1, 1), ip, Transport::Tcp, at)?;
        let at = world.pod(0, 1).address.at(ip, PORT);
        sees(world.pod(1, 1), world.pod(1, 1).address, ip, Transport::Tcp, at)?;
    }
    Ok(())
}

fn everyone_reaches_pods(world: &World) -> Result<()> {
    for ip in Ip::BOTH {
        for server in [world.pod(0, 1), world.pod(1, 0)] {
            let at = server.address.at(ip, PORT);
            server.peer()?.serve(at)?;
            for transport in TRANSPORTS {
                let pod = world.pod(0, 0);
                sees(pod, pod.address, ip, transport, at)?;
                sees(&world.client, tests::plan::outside(2), ip, transport, at)?;
                world.node(0).peer()?.open(transport, at)?.exchange(1200)?;
            }
        }
    }
    Ok(())
}

#[rstest]
fn the_outside_reaches_the_nodes(
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(Uplink::Direct, Uplink::BridgePort)] uplink: Uplink,
) -> Result<()> {
    let world = World::two_nodes().each(|node| node.uplink = uplink).build()?;
    for node in &world.nodes {
        let at = node.address().at(ip, PORT);
        node.peer()?.serve(at)?;
        for transport in TRANSPORTS {
            sees(&world.client, tests::plan::outside(2), ip, transport, at)?;
        }
    }
    Ok(())
}

#[rstest]
fn a_load_counts_what_answered_and_what_did_not(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    let (client, server) = (world.pod(0, 0).peer()?, world.pod(0, 1));
    let at = server.address.at(ip, PORT);
    server.peer()?.serve(at)?;
    for transport in TRANSPORTS {
        for plan in [LoadPlan::short(transport, at), LoadPlan::long(transport, at)] {
            let load = client.load(plan)?;
            client.open(transport, at)?.exchange(4000)?;
            let report = load.stop()?;
            assert_eq!(report.failures(), 0, "{report:?}");
            assert!(
                report.answered_by["pod-a-1"] == report.completed && report.completed > 0,
                "{report:?}"
            );
        }
    }
    server.peer()?.stop_serving(at)?;
    let load = client.load(LoadPlan::short(Transport::Tcp, at))?;
    let refused = client.try_open(Open {
        transport: Transport::Tcp,
        to: at,
        from: None,
        within: Duration::from_secs(3),
    });
    assert_eq!(refused?.map(drop).expect_err("nobody listens").why, Why::Refused);
    let report = load.stop()?;
    assert!(
        report.completed == 0 && report.failed.keys().all(|kind| kind == "Refused"),
        "{report:?}"
    );
    Ok(())
}

#[rstest]
fn a_client_can_choose_its_port(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    let (client, server) = (world.pod(0, 0), world.pod(0, 1));
    let at = server.address.at(ip, PORT);
    server.peer()?.serve(at)?;
    for transport in TRANSPORTS {
        let from = client.address.at(ip, 4321);
        let connection = client.peer()?.open_from(transport, from, at)?;
        assert_eq!(connection.opened.seen, from);
        connection.abort()?;
    }
    Ok(())
}

#[rstest]
fn a_tracked_and_bridge_filtered_node_still_forwards(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let shape = |node: &mut tests::cluster::NodePlan| (node.bridge_netfilter, node.conntrack) = (true, true);
    let world = World::one_node().pods(2).each(shape).build()?;
    let (client, server) = (world.pod(0, 0), world.pod(0, 1));
    let at = server.address.at(ip, PORT);
    server.peer()?.serve(at)?;
    client.peer()?.open(Transport::Tcp, at)?.exchange(100_000)?;
    let rules = world.node(0).netns().tool("nft", &["list", "ruleset"])?;
    assert!(
        !rules.contains("counter packets 0"),
        "bridged packets pass the rule: {rules}"
    );
    Ok(())
}

#[test]
fn a_pod_can_be_added_later() -> Result<()> {
    let mut world = World::one_node().pods(1).build()?;
    let added = world.nodes[0].add_pod()?;
    let at = added.address.at(Ip::V4, PORT);
    added.peer()?.serve(at)?;
    world.pod(0, 0).peer()?.open(Transport::Tcp, at)?.exchange(10)
}

#[test]
fn nothing_is_left_of_a_world_even_after_a_panic() -> Result<()> {
    let world = World::two_nodes().pods(1).build()?;
    world.pod(0, 0).peer()?;
    let name = world.name().to_owned();
    assert!(!leftovers(&name).is_empty());
    let panicked = std::thread::spawn(move || {
        let _world = world;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert_eq!(leftovers(&name), Vec::<String>::new());
    Ok(())
}

#[rstest]
fn real_servers_say_who_they_are(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    let (client, server) = (world.pod(0, 0), world.pod(0, 1));
    let _nginx = Nginx::start(server, server.address, 8080)?;
    let _dns = Dns::start(server, server.address, 53)?;
    let _iperf = Iperf::start(server, 5201)?;
    let page = client.peer()?.http(server.address.at(ip, 8080))?;
    assert_eq!((page.server.as_str(), page.seen), ("pod-a-1", page.local));
    for transport in [Transport::Tcp, Transport::Udp] {
        assert_eq!(dig(client, transport, server.address.at(ip, 53))?, "pod-a-1");
    }
    assert!(stream(client, server.address.at(ip, 5201), 1, false)? > 0);
    Ok(())
}

#[rstest]
fn a_trace_shows_every_router_and_a_ping_finds_hosts(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::two_nodes().pods(1).build()?;
    let (pod, far) = (world.pod(0, 0), world.pod(1, 0));
    let at = far.address.at(ip, PORT);
    let way = [
        Hop::Router(in_pod_network(0, 1).of(ip)),
        Hop::Router(world.node(1).address().of(ip)),
    ];
    assert_eq!(
        trace(pod.netns(), at)?,
        [&way[..], &[Hop::Unreachable(at.ip())]].concat()
    );
    far.peer()?.serve(at)?;
    assert_eq!(trace(pod.netns(), at)?, [&way[..], &[Hop::Answer(at)]].concat());
    let within = Duration::from_millis(300);
    assert!(answers_ping(pod.netns(), at.ip(), within)?);
    assert!(!answers_ping(pod.netns(), in_pod_network(0, 200).of(ip), within)?);
    Ok(())
}

/// With offload the packet is unfinished when it is captured, without it every checksum is there: the check can tell.
#[rstest]
fn a_capture_shows_whether_a_checksum_was_finished(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    let (client, server) = (world.pod(0, 0), world.pod(0, 1));
    let at = server.address.at(ip, PORT);
    server.peer()?.serve(at)?;
    for finished in [false, true] {
        client.netns().offloads("eth0", !finished)?;
        let capture = Capture::start(server.netns())?;
        client.peer()?.open(Transport::Tcp, at)?.exchange(100_000)?;
        let frames = capture.stop();
        let wrong = frames
            .iter()
            .filter(|frame| wrong_checksum(frame, at.ip()).is_some())
            .count();
        assert_eq!(wrong == 0, finished, "{wrong} of {} frames", frames.len());
    }
    Ok(())
}
