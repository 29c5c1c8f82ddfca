//! What has to work under every kernel, in little time.

use anyhow::Result;
use rstest::rstest;
use tests::agent::{Agent, SocketLb};
use tests::cluster::{PodNetwork, World};
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip, load_balancer};
use tests::programmed::{Programmed, TARGET, serve_everywhere, spreads_over};

/// Every kind of address from every side; the agent is killed, comes back, and leaves nothing.
#[rstest]
fn smoke_of_a_whole_life(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let world = World::two_nodes()
        .pods(2)
        .node(1, |node| node.network = PodNetwork::Routed)
        .build()?;
    serve_everywhere(&world)?;
    let service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .node_port(30080)
        .load_balancer(load_balancer(21));
    let service = world.nodes.iter().fold(service, Service::pods_of);
    let mut programmed = Programmed::start(world, SocketLb::Auto, &[service])?;
    everything_works(&programmed.world, ip)?;
    programmed.agents.iter_mut().try_for_each(Agent::crash)?;
    everything_works(&programmed.world, ip)?;
    programmed.agents.iter_mut().try_for_each(Agent::resume)?;
    everything_works(&programmed.world, ip)?;
    for agent in &mut programmed.agents {
        agent.stop()?;
        agent.cleanup()?;
    }
    for node in &programmed.world.nodes {
        let pins = std::fs::read_dir(node.state_dir())
            .map(Iterator::count)
            .unwrap_or_default();
        assert_eq!(pins, 0, "{}", node.label());
    }
    crate::refused(programmed.world.pod(0, 0), Transport::Tcp, cluster_ip(10).at(ip, 80)).map(drop)
}

fn everything_works(world: &World, ip: Ip) -> Result<()> {
    for (from, to) in [
        (&**world.pod(0, 0), cluster_ip(10).at(ip, 80)),
        (&**world.node(1), cluster_ip(10).at(ip, 80)),
        (&world.client, world.node(1).address().at(ip, 30080)),
        (&world.client, load_balancer(21).at(ip, 80)),
    ] {
        for transport in [Transport::Tcp, Transport::Udp] {
            spreads_over(
                &["pod-a-0", "pod-a-1", "pod-b-0", "pod-b-1"],
                from,
                transport,
                to,
                |_| Ok(()),
            )?;
        }
    }
    Ok(())
}
