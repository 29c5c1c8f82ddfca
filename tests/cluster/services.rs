//! What the API server has, packets can use.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::agent::Agent;
use tests::cluster::World;
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip, load_balancer};
use tests::programmed::{TARGET, sees, spreads_over};
use tests::wait;

use crate::support::{Cluster, named, service};

const PODS: [&str; 4] = ["pod-a-0", "pod-a-1", "pod-b-0", "pod-b-1"];

#[test]
fn a_service_is_reached_from_pods_nodes_and_the_outside() -> Result<()> {
    let world = World::two_nodes().pods(2).build()?;
    let web = Service::named("web", cluster_ip(10)).ports(80, TARGET);
    let web = world.nodes.iter().fold(web, |web, node| web.pods_of(node));
    let web = web.node_port(30080).load_balancer(load_balancer(10));
    let cluster = Cluster::start(world, &[web])?;
    let world = &cluster.world;
    let rows = Ip::BOTH.map(|ip| [(ip, Transport::Tcp), (ip, Transport::Udp)]);
    for (ip, transport) in rows.into_iter().flatten() {
        let vip = cluster_ip(10).at(ip, 80);
        spreads_over(&PODS, world.pod(0, 0), transport, vip, |_| Ok(()))?;
        spreads_over(&PODS, world.node(1), transport, vip, |_| Ok(()))?;
        let outside = [world.node(0).address().at(ip, 30080), load_balancer(10).at(ip, 80)];
        for to in outside {
            spreads_over(&PODS, &world.client, transport, to, sees(world.node(0)))?;
        }
    }
    Ok(())
}

#[test]
fn endpoints_come_and_go_and_the_service_with_them() -> Result<()> {
    let world = World::one_node().pods(3).build()?;
    let [two, other, none] = [&[1, 2][..], &[2], &[]].map(|pods| service(&world, "web", 10, pods));
    let cluster = Cluster::start(world, &[two])?;
    cluster.answered_by(cluster_ip(10), &["pod-a-1", "pod-a-2"])?;
    cluster.put(&other)?;
    cluster.answered_by(cluster_ip(10), &["pod-a-2"])?;
    cluster.put(&none)?;
    assert!(
        cluster.answered_by(cluster_ip(10), &[]).is_err(),
        "nobody is left to answer"
    );
    cluster.put(&other)?;
    cluster.answered_by(cluster_ip(10), &["pod-a-2"])?;
    cluster.api.delete_service(&other)?;
    cluster.settled()?;
    assert!(!cluster.is_programmed("web")?);
    Ok(())
}

#[test]
fn a_service_is_another_proxys_as_long_as_its_label_says_so() -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    let (web, theirs) = (service(&world, "web", 10, &[1]), service(&world, "theirs", 11, &[1]));
    let cluster = Cluster::start(world, &[web, theirs])?;
    let label =
        |value: Value| json!({ "metadata": { "labels": { "service.kubernetes.io/service-proxy-name": value } } });
    for _ in 0..2 {
        cluster.answered_by(cluster_ip(11), &["pod-a-1"])?;
        cluster.api.patch(&named("theirs"), label("another".into()))?;
        cluster.settled()?;
        assert!(!cluster.is_programmed("theirs")? && cluster.is_programmed("web")?);
        cluster.api.patch(&named("theirs"), label(Value::Null))?;
        cluster.settled()?;
    }
    Ok(())
}

/// The names are such that the younger one would come first.
#[test]
fn the_older_of_two_services_keeps_an_external_address_and_the_other_inherits_it() -> Result<()> {
    let world = World::one_node().pods(3).build()?;
    let shared = load_balancer(20);
    let old = service(&world, "z-old", 10, &[1]).external_ip(shared);
    let young = service(&world, "a-young", 11, &[2]).external_ip(shared);
    let mut cluster = Cluster::start(world, std::slice::from_ref(&old))?;
    let created = |cluster: &Cluster, name: &str| -> Result<String> {
        let service = cluster.api.get(&named(name))?;
        let time = service["metadata"]["creationTimestamp"].as_str();
        Ok(time.context("every object has an age")?.to_owned())
    };
    wait::until_true("a Service of a later second", wait::PATIENCE, || {
        cluster.api.put_service(&young)?;
        let younger = created(&cluster, "a-young")? > created(&cluster, "z-old")?;
        if !younger {
            cluster.api.delete_service(&young)?;
        }
        Ok(younger)
    })?;
    cluster.settled()?;
    cluster.answered_by(shared, &["pod-a-1"])?;
    cluster.answered_by(cluster_ip(11), &["pod-a-2"])?;
    cluster.agents.iter_mut().try_for_each(Agent::stop)?;
    cluster.agents.iter_mut().try_for_each(Agent::resume)?;
    cluster.answered_by(shared, &["pod-a-1"])?;
    cluster.api.delete_service(&old)?;
    cluster.settled()?;
    cluster.answered_by(shared, &["pod-a-2"])
}
