//! Cluster addresses, from pods and from nodes.

use anyhow::{Result, ensure};
use rstest::rstest;
use serde_json::json;
use tests::agent::SocketLb;
use tests::cluster::{Between, PodNetwork, Uplink, World};
use tests::manifests::{Backend, Service};
use tests::peer::{Transport, Why};
use tests::plan::{Ip, cluster_ip, in_pod_network};
use tests::programmed::{Programmed, TARGET, sees, sees_the_client, serve_everywhere, spreads_over};

use crate::{is_refused, refused, two_nodes};

const PORT: u16 = 80;

/// Every pod but the first, which is the client, serves.
fn web(world: &World) -> Service {
    let mut service = Service::named("web", cluster_ip(10)).ports(PORT, TARGET);
    for node in &world.nodes {
        service = service.pods_of(node);
    }
    service.backends.remove(0);
    service
}

#[rstest]
fn a_pod_reaches_every_endpoint_in_every_shape(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Uplink::Direct, Uplink::BridgePort)] uplink: Uplink,
    #[values(Between::Routes, Between::Vxlan)] between: Between,
    #[values(SocketLb::Off, SocketLb::Auto, SocketLb::All)] socket_lb: SocketLb,
) -> Result<()> {
    let world = two_nodes(network, uplink, between)?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, socket_lb, &[service])?;
    let client = programmed.world.pod(0, 0);
    for ip in Ip::BOTH {
        let to = cluster_ip(10).at(ip, PORT);
        for transport in [Transport::Tcp, Transport::Udp, Transport::UdpUnconnected] {
            spreads_over(&["pod-a-1", "pod-b-0", "pod-b-1"], client, transport, to, |opened| {
                // An unconnected socket does not know its own address.
                if transport == Transport::UdpUnconnected {
                    Ok(())
                } else {
                    sees_the_client(opened)
                }
            })?;
        }
        client.peer()?.open(Transport::Tcp, to)?.exchange(1_000_000)?;
    }
    Ok(())
}

#[rstest]
fn a_node_reaches_every_endpoint(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let world = World::two_nodes().pods(2).network(network).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Host, &[service])?;
    let node = programmed.world.node(0);
    let to = cluster_ip(10).at(ip, PORT);
    for transport in [Transport::Tcp, Transport::Udp, Transport::UdpUnconnected] {
        spreads_over(&["pod-a-1", "pod-b-0", "pod-b-1"], node, transport, to, sees(node))?;
    }
    Ok(())
}

/// The node's sockets are connected to endpoints, before an address of their own is chosen.
#[rstest]
fn an_endpoint_sees_the_address_that_the_node_has_towards_it(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::two_nodes().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Host, &[service])?;
    let node = programmed.world.node(0);
    for transport in [Transport::Tcp, Transport::Udp] {
        let to = cluster_ip(10).at(ip, PORT);
        spreads_over(&["pod-a-1", "pod-b-0", "pod-b-1"], node, transport, to, |opened| {
            let is_local = opened.server.starts_with("pod-a");
            let own = if is_local { in_pod_network(0, 1) } else { node.address() };
            ensure!(opened.seen.ip() == own.of(ip), "{} sees {}", opened.server, opened.seen);
            Ok(())
        })?;
    }
    Ok(())
}

#[rstest]
fn a_service_without_endpoints_refuses(
    #[values(SocketLb::Off, SocketLb::All)] socket_lb: SocketLb,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let world = World::one_node().pods(1).build()?;
    let empty = Service::named("empty", cluster_ip(11)).ports(PORT, TARGET);
    let programmed = Programmed::start(world, socket_lb, &[empty])?;
    let to = cluster_ip(11).at(ip, PORT);
    if socket_lb != SocketLb::Off {
        is_refused(programmed.world.node(0), to)?;
    }
    is_refused(programmed.world.pod(0, 0), to)
}

#[rstest]
fn a_port_that_the_service_does_not_have_is_not_answered(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let to = cluster_ip(10).at(ip, PORT + 1);
    refused(programmed.world.pod(0, 0), Transport::Tcp, to).map(drop)
}

#[rstest]
fn connections_outlive_the_endpoint_in_the_manifest_and_new_ones_go_elsewhere(
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(SocketLb::Off, SocketLb::All)] socket_lb: SocketLb,
) -> Result<()> {
    let world = World::one_node().pods(3).build()?;
    serve_everywhere(&world)?;
    let mut service = web(&world);
    let programmed = Programmed::start(world, socket_lb, &[service.clone()])?;
    let client = programmed.world.pod(0, 0);
    let to = cluster_ip(10).at(ip, PORT);
    let mut old = Vec::new();
    for _ in 0..20 {
        old.push(client.peer()?.open(Transport::Tcp, to)?);
    }
    service.backends.remove(0);
    programmed.put(&service)?;
    for transport in [Transport::Tcp, Transport::Udp] {
        spreads_over(&["pod-a-2"], client, transport, to, sees_the_client)?;
    }
    assert!(old.iter().any(|connection| connection.opened.server == "pod-a-1"));
    old.iter().try_for_each(|connection| connection.exchange(5000))
}

#[rstest]
fn a_deleted_service_is_gone_and_a_new_one_is_there(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let (client, node) = (programmed.world.pod(0, 0), programmed.world.node(0));
    let added = Service::named("other", cluster_ip(12))
        .ports(81, TARGET)
        .backend(Backend::pod(node, &node.pods[1]));
    programmed.put(&added)?;
    let old = client.peer()?.open(Transport::Tcp, cluster_ip(10).at(ip, PORT))?;
    for (address, port) in [(cluster_ip(10), PORT), (cluster_ip(12), 81)] {
        spreads_over(
            &["pod-a-1"],
            client,
            Transport::Tcp,
            address.at(ip, port),
            sees_the_client,
        )?;
    }
    programmed.delete("web")?;
    refused(client, Transport::Tcp, cluster_ip(10).at(ip, PORT))?;
    old.exchange(5000)?;
    spreads_over(
        &["pod-a-1"],
        client,
        Transport::Tcp,
        cluster_ip(12).at(ip, 81),
        sees_the_client,
    )
}

#[rstest]
fn internal_traffic_policy_local_stays_on_the_node(
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(SocketLb::Off, SocketLb::All)] socket_lb: SocketLb,
) -> Result<()> {
    let world = World::two_nodes().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = web(&world).field("internalTrafficPolicy", json!("Local"));
    let programmed = Programmed::start(world, socket_lb, &[service])?;
    let to = cluster_ip(10).at(ip, PORT);
    spreads_over(
        &["pod-a-1"],
        programmed.world.pod(0, 0),
        Transport::Tcp,
        to,
        sees_the_client,
    )?;
    Ok(())
}

/// A packet is dropped, which looks like a time-out; a socket that is translated when it connects learns of it at once.
#[rstest]
fn internal_traffic_policy_local_reaches_nobody_where_all_endpoints_are_elsewhere(
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let world = World::two_nodes().pods(1).build()?;
    serve_everywhere(&world)?;
    let service = web(&world).field("internalTrafficPolicy", json!("Local"));
    let programmed = Programmed::start(world, SocketLb::Host, &[service])?;
    let world = &programmed.world;
    let to = cluster_ip(10).at(ip, PORT);
    spreads_over(&["pod-b-0"], world.node(1), Transport::Tcp, to, |_| Ok(()))?;
    for transport in [Transport::Tcp, Transport::Udp] {
        assert_eq!(refused(world.pod(0, 0), transport, to)?, Why::TimedOut);
        assert_eq!(refused(world.node(0), transport, to)?, Why::Unreachable);
    }
    Ok(())
}

/// As NodeLocal DNSCache does it: the node has the Service's address itself, and answers there.
#[rstest]
fn a_cluster_address_that_the_node_has_is_left_to_the_node(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let (node, own) = (world.node(0), cluster_ip(10));
    node.netns().ip(&format!(
        "addr add {}/32 dev lo\naddr add {}/128 dev lo nodad",
        own.v4, own.v6
    ))?;
    node.peer()?.serve(own.at(ip, PORT))?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Auto, &[service])?;
    for transport in [Transport::Tcp, Transport::Udp] {
        for from in [&**programmed.world.pod(0, 0), programmed.world.node(0)] {
            spreads_over(&["node-a"], from, transport, own.at(ip, PORT), |_| Ok(()))?;
        }
    }
    Ok(())
}
