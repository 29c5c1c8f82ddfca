//! One segment with two nodes: service addresses are on no device, so nobody answers for them but who announces them.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use rstest::rstest;
use serde_json::json;
use tests::agent::SocketLb;
use tests::cluster::{Node, PodNetwork, Uplink, World};
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Dual, Ip, cluster_ip, in_nodes_network};
use tests::probe::{Mac, hardware_address, who_answers};
use tests::programmed::{Programmed, TARGET, sees, sees_the_client, serve_everywhere, spreads_over};

const PORT: u16 = 80;
const ALL: [&str; 4] = ["pod-a-0", "pod-a-1", "pod-b-0", "pod-b-1"];
/// The router's device on the segment.
const SEGMENT: &str = "br0";

/// Addresses of the segment that no machine has.
fn external() -> Dual {
    in_nodes_network(201)
}

fn announced() -> Dual {
    in_nodes_network(202)
}

/// Two nodes of that shape, with a Service on all pods that has an address of each kind.
fn started(network: PodNetwork, uplink: Uplink, policy: &str) -> Result<Programmed> {
    let world = World::two_nodes()
        .pods(2)
        .network(network)
        .each(|node| node.uplink = uplink)
        .build()?;
    serve_everywhere(&world)?;
    let service = Service::named("web", cluster_ip(10))
        .ports(PORT, TARGET)
        .node_port(30080)
        .external_ip(external())
        .load_balancer(announced())
        .field("externalTrafficPolicy", json!(policy));
    let service = world.nodes.iter().fold(service, Service::pods_of);
    Programmed::start(world, SocketLb::Auto, &[service])
}

/// The device that has the node's own address, and its hardware address.
fn device(node: &Node, uplink: Uplink) -> Result<(&'static str, Mac)> {
    let device = match uplink {
        Uplink::Direct => "eth0",
        Uplink::BridgePort => "cni0",
        Uplink::Bond => "bond0",
    };
    Ok((device, hardware_address(node.netns(), device)?))
}

/// Who answers on the segment for an address.
fn answering(world: &World, address: Dual, ip: Ip) -> Result<BTreeSet<Mac>> {
    who_answers(world.router.netns(), SEGMENT, address.of(ip))
}

#[rstest]
fn nodes_answer_for_their_own_addresses_and_for_no_services(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Uplink::Direct, Uplink::BridgePort)] uplink: Uplink,
) -> Result<()> {
    let programmed = started(network, uplink, "Cluster")?;
    let world = &programmed.world;
    let services = [cluster_ip(10), external(), announced()];
    for ip in Ip::BOTH {
        for node in &world.nodes {
            let (_, own) = device(node, uplink)?;
            let answered = answering(world, node.address(), ip)?;
            ensure!(answered == BTreeSet::from([own]), "{}: {answered:x?}", node.label());
            let there = node.netns().tool("ip", &["-o", "addr"])?;
            let found = services
                .iter()
                .find(|address| there.contains(&format!(" {}/", address.of(ip))));
            ensure!(found.is_none(), "{}: {there}", node.label());
        }
        for address in services {
            let answered = answering(world, address, ip)?;
            ensure!(answered.is_empty(), "{}: {answered:x?}", address.of(ip));
        }
    }
    Ok(())
}

/// As a load balancer's speaker does it that has the address on no device either.
#[rstest]
fn traffic_follows_who_announces_the_address_from_node_to_node(
    #[values("Cluster", "Local")] policy: &str,
    #[values(Uplink::Direct, Uplink::BridgePort)] uplink: Uplink,
) -> Result<()> {
    let programmed = started(PodNetwork::Bridge, uplink, policy)?;
    let world = &programmed.world;
    for ip in Ip::BOTH {
        let to = announced().at(ip, PORT);
        for number in [0, 1, 0] {
            let node = world.node(number);
            let (device, own) = device(node, uplink)?;
            let _speaker = node.peer()?.speak(device, to.ip())?;
            let answered = answering(world, announced(), ip)?;
            ensure!(answered == BTreeSet::from([own]), "{}: {answered:x?}", node.label());
            for transport in [Transport::Tcp, Transport::Udp] {
                if policy == "Local" {
                    spreads_over(&ALL[2 * number..][..2], &world.client, transport, to, sees_the_client)?;
                } else {
                    spreads_over(&ALL, &world.client, transport, to, sees(node))?;
                }
            }
        }
        // Nobody announces it now.
        let answered = answering(world, announced(), ip)?;
        ensure!(answered.is_empty(), "{answered:x?}");
    }
    Ok(())
}
