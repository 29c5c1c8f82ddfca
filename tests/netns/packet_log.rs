//! Packets in the log: only where they are asked for.

use anyhow::{Result, ensure};
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::World;
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip};
use tests::programmed::{Programmed, TARGET, serve_everywhere};
use tests::wait;

#[rstest]
fn packets_are_in_the_log_where_they_are_asked_for(#[values(true, false)] asked: bool) -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .pods_of(world.node(0));
    let flags: &[&str] = if asked { &["--log-packets"] } else { &[] };
    let programmed = Programmed::start_with(world, SocketLb::Off, &[service], flags)?;
    let pod = programmed.world.pod(0, 0);
    for ip in Ip::BOTH {
        pod.peer()?
            .open(Transport::Tcp, cluster_ip(10).at(ip, 80))?
            .exchange(100)?;
    }
    let log = || programmed.agents[0].log();
    if !asked {
        ensure!(!log().contains("Translated"), "{}", log());
        return Ok(());
    }
    let device = format!("device=\"{}\"", pod.host_device);
    for hook in ["ingress", "egress"] {
        wait::until_true("a translated packet in the log", wait::PATIENCE, || {
            let line = |line: &str| line.contains(hook) && line.contains("Translated") && line.contains(&device);
            Ok(log().lines().any(line))
        })?;
    }
    Ok(())
}
