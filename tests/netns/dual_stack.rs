//! Both families at once: IPv4 through IPv6 sockets, and Services of one family.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use rstest::rstest;
use serde_json::json;
use tests::agent::SocketLb;
use tests::cluster::World;
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip};
use tests::programmed::{Programmed, TARGET, serve_everywhere};

use crate::refused;

/// An IPv4 address as an IPv6 socket writes it.
fn mapped(address: SocketAddr) -> SocketAddr {
    let IpAddr::V4(v4) = address.ip() else { return address };
    SocketAddr::new(v4.to_ipv6_mapped().into(), address.port())
}

#[rstest]
fn ipv6_sockets_reach_ipv4_services(
    #[values(SocketLb::Off, SocketLb::Host, SocketLb::All)] socket_lb: SocketLb,
    #[values(Transport::Tcp, Transport::Udp, Transport::UdpUnconnected)] transport: Transport,
) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .pods_of(world.node(0));
    let programmed = Programmed::start(world, socket_lb, &[service])?;
    let world = &programmed.world;
    let to = mapped(cluster_ip(10).at(Ip::V4, 80));
    let mut from = vec![&**world.pod(0, 0)];
    if socket_lb != SocketLb::Off {
        from.push(world.node(0));
    }
    for place in from {
        for _ in 0..10 {
            let connection = place.peer()?.open(transport, to)?;
            assert_eq!(connection.opened.remote, to, "{}", place.label());
            connection.exchange(1000)?;
        }
    }
    Ok(())
}

#[rstest]
fn a_service_of_one_family_has_nothing_in_the_other(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let family = match ip {
        Ip::V4 => "IPv4",
        Ip::V6 => "IPv6",
    };
    let service = Service::named("single", cluster_ip(10))
        .ports(80, TARGET)
        .pods_of(world.node(0))
        .field("ipFamilyPolicy", json!("SingleStack"))
        .field("ipFamilies", json!([family]))
        .field("clusterIP", json!(cluster_ip(10).of(ip)))
        .field("clusterIPs", json!([cluster_ip(10).of(ip)]));
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let client = programmed.world.pod(0, 0);
    client
        .peer()?
        .open(Transport::Tcp, cluster_ip(10).at(ip, 80))?
        .exchange(100)?;
    let other = if ip == Ip::V4 { Ip::V6 } else { Ip::V4 };
    refused(client, Transport::Tcp, cluster_ip(10).at(other, 80)).map(drop)
}
