//! ICMP: errors about translated packets, redirects, and that a service address is no host.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{Between, PodNetwork, World};
use tests::manifests::{Backend, Service};
use tests::netns::NetNs;
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip, load_balancer, node, router};
use tests::probe::{Hop, answers_ping, trace};
use tests::programmed::{Programmed, TARGET, serve_everywhere};

const NODE_PORT: u16 = 30080;

fn web(world: &World) -> Service {
    let service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .node_port(NODE_PORT)
        .load_balancer(load_balancer(21));
    world.nodes.iter().fold(service, Service::pods_of)
}

/// A smaller MTU on the nodes' network, known to both ends of each link.
fn narrow(world: &World, mtu: u32) -> Result<()> {
    for number in 0..world.nodes.len() {
        world.router.netns().ip(&format!("link set node{number} mtu {mtu}"))?;
        world.node(number).netns().ip(&format!("link set eth0 mtu {mtu}"))?;
    }
    world.router.netns().ip(&format!("link set br0 mtu {mtu}"))
}

#[rstest]
fn large_transfers_cross_a_narrower_link(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let world = World::two_nodes().pods(2).network(network).build()?;
    narrow(&world, 1400)?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let world = &programmed.world;
    for (from, to) in [
        (&**world.pod(0, 0), cluster_ip(10).at(ip, 80)),
        (&world.client, world.node(0).address().at(ip, NODE_PORT)),
        (&world.client, load_balancer(21).at(ip, 80)),
    ] {
        // Enough that endpoints of both nodes are among them.
        for _ in 0..12 {
            let connection = from.peer()?.open(Transport::Tcp, to)?;
            connection
                .exchange(100_000)
                .with_context(|| format!("{:?}", connection.opened))?;
        }
    }
    Ok(())
}

/// Both nodes' answers on the way, then the service itself, never the pod behind it.
#[rstest]
fn a_trace_through_a_service_shows_the_hops_and_ends_at_its_address(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(true, false)] served: bool,
) -> Result<()> {
    let world = World::two_nodes()
        .pods(1)
        .between(Between::Routes)
        .network(network)
        .build()?;
    if served {
        serve_everywhere(&world)?;
    }
    let mut service = web(&world);
    service.backends.remove(0);
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let world = &programmed.world;
    let vip = cluster_ip(10).at(ip, 80);
    let hops = trace(world.pod(0, 0).netns(), vip)?;
    let end = if served {
        Hop::Answer(vip)
    } else {
        Hop::Unreachable(vip.ip())
    };
    assert_eq!(hops.last(), Some(&end), "{hops:?}");
    assert_eq!(hops.len(), 3, "two nodes and the end: {hops:?}");
    assert_eq!(hops[1], Hop::Router(node(1).of(ip)), "{hops:?}");

    // From outside: the router, the node, then the service's own address.
    let vip = world.node(0).address().at(ip, NODE_PORT);
    let hops = trace(world.client.netns(), vip)?;
    let end = if served {
        Hop::Answer(vip)
    } else {
        Hop::Unreachable(vip.ip())
    };
    assert_eq!(hops.last(), Some(&end), "{hops:?}");
    ensure!(
        hops.iter().all(|hop| !names(hop, world.pod(1, 0).address.of(ip))),
        "the pod shows: {hops:?}"
    );
    Ok(())
}

fn names(hop: &Hop, address: IpAddr) -> bool {
    matches!(hop, Hop::Router(by) | Hop::Unreachable(by) if *by == address)
}

#[rstest]
fn a_service_address_is_no_host(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Auto, &[service])?;
    let world = &programmed.world;
    let within = Duration::from_millis(500);
    let pod = world.pod(0, 0);
    ensure!(
        answers_ping(pod.netns(), world.pod(0, 1).address.of(ip), within)?,
        "pods answer pings"
    );
    ensure!(
        answers_ping(world.client.netns(), world.node(0).address().of(ip), within)?,
        "nodes answer pings"
    );
    for address in [cluster_ip(10), load_balancer(21)] {
        for netns in [pod.netns(), world.client.netns(), world.node(0).netns()] {
            ensure!(
                !answers_ping(netns, address.of(ip), within)?,
                "{address:?} answers in {}",
                netns.name()
            );
        }
        // On the link itself: asked for as a neighbour.
        world
            .router
            .netns()
            .ip(&format!("route replace {} dev br0", address.of(ip)))?;
        ensure!(
            !answers_ping(world.router.netns(), address.of(ip), within)?,
            "{address:?} answers on the link"
        );
        let neighbours = world
            .router
            .netns()
            .tool("ip", &["neigh", "show", &address.of(ip).to_string()])?;
        ensure!(!neighbours.contains("lladdr"), "{neighbours}");
    }
    Ok(())
}

/// The node forwards from the bridge back into it and would redirect the pod to the endpoint, as if that were the VIP.
#[rstest]
fn redirects_never_teach_a_pod_a_way_to_a_service(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let node = world.node(0);
    let service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .backend(Backend::pod(node, &node.pods[1]));
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let pod = programmed.world.pod(0, 0);
    let vip = cluster_ip(10).at(ip, 80);
    let before = redirects_sent(programmed.world.node(0).netns(), ip)?;
    for _ in 0..20 {
        pod.peer()?.open(Transport::Tcp, vip)?.exchange(2000)?;
    }
    ensure!(
        redirects_sent(programmed.world.node(0).netns(), ip)? > before,
        "the node sent none: nothing was shown"
    );
    let route = pod.netns().tool("ip", &["route", "get", &vip.ip().to_string()])?;
    let gateway = tests::plan::in_pod_network(0, 1).of(ip);
    ensure!(route.contains(&format!("via {gateway} ")), "{route}");
    ensure!(!route.contains("redirected"), "{route}");
    Ok(())
}

fn redirects_sent(netns: &NetNs, ip: Ip) -> Result<u64> {
    let counters = netns.run(|| -> Result<String> {
        let file = if ip == Ip::V4 { "snmp" } else { "snmp6" };
        Ok(std::fs::read_to_string(format!("/proc/thread-self/net/{file}"))?)
    })??;
    let value = match ip {
        Ip::V6 => counters
            .lines()
            .find_map(|line| line.strip_prefix("Icmp6OutRedirects"))
            .map(str::trim),
        Ip::V4 => {
            let mut lines = counters.lines().filter(|line| line.starts_with("Icmp:"));
            let names = lines.next().context("no ICMP counters")?.split(' ');
            let at = names
                .into_iter()
                .position(|name| name == "OutRedirects")
                .context("no OutRedirects")?;
            lines.next().and_then(|values| values.split(' ').nth(at))
        }
    };
    value.context("no counter of redirects")?.parse().context("a counter")
}

/// The narrow part is beyond the router: the error comes from outside and is about the masqueraded packet.
#[rstest]
fn errors_from_beyond_reach_the_endpoint_behind_a_node_port(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::two_nodes().pods(1).build()?;
    // The client announces what its own link would carry; only the router's side is narrow, in its route to the client.
    let to_client = tests::plan::outside(2).of(ip);
    world
        .router
        .netns()
        .ip(&format!("route replace {to_client} dev client mtu lock 1300"))?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let world = &programmed.world;
    ensure!(router().of(ip) != to_client);
    for node in &world.nodes {
        for _ in 0..8 {
            let connection = world
                .client
                .peer()?
                .open(Transport::Tcp, node.address().at(ip, NODE_PORT))?;
            connection
                .exchange(100_000)
                .with_context(|| format!("{:?}", connection.opened))?;
        }
    }
    Ok(())
}
