//! Devices come and go under a running agent.

use anyhow::Result;
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{PodNetwork, World};
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip};
use tests::programmed::{Programmed, TARGET, sees_the_client, serve_everywhere, spreads_over};
use tests::wait;

fn started(network: PodNetwork, socket_lb: SocketLb) -> Result<Programmed> {
    let world = World::one_node().pods(1).network(network).build()?;
    serve_everywhere(&world)?;
    let service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .pods_of(world.node(0));
    Programmed::start(world, socket_lb, &[service])
}

/// Whether the agent lists a device as carrying its programs.
fn covered(programmed: &Programmed, device: &str) -> Result<bool> {
    Ok(programmed.agents[0]
        .ask(&["get", "devices"])?
        .to_string()
        .contains(&format!("\"{device}\"")))
}

#[rstest]
fn a_renamed_device_keeps_its_programs_and_a_removed_one_is_forgotten(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
) -> Result<()> {
    let mut programmed = started(network, SocketLb::Off)?;
    programmed.world.nodes[0].add_pod()?;
    let to = cluster_ip(10).at(Ip::V4, 80);
    wait::until_true("programs on the device", wait::PATIENCE, || {
        covered(&programmed, "pod1")
    })?;
    let pod = programmed.world.pod(0, 1);
    spreads_over(&["pod-a-0"], pod, Transport::Tcp, to, sees_the_client)?;
    programmed.world.node(0).netns().ip("link set pod1 name renamed")?;
    wait::until_true("the new name", wait::PATIENCE, || covered(&programmed, "renamed"))?;
    spreads_over(&["pod-a-0"], pod, Transport::Tcp, to, sees_the_client)?;
    programmed.world.node(0).netns().ip("link del renamed")?;
    wait::until_true("forgetting", wait::PATIENCE, || Ok(!covered(&programmed, "renamed")?))
}
