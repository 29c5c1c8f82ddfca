//! Node ports, from the outside, from pods and from nodes.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use rstest::rstest;
use serde_json::json;
use tests::agent::SocketLb;
use tests::cluster::{Between, PodNetwork, Uplink, World};
use tests::manifests::Service;
use tests::peer::{Open, Transport, Why};
use tests::plan::{Dual, Ip, cluster_ip, load_balancer};
use tests::programmed::{Programmed, TARGET, sees, sees_the_client, serve_everywhere, spreads_over};
use tests::wait;

use crate::{is_refused, refused, two_nodes};

const NODE_PORT: u16 = 30080;
const ALL: [&str; 4] = ["pod-a-0", "pod-a-1", "pod-b-0", "pod-b-1"];

fn web(world: &World) -> Service {
    let service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .node_port(NODE_PORT);
    world.nodes.iter().fold(service, Service::pods_of)
}

#[rstest]
fn the_outside_reaches_every_endpoint_through_every_node(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Uplink::Direct, Uplink::BridgePort)] uplink: Uplink,
    #[values(Between::Routes, Between::Vxlan)] between: Between,
) -> Result<()> {
    let world = two_nodes(network, uplink, between)?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    for ip in Ip::BOTH {
        for node in &programmed.world.nodes {
            let to = node.address().at(ip, NODE_PORT);
            for transport in [Transport::Tcp, Transport::Udp] {
                spreads_over(&ALL, &programmed.world.client, transport, to, sees(node))?;
            }
            programmed
                .world
                .client
                .peer()?
                .open(Transport::Tcp, to)?
                .exchange(1_000_000)?;
        }
    }
    Ok(())
}

#[rstest]
fn pods_reach_the_node_ports_of_both_nodes(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(SocketLb::Off, SocketLb::Auto)] socket_lb: SocketLb,
) -> Result<()> {
    let world = World::two_nodes().pods(2).network(network).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, socket_lb, &[service])?;
    for node in &programmed.world.nodes {
        let to = node.address().at(ip, NODE_PORT);
        for transport in [Transport::Tcp, Transport::Udp] {
            spreads_over(&ALL, programmed.world.pod(0, 0), transport, to, |_| Ok(()))?;
        }
    }
    Ok(())
}

#[rstest]
fn nodes_reach_their_own_and_other_node_ports(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::two_nodes().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Host, &[service])?;
    for node in &programmed.world.nodes {
        let to = node.address().at(ip, NODE_PORT);
        for transport in [Transport::Tcp, Transport::Udp] {
            spreads_over(&ALL, programmed.world.node(0), transport, to, |_| Ok(()))?;
        }
    }
    Ok(())
}

#[rstest]
fn the_local_policy_keeps_the_client_and_stays_on_the_node(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let world = World::two_nodes().pods(2).network(network).build()?;
    serve_everywhere(&world)?;
    let service = web(&world).field("externalTrafficPolicy", json!("Local"));
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let client = &programmed.world.client;
    for (node, servers) in programmed
        .world
        .nodes
        .iter()
        .zip([["pod-a-0", "pod-a-1"], ["pod-b-0", "pod-b-1"]])
    {
        let to = node.address().at(ip, NODE_PORT);
        for transport in [Transport::Tcp, Transport::Udp] {
            spreads_over(&servers, client, transport, to, sees_the_client)?;
        }
    }
    Ok(())
}

#[rstest]
fn the_local_policy_drops_where_no_endpoint_is(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::two_nodes().pods(1).build()?;
    serve_everywhere(&world)?;
    let mut service = web(&world).field("externalTrafficPolicy", json!("Local"));
    service.backends.remove(0);
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let (client, nodes) = (&programmed.world.client, &programmed.world.nodes);
    spreads_over(
        &["pod-b-0"],
        client,
        Transport::Tcp,
        nodes[1].address().at(ip, NODE_PORT),
        sees_the_client,
    )?;
    let to = nodes[0].address().at(ip, NODE_PORT);
    assert_eq!(refused(client, Transport::Tcp, to)?, Why::TimedOut);
    Ok(())
}

/// Who is inside is not kept to this node's endpoints; the node itself is seen as the node.
#[rstest]
fn the_local_policy_lets_pods_and_the_node_go_elsewhere(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::two_nodes().pods(1).build()?;
    serve_everywhere(&world)?;
    let mut service = web(&world).field("externalTrafficPolicy", json!("Local"));
    service.backends.remove(0);
    let flags = ["--cluster-cidr=10.244.0.0/16,fd00:10:244::/48"];
    let programmed = Programmed::start_with(world, SocketLb::Host, &[service], &flags)?;
    let (pod, node) = (programmed.world.pod(0, 0), programmed.world.node(0));
    let to = node.address().at(ip, NODE_PORT);
    for transport in [Transport::Tcp, Transport::Udp] {
        spreads_over(&["pod-b-0"], pod, transport, to, sees_the_client)?;
        spreads_over(&["pod-b-0"], node, transport, to, sees(node))?;
    }
    Ok(())
}

/// Kube-proxy's mode iptables drops there what is for a service of the policy Local without an endpoint on this node.
#[rstest]
fn where_no_node_ports_are_taken_the_host_answers(
    #[values("nftables", "iptables")] mode: &str,
    #[values("Cluster", "Local")] policy: &str,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let world = World::two_nodes().pods(1).build()?;
    serve_everywhere(&world)?;
    let mut service = web(&world).field("externalTrafficPolicy", json!(policy));
    service.backends.remove(0);
    let mode = format!("--proxy-mode={mode}");
    let flags = [&mode, "--nodeport-addresses=192.0.2.0/24,2001:db8:ffff::/48"];
    let programmed = Programmed::start_with(world, SocketLb::Host, &[service], &flags)?;
    let node = programmed.world.node(0);
    for from in [&programmed.world.client, node] {
        is_refused(from, node.address().at(ip, NODE_PORT))?;
    }
    Ok(())
}

#[rstest]
fn a_node_port_without_endpoints_refuses(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().build()?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let to = programmed.world.node(0).address().at(ip, NODE_PORT);
    is_refused(&programmed.world.client, to)
}

#[rstest]
fn a_port_of_the_node_that_is_no_service_is_still_its_own(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(1).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Auto, &[service])?;
    let node = programmed.world.node(0);
    let own = node.address().at(ip, 22000);
    node.peer()?.serve(own)?;
    for transport in [Transport::Tcp, Transport::Udp] {
        for from in [&programmed.world.client, &**programmed.world.pod(0, 0), node] {
            spreads_over(&["node-a"], from, transport, own, sees_the_client)?;
        }
    }
    Ok(())
}

/// Node ports take no port of the node: who binds one gets it, and hears nothing.
#[rstest]
fn a_server_at_a_node_port_hears_nothing_of_its_connections(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Host, &[service])?;
    let node = programmed.world.node(0);
    let to = node.address().at(ip, NODE_PORT);
    node.peer()?.serve(to)?;
    for from in [&programmed.world.client, &**programmed.world.pod(0, 0), node] {
        spreads_over(&["pod-a-0", "pod-a-1"], from, Transport::Tcp, to, |_| Ok(()))?;
    }
    Ok(())
}

#[rstest]
fn node_ports_follow_the_addresses_of_the_node(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(1).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let networks = ["--nodeport-addresses=198.51.100.0/24,2001:db8:1b::/64"];
    let programmed = Programmed::start_with(world, SocketLb::Off, &[service], &networks)?;
    let (client, node) = (&programmed.world.client, programmed.world.node(0));
    let (other, own) = (load_balancer(30), node.address().at(ip, NODE_PORT));
    refused(client, Transport::Tcp, own)?;
    let addresses = |verb: &str, more: &str| {
        let Dual { v4, v6 } = other;
        let lines = format!("addr {verb} {v4}/32 dev eth0\naddr {verb} {v6}/128 dev eth0 {more}\n");
        node.netns().ip(&lines)
    };
    let answers = || -> Result<bool> {
        let how = Open {
            transport: Transport::Tcp,
            to: other.at(ip, NODE_PORT),
            from: None,
            within: Duration::from_secs(1),
        };
        Ok(client.peer()?.try_open(how)?.is_ok())
    };
    for _ in 0..2 {
        assert!(!answers()?);
        addresses("add", "nodad")?;
        wait::until_true("node ports at the new address", wait::PATIENCE, answers)?;
        addresses("del", "")?;
        wait::until_true("no node ports at the old address", wait::PATIENCE, || Ok(!answers()?))?;
    }
    Ok(())
}

/// What is configured, and whether 127.0.0.1 and ::1 take node ports.
#[rstest]
#[case::nftables(&[], [false, false])]
#[case::nftables_with_localhost(&["--nodeport-addresses=primary,localhost"], [true, true])]
#[case::iptables(&["--proxy-mode=iptables"], [true, false])]
#[case::iptables_without_localhost(&["--proxy-mode=iptables", "--iptables-localhost-nodeports=false"], [false, false])]
fn loopback_takes_node_ports_where_it_is_configured(#[case] flags: &[&str], #[case] takes: [bool; 2]) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start_with(world, SocketLb::Host, &[service], flags)?;
    let node = programmed.world.node(0);
    let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    for (address, takes) in loopback.into_iter().zip(takes) {
        let to = SocketAddr::new(address, NODE_PORT);
        for transport in [Transport::Tcp, Transport::Udp] {
            if takes {
                spreads_over(&["pod-a-0", "pod-a-1"], node, transport, to, sees(node))?;
            } else {
                assert_eq!(refused(node, transport, to)?, Why::Refused);
            }
        }
    }
    Ok(())
}
