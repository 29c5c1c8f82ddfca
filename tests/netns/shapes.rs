//! Nodes of different shapes in one cluster: what a CNI does, Fairlead does not depend on.

use anyhow::{Context, Result, ensure};
use rstest::rstest;
use serde_json::json;
use tests::agent::SocketLb;
use tests::cluster::{Between, Pod, PodNetwork, Uplink, World};
use tests::manifests::Service;
use tests::peer::{Opened, Transport};
use tests::plan::{Ip, cluster_ip};
use tests::programmed::{Programmed, TARGET, sees, sees_the_client, serve_everywhere, spreads_over};

use crate::refused;

const NODE_PORT: u16 = 30080;
const NODE_PORT_LOCAL: u16 = 30081;
const ALL: [&str; 4] = ["pod-a-0", "pod-a-1", "pod-b-0", "pod-b-1"];
const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Udp];

/// What one node is made of.
type Shape = (PodNetwork, Uplink);

const BRIDGE: Shape = (PodNetwork::Bridge, Uplink::Direct);
const BRIDGE_WITH_UPLINK: Shape = (PodNetwork::Bridge, Uplink::BridgePort);
const ROUTED: Shape = (PodNetwork::Routed, Uplink::Direct);
/// Its pods have no device of the node: their sockets are translated.
const MACVLAN: Shape = (PodNetwork::Macvlan, Uplink::Direct);

fn started(shapes: [Shape; 2], between: Between, socket_lb: SocketLb) -> Result<Programmed> {
    let plan = World::two_nodes().pods(2).between(between);
    let plan = shapes.into_iter().enumerate().fold(plan, |plan, (number, shape)| {
        plan.node(number, |node| (node.network, node.uplink) = shape)
    });
    let world = plan.build()?;
    serve_everywhere(&world)?;
    let of_all = |service| world.nodes.iter().fold(service, Service::pods_of);
    let web = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .node_port(NODE_PORT);
    let local = Service::named("local", cluster_ip(11))
        .ports(80, TARGET)
        .node_port(NODE_PORT_LOCAL)
        .field("externalTrafficPolicy", json!("Local"));
    let services = [of_all(web), of_all(local)];
    Programmed::start(world, socket_lb, &services)
}

/// Straight from pod to pod, to a port that services lead to: both ends see each other.
fn pods_see_each_other(world: &World, ip: Ip) -> Result<()> {
    let pods = || world.nodes.iter().flat_map(|node| &node.pods);
    for (from, to) in pods().flat_map(|from| pods().map(move |to| (from, to))) {
        let at = to.address.at(ip, TARGET);
        for transport in TRANSPORTS {
            let connection = from.peer()?.open(transport, at)?;
            ensure!(connection.opened.remote == at, "{:?}", connection.opened);
            sees_the_client(&connection.opened)?;
            connection.exchange(20_000)?;
        }
    }
    Ok(())
}

/// Right for a pod's own conversations with a Service: it is seen as itself, but by itself.
fn sees_the_pod(pod: &Pod) -> impl Fn(&Opened) -> Result<()> {
    move |opened| {
        if opened.server == pod.label() {
            Ok(())
        } else {
            sees_the_client(opened)
        }
    }
}

#[rstest]
#[case::bridge_and_routed([BRIDGE, ROUTED], Between::Routes)]
#[case::bridge_and_routed_over_vxlan([BRIDGE, ROUTED], Between::Vxlan)]
#[case::bridge_with_the_uplink_and_routed([BRIDGE_WITH_UPLINK, ROUTED], Between::Routes)]
#[case::bridge_and_macvlan([BRIDGE, MACVLAN], Between::Routes)]
#[case::bridge_with_the_uplink_and_macvlan([BRIDGE_WITH_UPLINK, MACVLAN], Between::Routes)]
#[case::routed_and_macvlan([ROUTED, MACVLAN], Between::Routes)]
fn the_clients_address_arrives_where_it_must(#[case] shapes: [Shape; 2], #[case] between: Between) -> Result<()> {
    let programmed = started(shapes, between, SocketLb::Auto)?;
    let world = &programmed.world;
    for ip in Ip::BOTH {
        pods_see_each_other(world, ip)?;
        let service = cluster_ip(10).at(ip, 80);
        for (number, node) in world.nodes.iter().enumerate() {
            let (pod, client) = (&node.pods[0], &world.client);
            let (node_port, local) = (node.address().at(ip, NODE_PORT), node.address().at(ip, NODE_PORT_LOCAL));
            for transport in TRANSPORTS {
                let all = || -> Result<()> {
                    spreads_over(&ALL, pod, transport, service, sees_the_pod(pod))?;
                    spreads_over(&ALL, node, transport, service, sees(node))?;
                    spreads_over(&ALL, client, transport, node_port, sees(node))?;
                    spreads_over(&ALL[2 * number..][..2], client, transport, local, sees_the_client)
                };
                all().with_context(|| format!("{} over {transport:?} and {ip}", node.label()))?;
            }
            for (from, to) in [(&**pod, service), (client, node_port), (client, local)] {
                from.peer()?.open(Transport::Tcp, to)?.exchange(500_000)?;
            }
        }
    }
    Ok(())
}

#[rstest]
fn pods_without_a_device_of_the_node_have_services_by_their_sockets_alone(
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let programmed = started([BRIDGE, MACVLAN], Between::Routes, SocketLb::Off)?;
    let to = cluster_ip(10).at(ip, 80);
    refused(programmed.world.pod(1, 0), Transport::Tcp, to)?;
    // The rest of the cluster does not need them.
    spreads_over(&ALL, programmed.world.pod(0, 0), Transport::Tcp, to, |_| Ok(()))
}
