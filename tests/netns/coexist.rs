//! Who else is on the packet's way.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{NodePlan, PodNetwork, World};
use tests::foreign::{Foreign, Order, Side, Verdict};
use tests::manifests::{Backend, Service};
use tests::peer::{Open, Transport};
use tests::plan::{Ip, cluster_ip, load_balancer};
use tests::programmed::{Programmed, TARGET, sees, sees_the_client, serve_at, serve_everywhere, spreads_over};
use tests::rules::{Engine, FIREWALL, MASQUERADE, MasqueradeWith, NO_INVALID, Tables, Words};
use tests::wait;

const NODE_PORT: u16 = 30080;
const ALL: [&str; 4] = ["pod-a-0", "pod-a-1", "pod-b-0", "pod-b-1"];

/// Two nodes of that shape, with a Service on all pods.
fn started(shape: impl Fn(&mut NodePlan), before: impl FnOnce(&World) -> Result<()>) -> Result<Programmed> {
    let world = World::two_nodes().pods(2).each(shape).build()?;
    before(&world)?;
    serve_everywhere(&world)?;
    let service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .node_port(NODE_PORT)
        .load_balancer(load_balancer(21));
    let service = world.nodes.iter().fold(service, Service::pods_of);
    Programmed::start(world, SocketLb::Auto, &[service])
}

/// A Service whose endpoint is the second node itself.
fn with_the_other_host(world: World) -> Result<Programmed> {
    serve_at(world.node(1), world.node(1).address())?;
    let service = Service::named("host", cluster_ip(10))
        .ports(80, TARGET)
        .node_port(NODE_PORT)
        .backend(Backend::host(world.node(1)));
    Programmed::start(world, SocketLb::Auto, &[service])
}

/// Every kind of address from every side, with whole transfers.
fn everything_works(programmed: &Programmed) -> Result<()> {
    let world = &programmed.world;
    for ip in Ip::BOTH {
        for (from, to) in [
            (&**world.pod(0, 0), cluster_ip(10).at(ip, 80)),
            (&**world.node(0), cluster_ip(10).at(ip, 80)),
            (&world.client, world.node(0).address().at(ip, NODE_PORT)),
            (&world.client, load_balancer(21).at(ip, 80)),
        ] {
            for transport in [Transport::Tcp, Transport::Udp] {
                spreads_over(&ALL, from, transport, to, |_| Ok(()))
                    .with_context(|| format!("{} to {to} over {transport:?}", from.label()))?;
            }
            from.peer()?.open(Transport::Tcp, to)?.exchange(200_000)?;
        }
    }
    Ok(())
}

#[rstest]
fn with_any_reverse_path_filter(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(1, 2)] rp_filter: u8,
) -> Result<()> {
    everything_works(&started(
        |node| (node.network, node.rp_filter) = (network, rp_filter),
        |_| Ok(()),
    )?)
}

#[rstest]
fn with_connection_tracking(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(false, true)] bridge_netfilter: bool,
) -> Result<()> {
    let shape = |node: &mut NodePlan| {
        (node.network, node.conntrack, node.bridge_netfilter) = (network, true, bridge_netfilter);
    };
    everything_works(&started(shape, |_| Ok(()))?)
}

#[rstest]
#[case::bridge_seen_by_netfilter(PodNetwork::Bridge, true, FIREWALL, Engine::Nftables)]
#[case::bridge(PodNetwork::Bridge, false, FIREWALL, Engine::Nftables)]
#[case::routed(PodNetwork::Routed, false, FIREWALL, Engine::Nftables)]
#[case::bridge_by_iptables(PodNetwork::Bridge, true, FIREWALL, Engine::Iptables(Tables::Nft))]
#[case::routed_by_iptables(PodNetwork::Routed, false, FIREWALL, Engine::Iptables(Tables::Legacy))]
#[case::routed_without_invalid(PodNetwork::Routed, false, NO_INVALID, Engine::Nftables)]
#[case::bridge_without_invalid(PodNetwork::Bridge, true, NO_INVALID, Engine::Nftables)]
#[case::bridge_without_invalid_by_iptables(PodNetwork::Bridge, true, NO_INVALID, Engine::Iptables(Tables::Legacy))]
#[case::routed_masqueraded(PodNetwork::Routed, false, MASQUERADE, Engine::Nftables)]
#[case::bridge_masqueraded(PodNetwork::Bridge, true, MASQUERADE, Engine::Nftables)]
#[case::routed_masqueraded_by_iptables(PodNetwork::Routed, false, MASQUERADE, Engine::Iptables(Tables::Nft))]
fn with_rules_of_others(
    #[case] network: PodNetwork,
    #[case] bridge_netfilter: bool,
    #[case] rules: Words,
    #[case] engine: Engine,
) -> Result<()> {
    let shape = |node: &mut NodePlan| (node.network, node.bridge_netfilter) = (network, bridge_netfilter);
    let load = |world: &World| world.nodes.iter().try_for_each(|node| engine.load(node, &rules));
    everything_works(&started(shape, load)?)
}

/// Replies that stay on a bridge which netfilter does not see are what breaks beside such a rule.
#[rstest]
#[case::bridge_that_is_not_seen(PodNetwork::Bridge, false, Engine::Nftables, true)]
#[case::bridge_that_iptables_does_not_see(PodNetwork::Bridge, false, Engine::Iptables(Tables::Legacy), true)]
#[case::bridge_that_is_seen(PodNetwork::Bridge, true, Engine::Nftables, false)]
#[case::no_bridge(PodNetwork::Routed, false, Engine::Nftables, false)]
fn a_firewall_that_drops_invalid_is_told_of_where_it_cannot_see_all(
    #[case] network: PodNetwork,
    #[case] bridge_netfilter: bool,
    #[case] engine: Engine,
    #[case] is_told: bool,
) -> Result<()> {
    let shape = |node: &mut NodePlan| (node.network, node.bridge_netfilter) = (network, bridge_netfilter);
    let world = World::one_node().each(shape).build()?;
    engine.load(world.node(0), &NO_INVALID)?;
    let programmed = Programmed::start(world, SocketLb::Auto, &[])?;
    let warnings = programmed.agents[0].ask(&["status"])?["warnings"].to_string();
    ensure!(warnings.contains("drops INVALID") == is_told, "{warnings}");
    Ok(())
}

/// The CNI's rule gives the packet an address of the node before it leaves, so it is none of a service's any more, nor is
/// what comes back until the kernel has put the pod's address in again.
#[rstest]
#[case::bridge(PodNetwork::Bridge, Engine::Iptables(Tables::Legacy))]
#[case::routed(PodNetwork::Routed, Engine::Nftables)]
fn a_cni_that_masquerades_what_goes_to_another_node(#[case] network: PodNetwork, #[case] engine: Engine) -> Result<()> {
    let shape = |node: &mut NodePlan| {
        (node.network, node.bridge_netfilter) = (network, network == PodNetwork::Bridge);
    };
    let world = World::two_nodes().pods(1).each(shape).build()?;
    world.nodes.iter().try_for_each(|node| engine.load(node, &MASQUERADE))?;
    let programmed = with_the_other_host(world)?;
    let world = &programmed.world;
    let near = world.node(0);
    for ip in Ip::BOTH {
        let (service, node_port) = (cluster_ip(10).at(ip, 80), near.address().at(ip, NODE_PORT));
        for transport in [Transport::Tcp, Transport::Udp] {
            spreads_over(&["node-b"], world.pod(0, 0), transport, service, sees(near))?;
            spreads_over(&["node-b"], world.pod(1, 0), transport, service, sees_the_client)?;
            spreads_over(&["node-b"], &world.client, transport, node_port, sees(near))?;
        }
        for (from, to) in [(&**world.pod(0, 0), service), (&world.client, node_port)] {
            from.peer()?.open(Transport::Tcp, to)?.exchange(200_000)?;
        }
    }
    Ok(())
}

/// A CNI may give a pod any port of the node, also one that belongs to a client of ours towards the same endpoint.
#[rstest]
fn a_cni_that_masquerades_with_a_clients_port(
    #[values(Engine::Nftables, Engine::Iptables(Tables::Legacy))] engine: Engine,
    #[values(Transport::Tcp, Transport::Udp)] transport: Transport,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
) -> Result<()> {
    let world = World::two_nodes().pods(1).network(PodNetwork::Routed).build()?;
    let programmed = with_the_other_host(world)?;
    let world = &programmed.world;
    let near = world.node(0);
    let client = world.client.peer()?.open(transport, near.address().at(ip, NODE_PORT))?;
    let port = client.opened.seen.port();
    engine.load(near, &MasqueradeWith(port))?;
    let pod = world.pod(0, 0).peer()?.open(transport, cluster_ip(10).at(ip, 80))?;
    sees(near)(&pod.opened)?;
    ensure!(pod.opened.seen.port() != port, "both have {port}");
    for connection in [&client, &pod, &client] {
        connection.exchange(1_000)?;
    }
    Ok(())
}

/// Filters of another program that let everything on, attached to the same devices before and after the agent came.
#[rstest]
fn with_filters_of_others(#[values(true, false)] before: bool) -> Result<()> {
    let foreign = |world: &World| -> Result<()> {
        for node in &world.nodes {
            for device in node.pods.iter().map(|pod| pod.host_device.as_str()).chain(["eth0"]) {
                // Without tcx our own filters have brought it.
                if !node.tool("tc", &["qdisc", "show", "dev", device])?.contains("clsact") {
                    node.tool("tc", &["qdisc", "add", "dev", device, "clsact"])?;
                }
                for side in ["ingress", "egress"] {
                    // One instruction, "return 0": no match, so the next filter is asked.
                    let filter = ["filter", "add", "dev", device, side, "bpf", "bytecode", "1,6 0 0 0"];
                    node.tool("tc", &filter)?;
                }
            }
        }
        Ok(())
    };
    let programmed = started(|_| (), |world| if before { foreign(world) } else { Ok(()) })?;
    if !before {
        foreign(&programmed.world)?;
    }
    everything_works(&programmed)
}

/// The pod whose device others have programs on reaches a service, or not.
fn reaches(programmed: &Programmed) -> Result<bool> {
    let pod = programmed.world.pod(0, 0);
    let mut answers = Vec::new();
    for ip in Ip::BOTH {
        let how = Open {
            transport: Transport::Tcp,
            to: cluster_ip(10).at(ip, 80),
            from: None,
            within: Duration::from_secs(1),
        };
        answers.push(pod.peer()?.try_open(how)?.is_ok());
    }
    ensure!(answers[0] == answers[1], "IPv4 {}, IPv6 {}", answers[0], answers[1]);
    Ok(answers[0])
}

/// Whether `status` says that somebody comes before ours on the pod's device.
fn is_told(programmed: &Programmed) -> Result<bool> {
    let device = &programmed.world.pod(0, 0).host_device;
    let status = programmed.agents[0].ask(&["status"])?["warnings"].to_string();
    Ok(status.contains(&format!(
        "device {device}: a program of somebody else's comes before ours"
    )))
}

/// One that comes before ours has the first word and is told of; one that comes after has the last. Neither changes with
/// a new agent, nor does ours go when theirs go.
#[rstest]
#[case::before_and_asks_on(Order::First, Verdict::Next, true)]
#[case::before_and_lets_pass(Order::First, Verdict::Pass, false)]
#[case::before_and_drops(Order::First, Verdict::Drop, false)]
#[case::after_and_asks_on(Order::Last, Verdict::Next, true)]
#[case::after_and_lets_pass(Order::Last, Verdict::Pass, true)]
#[case::after_and_drops(Order::Last, Verdict::Drop, false)]
fn programs_of_others_have_their_say_in_their_place(
    #[case] order: Order,
    #[case] verdict: Verdict,
    #[case] works: bool,
) -> Result<()> {
    let world = World::one_node().pods(2).network(PodNetwork::Routed).build()?;
    serve_everywhere(&world)?;
    let mut service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .pods_of(world.node(0));
    service.backends.remove(0);
    let attach = |world: &World| {
        let (netns, device) = (world.node(0).netns(), &world.pod(0, 0).host_device);
        [Side::Ingress, Side::Egress]
            .into_iter()
            .map(|side| Foreign::attach(netns, device, side, order, verdict))
            .collect::<Result<Vec<_>>>()
    };
    // Ours put themselves before those that are there, so only a later one can come before.
    let early = (order == Order::Last).then(|| attach(&world)).transpose()?;
    let mut programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let theirs = early.map_or_else(|| attach(&programmed.world), Ok)?;
    for again in [false, true] {
        if again {
            programmed.agents[0].crash()?;
            programmed.agents[0].resume()?;
        }
        ensure!(reaches(&programmed)? == works, "again: {again}");
        ensure!(is_told(&programmed)? == (order == Order::First), "again: {again}");
    }
    drop(theirs);
    wait::until_true("as if they had never been", wait::PATIENCE, || {
        Ok(reaches(&programmed)? && !is_told(&programmed)?)
    })
}
