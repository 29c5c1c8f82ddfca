//! What becomes of packets that no service answers, or that come from somebody whom a service is not for.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use rstest::rstest;
use serde_json::{Value, json};
use tests::agent::SocketLb;
use tests::cluster::{Place, World};
use tests::manifests::Service;
use tests::peer::{Transport, Why};
use tests::plan::{Dual, Ip, SERVICE_NETWORKS, cluster_ip, load_balancer, node, outside, pod};
use tests::programmed::{Programmed, TARGET, serve_everywhere};

use crate::{failure, is_refused};

const PORT: u16 = 80;
const NODE_PORT: u16 = 30080;

fn web(world: &World) -> Service {
    let service = Service::named("web", cluster_ip(10)).ports(PORT, TARGET);
    world.nodes.iter().fold(service, Service::pods_of)
}

/// A node in mode nftables that knows which networks services get their addresses from.
fn knowing(socket_lb: SocketLb) -> Result<Programmed> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let programmed = Programmed::start(world, socket_lb, &[service])?;
    programmed.manifests.write("networks", &[networks()])?;
    programmed.settled()?;
    Ok(programmed)
}

/// How long nothing comes where packets vanish: a refusal over IPv6 may come after a second.
const SILENCE: Duration = Duration::from_millis(1500);

/// How a conversation fails that must fail soon.
fn soon(from: &Place, transport: Transport, to: SocketAddr) -> Result<Why> {
    failure(from, transport, to, SILENCE)
}

fn networks() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": SERVICE_NETWORKS.split(',').collect::<Vec<_>>()},
    })
}

#[rstest]
fn a_port_that_a_service_has_not_is_refused(
    #[values(SocketLb::Off, SocketLb::All)] socket_lb: SocketLb,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let programmed = knowing(socket_lb)?;
    let to = cluster_ip(10).at(ip, PORT + 1);
    is_refused(programmed.world.pod(0, 0), to)?;
    if socket_lb == SocketLb::All {
        is_refused(programmed.world.node(0), to)?;
    }
    // The port that it has is not touched by that.
    programmed
        .world
        .pod(0, 0)
        .peer()?
        .open(Transport::Tcp, cluster_ip(10).at(ip, PORT))?;
    Ok(())
}

#[rstest]
fn an_address_that_no_service_has_is_not_passed_on(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let to = cluster_ip(99).at(ip, PORT);
    let programmed = knowing(SocketLb::Off)?;
    assert_eq!(soon(programmed.world.pod(0, 0), Transport::Tcp, to)?, Why::TimedOut);
    Ok(())
}

#[rstest]
fn a_process_is_told_at_once_that_no_service_has_an_address(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let to = cluster_ip(99).at(ip, PORT);
    let programmed = knowing(SocketLb::All)?;
    for place in [&**programmed.world.pod(0, 0), &**programmed.world.node(0)] {
        for transport in [Transport::Tcp, Transport::Udp] {
            assert_eq!(soon(place, transport, to)?, Why::Unreachable, "{}", place.label());
        }
    }
    Ok(())
}

/// The router, to which they are passed, knows no way.
#[rstest]
fn in_mode_iptables_packets_that_no_service_answers_are_passed_on(
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values((10, PORT + 1), (99, PORT))] (number, port): (u8, u16),
) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = web(&world);
    let mode = ["--proxy-mode", "iptables"];
    let programmed = Programmed::start_with(world, SocketLb::All, &[service], &mode)?;
    let to = cluster_ip(number).at(ip, port);
    let why = soon(programmed.world.pod(0, 0), Transport::Tcp, to)?;
    ensure!(why != Why::Refused, "{why:?}");
    let counters = programmed.agents[0].ask(&["status"])?;
    ensure!(!counters.to_string().contains("Unknown"), "{counters:#}");
    Ok(())
}

/// Who may dial a load balancer's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Client,
    Pod,
    Node,
}

impl Who {
    const ALL: [Self; 3] = [Self::Client, Self::Pod, Self::Node];

    fn place(self, world: &World) -> &Place {
        match self {
            Self::Client => &world.client,
            Self::Pod => world.pod(0, 0),
            Self::Node => world.node(0),
        }
    }

    fn address(self) -> Dual {
        match self {
            Self::Client => outside(2),
            Self::Pod => pod(0, 0),
            Self::Node => node(0),
        }
    }

    /// The networks, one of each family, that have the address alone.
    fn ranges(self) -> Value {
        json!(Ip::BOTH.map(|ip| self.address().of(ip).to_string() + if ip == Ip::V4 { "/32" } else { "/128" }))
    }
}

fn limited(world: &World, ranges: Value) -> Service {
    web(world)
        .node_port(NODE_PORT)
        .load_balancer(load_balancer(21))
        .external_ip(load_balancer(20))
        .field("loadBalancerSourceRanges", ranges)
}

#[rstest]
fn source_ranges_say_who_may_use_a_load_balancers_address(
    #[values(Who::Client, Who::Pod, Who::Node)] admitted: Who,
    #[values(SocketLb::Host, SocketLb::All)] socket_lb: SocketLb,
) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = limited(&world, admitted.ranges());
    let programmed = Programmed::start(world, socket_lb, &[service])?;
    for (who, ip) in Who::ALL.into_iter().flat_map(|who| Ip::BOTH.map(|ip| (who, ip))) {
        let place = who.place(&programmed.world);
        let to = load_balancer(21).at(ip, PORT);
        for transport in [Transport::Tcp, Transport::Udp] {
            if who == admitted {
                place.peer()?.open(transport, to)?.exchange(500)?;
                continue;
            }
            let expected = if who == Who::Node {
                Why::Unreachable
            } else {
                Why::TimedOut
            };
            assert_eq!(soon(place, transport, to)?, expected, "{who:?}, {transport:?}, {to}");
        }
    }
    Ok(())
}

#[rstest]
fn source_ranges_are_for_load_balancers_addresses_alone(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = limited(&world, json!(["192.0.2.0/24", "2001:db8:ffff::/48"]));
    let programmed = Programmed::start(world, SocketLb::Host, &[service])?;
    let world = &programmed.world;
    let others = [
        (Who::Client, load_balancer(20).at(ip, PORT)),
        (Who::Client, node(0).at(ip, NODE_PORT)),
        (Who::Pod, load_balancer(20).at(ip, PORT)),
        (Who::Pod, node(0).at(ip, NODE_PORT)),
        (Who::Pod, cluster_ip(10).at(ip, PORT)),
        (Who::Node, load_balancer(20).at(ip, PORT)),
        (Who::Node, cluster_ip(10).at(ip, PORT)),
    ];
    for (who, to) in others {
        for transport in [Transport::Tcp, Transport::Udp] {
            who.place(world).peer()?.open(transport, to)?.exchange(500)?;
        }
    }
    Ok(())
}

#[rstest]
fn a_connection_outlives_the_range_that_has_let_it_in(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = limited(&world, Who::Client.ranges());
    let programmed = Programmed::start(world, SocketLb::Host, &[service])?;
    let client = &programmed.world.client;
    let to = load_balancer(21).at(ip, PORT);
    let connection = client.peer()?.open(Transport::Tcp, to)?;
    connection.exchange(500)?;
    programmed.put(&limited(&programmed.world, Who::Pod.ranges()))?;
    assert_eq!(soon(client, Transport::Tcp, to)?, Why::TimedOut);
    connection.exchange(500)?;
    programmed.put(&limited(&programmed.world, json!([])))?;
    client.peer()?.open(Transport::Tcp, to)?;
    connection.exchange(500)?;
    Ok(())
}
