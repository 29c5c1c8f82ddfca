//! What only UDP can do: large datagrams, silence, many clients on one port.

use std::time::Duration;

use anyhow::Result;
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{PodNetwork, World};
use tests::manifests::{Backend, Service};
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip};
use tests::programmed::{Programmed, TARGET, serve_everywhere};
use tests::servers::{Dns, dig};

#[rstest]
fn real_dns_over_udp_and_tcp(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(SocketLb::Off, SocketLb::Auto)] socket_lb: SocketLb,
) -> Result<()> {
    let world = World::one_node().pods(2).network(network).build()?;
    let (node, server) = (world.node(0), world.pod(0, 1));
    let _dns = Dns::start(server, server.address, 5300)?;
    let service = Service::named("dns", cluster_ip(53))
        .ports(53, 5300)
        .node_port(30053)
        .backend(Backend::pod(node, server));
    let programmed = Programmed::start(world, socket_lb, &[service])?;
    let world = &programmed.world;
    for transport in [Transport::Udp, Transport::Tcp] {
        assert_eq!(dig(world.pod(0, 0), transport, cluster_ip(53).at(ip, 53))?, "pod-a-1");
        assert_eq!(
            dig(&world.client, transport, world.node(0).address().at(ip, 30053))?,
            "pod-a-1"
        );
        if socket_lb == SocketLb::Auto {
            assert_eq!(dig(world.node(0), transport, cluster_ip(53).at(ip, 53))?, "pod-a-1");
        }
    }
    Ok(())
}

/// A socket that talks to two Services in turn gets each answer from whom it asked.
#[rstest]
fn one_port_towards_two_services_at_once(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(3).build()?;
    serve_everywhere(&world)?;
    let (node, pods) = (world.node(0), &world.node(0).pods);
    let one = Service::named("one", cluster_ip(10))
        .ports(80, TARGET)
        .backend(Backend::pod(node, &pods[1]));
    let two = Service::named("two", cluster_ip(11))
        .ports(80, TARGET)
        .backend(Backend::pod(node, &pods[2]));
    let programmed = Programmed::start(world, SocketLb::Off, &[one, two])?;
    let client = programmed.world.pod(0, 0);
    let from = client.address.at(ip, 4000);
    for (number, server) in [(10, "pod-a-1"), (11, "pod-a-2"), (10, "pod-a-1")] {
        let connection = client
            .peer()?
            .open_from(Transport::Udp, from, cluster_ip(number).at(ip, 80))?;
        assert_eq!(
            (connection.opened.server.as_str(), connection.opened.seen),
            (server, from)
        );
    }
    Ok(())
}

#[rstest]
fn a_conversation_stays_with_its_endpoint(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::two_nodes().pods(3).build()?;
    serve_everywhere(&world)?;
    let service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .pods_of(world.node(1));
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let client = programmed.world.pod(0, 0).peer()?;
    let load = client.load(tests::peer::LoadPlan {
        workers: 1,
        within: Duration::from_secs(1),
        ..tests::peer::LoadPlan::long(Transport::Udp, cluster_ip(10).at(ip, 80))
    })?;
    load.goes_on(1000)?;
    let report = load.stop()?;
    assert_eq!((report.failures(), report.answered_by.len()), (0, 1), "{report:?}");
    Ok(())
}
