//! A cache of the cluster's name server on a node, as NodeLocal DNSCache is one: at an address of its own, and beside a
//! kube-proxy of mode iptables or nftables at the name server's cluster address too.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{Node, Place, PodNetwork, World};
use tests::manifests::{Backend, Service};
use tests::peer::Transport;
use tests::plan::{Dual, Ip, cluster_ip};
use tests::programmed::Programmed;
use tests::rules::{Engine, NameCache, Tables};
use tests::servers::{Dns, OF_CACHE, ask, dig};
use tests::wait;

/// The device that has the cache's addresses: like the usual dummy, but that every kernel has it, it is no edge.
const DEVICE: &str = "nodelocaldns";
/// The port of name servers, and where the pod listens.
const PORT: u16 = 53;
const TARGET: u16 = 5300;

/// The name server's Service, and the one by which the cache asks it.
const NAME_SERVER: u8 = 53;
const UPSTREAM: u8 = 54;

/// An address that only its own node knows.
const fn local() -> Dual {
    Dual {
        v4: std::net::Ipv4Addr::new(169, 254, 20, 10),
        v6: std::net::Ipv6Addr::new(0xfd00, 0x10, 0x53, 0, 0, 0, 0, 0xa),
    }
}

/// Two nodes; the name server is a pod of the second.
fn started() -> Result<(Programmed, Dns)> {
    let world = World::two_nodes()
        .pods(2)
        .node(1, |node| node.network = PodNetwork::Routed)
        .build()?;
    let (node, pod) = (world.node(1), world.pod(1, 0));
    let server = Dns::start(pod, pod.address, TARGET)?;
    let to = |name, number| {
        Service::named(name, cluster_ip(number))
            .ports(PORT, TARGET)
            .backend(Backend::pod(node, pod))
    };
    let services = [to("kube-dns", NAME_SERVER), to("kube-dns-upstream", UPSTREAM)];
    Ok((Programmed::start(world, SocketLb::Auto, &services)?, server))
}

/// Gives a node a cache at these addresses.
fn cache(node: &Node, addresses: &[Dual], engine: Engine, ip: Ip) -> Result<Dns> {
    let mut lines = format!("link add {DEVICE} type bridge\nlink set {DEVICE} up\n");
    for own in addresses {
        lines += &format!(
            "addr add {}/32 dev {DEVICE}\naddr add {}/128 dev {DEVICE} nodad\n",
            own.v4, own.v6
        );
    }
    node.netns().ip(&lines)?;
    let rules = NameCache {
        addresses: addresses.to_vec(),
    };
    engine.load(node, &rules)?;
    let listens: Vec<IpAddr> = addresses.iter().map(|own| own.of(ip)).collect();
    Dns::cache(node, &listens, cluster_ip(UPSTREAM).at(ip, PORT))
}

/// Whether a cache answers there, over UDP and TCP; whoever answers knows what the name server knows.
fn is_cached(from: &Place, at: Dual, ip: Ip) -> Result<bool> {
    let mut cached = Vec::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        let server = dig(from, transport, at.at(ip, PORT))?;
        ensure!(server == "pod-b-0", "{}: {server}", from.label());
        cached.push(ask(from, transport, at.at(ip, PORT), OF_CACHE).is_ok_and(|name| name == "node-a"));
    }
    ensure!(cached[0] == cached[1], "{}: by UDP and TCP {cached:?}", from.label());
    Ok(cached[0])
}

/// The cache comes and goes under a running agent. What the node has an address for, the node answers; for what it asks
/// itself it uses services as any program of a node.
#[rstest]
#[case::at_the_cluster_address_too(true, Engine::Nftables)]
#[case::at_the_cluster_address_too_by_iptables(true, Engine::Iptables(Tables::Legacy))]
#[case::at_its_own_address(false, Engine::Iptables(Tables::Nft))]
fn a_node_with_a_name_cache_is_asked_itself_and_asks_the_service(
    #[case] at_cluster_address: bool,
    #[case] engine: Engine,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let (programmed, _server) = started()?;
    let world = &programmed.world;
    let (node, pod, elsewhere) = (world.node(0), world.pod(0, 0), world.pod(1, 1));
    let cluster = cluster_ip(NAME_SERVER);
    ensure!(!is_cached(pod, cluster, ip)?, "there is no cache yet");

    let mut addresses = vec![local()];
    addresses.extend(at_cluster_address.then_some(cluster));
    let dns = cache(node, &addresses, engine, ip)?;
    for from in [&**pod, node] {
        ensure!(is_cached(from, local(), ip)?, "{}", from.label());
        wait::until_true("who is asked at the cluster address", wait::PATIENCE, || {
            Ok(is_cached(from, cluster, ip)? == at_cluster_address)
        })?;
    }
    ensure!(!is_cached(elsewhere, cluster, ip)?, "the other node has no cache");

    drop(dns);
    node.netns().ip(&format!("link del {DEVICE}"))?;
    for from in [&**pod, node] {
        wait::until_true("the Service answers again", wait::PATIENCE, || {
            Ok(!is_cached(from, cluster, ip)?)
        })?;
    }
    Ok(())
}
