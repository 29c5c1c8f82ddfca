//! The API server goes away: nothing that works stops working, and what changed meanwhile arrives when it is back.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use tests::agent::Agent;
use tests::cluster::World;
use tests::peer::{Load, LoadPlan, Transport};
use tests::plan::{Ip, cluster_ip};

use crate::support::{Cluster, service};

/// How long a server is away that is killed.
const AWAY: Duration = Duration::from_secs(30);

/// Conversations with the Service at the cluster address 10: from a pod and from its node, over both families, short
/// and long ones.
fn loads(world: &World) -> Result<Vec<Load<'_>>> {
    let mut loads = Vec::new();
    for ip in Ip::BOTH {
        let to = cluster_ip(10).at(ip, 80);
        for client in [world.pod(0, 0).peer()?, world.node(0).peer()?] {
            for plan in [
                LoadPlan::short(Transport::Tcp, to),
                LoadPlan::long(Transport::Tcp, to),
                LoadPlan::short(Transport::Udp, to),
            ] {
                loads.push(client.load(LoadPlan { workers: 1, ..plan })?);
            }
        }
    }
    Ok(loads)
}

fn all_go_on(loads: &[Load<'_>]) -> Result<()> {
    loads.iter().try_for_each(|load| load.goes_on(50))
}

fn none_failed(loads: Vec<Load<'_>>) -> Result<()> {
    for load in loads {
        let report = load.stop()?;
        assert_eq!(report.failures(), 0, "{report:?}");
    }
    Ok(())
}

fn in_trouble(agent: &Value) -> bool {
    agent["troubles"]
        .as_object()
        .is_some_and(|troubles| !troubles.is_empty())
}

#[test]
fn connections_outlive_a_server_that_is_killed_and_an_agent_that_starts_without_it() -> Result<()> {
    let world = World::one_node().pods(4).build()?;
    let [before, after] = [&[1, 2][..], &[1, 2, 3]].map(|pods| service(&world, "web", 10, pods));
    let Cluster {
        mut agents,
        mut api,
        world,
    } = Cluster::start(world, &[before])?;
    let loads = loads(&world)?;
    all_go_on(&loads)?;
    api.crash()?;
    let away = Instant::now();
    let trouble = || Ok(in_trouble(&agents[0].ask(&["status"])?["agent"]));
    tests::wait::until_true("the agent misses the server", AWAY, trouble)?;
    agents[0].crash()?;
    agents[0].begin()?;
    while away.elapsed() < AWAY {
        all_go_on(&loads)?;
    }
    api.resume()?;
    api.put_service(&after)?;
    agents.iter().try_for_each(Agent::settled)?;
    all_go_on(&loads)?;
    none_failed(loads)?;
    let cluster = Cluster { agents, api, world };
    cluster.until_status("the agent is content", |agent| {
        !in_trouble(agent) && agent["ready"] == true
    })?;
    cluster.answered_by(cluster_ip(10), &["pod-a-1", "pod-a-2", "pod-a-3"])
}

#[test]
fn connections_outlive_a_server_that_says_nothing_for_a_while() -> Result<()> {
    let world = World::one_node().pods(4).build()?;
    let [before, after] = [&[1, 2][..], &[3]].map(|pods| service(&world, "web", 10, pods));
    let cluster = Cluster::start(world, &[before])?;
    let loads = loads(&cluster.world)?;
    cluster.api.freeze()?;
    (0..5).try_for_each(|_| all_go_on(&loads))?;
    cluster.api.thaw()?;
    none_failed(loads)?;
    cluster.put(&after)?;
    cluster.answered_by(cluster_ip(10), &["pod-a-3"])
}

#[test]
fn what_is_listed_again_and_has_not_changed_is_not_written_again() -> Result<()> {
    let world = World::one_node().pods(3).build()?;
    let services = [service(&world, "web", 10, &[1, 2]), service(&world, "dns", 11, &[1])];
    let mut cluster = Cluster::start(world, &services)?;
    let writes = |cluster: &Cluster| Ok::<_, anyhow::Error>(cluster.status()?["writes"].clone());
    let written = writes(&cluster)?;
    assert_ne!(written, 0);

    cluster.api.crash()?;
    cluster.until_status("the agent misses the server", in_trouble)?;
    cluster.api.resume()?;
    // An open watch is known by what it brings: here news that make no difference.
    let label = json!({ "metadata": { "labels": { "touched": "yes" } } });
    let server_wide = [
        json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "node-a" } }),
        json!({ "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": { "name": "kubernetes" } }),
    ];
    for object in services[0].objects().iter().chain(&server_wide) {
        cluster.api.patch(object, label.clone())?;
    }
    cluster.until_status("the agent has found the server again", |agent| !in_trouble(agent))?;
    cluster.settled()?;
    assert_eq!(writes(&cluster)?, written, "after the server was away");

    cluster.agents.iter_mut().try_for_each(Agent::stop)?;
    cluster.agents.iter_mut().try_for_each(Agent::resume)?;
    assert_eq!(writes(&cluster)?, 0, "after the agent was started again");
    Ok(())
}
