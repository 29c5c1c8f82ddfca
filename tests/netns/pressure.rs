//! Maps without room: what is in force stays in force, the error is told, and the rest works.

use anyhow::{Result, ensure};
use proxy_agent::apply::ApplyError;
use proxy_agent::apply::grace::Grace;
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::World;
use tests::manifests::{Backend, Service};
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip};
use tests::programmed::{Programmed, TARGET, serve_everywhere, spreads_over};
use tests::wait;

use crate::publisher::{Publisher, wanted};

/// A Service with the pods of one node from number `first` to before `end`.
fn service(world: &World, name: &str, number: u8, pods: std::ops::Range<usize>) -> Service {
    let node = world.node(0);
    let service = Service::named(name, cluster_ip(number)).ports(80, TARGET);
    let members = node.pods[pods].iter();
    members.fold(service, |service, pod| service.backend(Backend::pod(node, pod)))
}

/// A node with four pods whose agent was given these flags, and a Service `first` with pods 1 and 2.
fn started(flags: &[&str]) -> Result<Programmed> {
    let world = World::one_node().pods(4).build()?;
    serve_everywhere(&world)?;
    let first = service(&world, "first", 10, 1..3);
    let programmed = Programmed::start_with(world, SocketLb::Auto, &[first], flags)?;
    programmed.settled()?;
    Ok(programmed)
}

/// The Service with that number answers from exactly these pods, to a pod and to the node.
fn answers(programmed: &Programmed, number: u8, servers: &[&str]) -> Result<()> {
    let world = &programmed.world;
    for ip in Ip::BOTH {
        let to = cluster_ip(number).at(ip, 80);
        spreads_over(servers, world.pod(0, 0), Transport::Tcp, to, |_| Ok(()))?;
        spreads_over(servers, world.node(0), Transport::Udp, to, |_| Ok(()))?;
    }
    Ok(())
}

/// Waits until `status` says that something about this map fails.
fn says_full(programmed: &Programmed, map: &str) -> Result<()> {
    wait::until_true(&format!("status names {map}"), wait::PATIENCE, || {
        let status = programmed.agents[0].ask(&["status"])?;
        let failures = status["agent"]["failures"].to_string();
        ensure!(failures.contains(map), "{failures}");
        Ok(status["ready"] == false)
    })
}

/// Each Service has four service ports and two addresses in each family; so many of them are more than 16 of anything.
#[rstest]
#[case::addresses("--max-frontends=16", "FRONTENDS_V", 9)]
#[case::services("--max-services=16", "SERVICES", 5)]
#[case::endpoints("--max-endpoints=16", "STATE", 5)]
fn a_full_map_keeps_what_is_in_force_and_says_so(
    #[case] flag: &str,
    #[case] map: &str,
    #[case] too_many: u8,
) -> Result<()> {
    let programmed = started(&[flag])?;
    let world = &programmed.world;
    let more: Vec<Service> = (1..too_many)
        .map(|number| service(world, &format!("more-{number}"), 10 + number, 1..2))
        .collect();
    more.iter().try_for_each(|service| programmed.manifests.put(service))?;
    says_full(&programmed, map)?;
    answers(&programmed, 10, &["pod-a-1", "pod-a-2"])?;
    answers(&programmed, 11, &["pod-a-1"])?;
    // Room comes, and what waited for it gets it.
    more.iter()
        .try_for_each(|service| programmed.manifests.delete(&service.name))?;
    programmed.put(&service(world, "last", 40, 3..4))?;
    answers(&programmed, 40, &["pod-a-3"])?;
    answers(&programmed, 10, &["pod-a-1", "pod-a-2"])
}

#[test]
fn a_set_that_finds_no_room_leaves_the_old_one_in_force() -> Result<()> {
    let programmed = started(&["--max-endpoints=16"])?;
    let world = &programmed.world;
    // Eight endpoints are taken by `first`, four by `second`; the new set of `first` wants eight besides its own.
    programmed.put(&service(world, "second", 11, 1..2))?;
    let mut wider = service(world, "first", 10, 1..4);
    wider.backends.push(Backend::pod(world.node(0), world.pod(0, 0)));
    programmed.manifests.put(&wider)?;
    says_full(&programmed, "STATE")?;
    let answered = tests::programmed::spread(world.pod(0, 0), Transport::Tcp, cluster_ip(10).at(Ip::V4, 80), |_| {
        Ok(())
    })?;
    let of_old = answered.keys().eq(["pod-a-1", "pod-a-2"]);
    let of_new = answered.len() == 4;
    ensure!(of_old || of_new, "neither the old set nor the new one: {answered:?}");
    answers(&programmed, 11, &["pod-a-1"])?;
    programmed.manifests.delete("second")?;
    programmed.put(&service(world, "first", 10, 1..3))?;
    answers(&programmed, 10, &["pod-a-1", "pod-a-2"])
}

#[test]
fn a_full_arena_keeps_the_last_set_that_found_room() -> Result<()> {
    // 17 service numbers and as many endpoint numbers, and twice as many cells for the blocks.
    let mut programmed = started(&["--max-services=16", "--max-endpoints=16"])?;
    programmed.agents[0].crash()?;
    let node = programmed.world.node(0);
    programmed
        .manifests
        .put(&service(&programmed.world, "first", 10, 2..3))?;
    let narrow = wanted(node)?;
    programmed
        .manifests
        .put(&service(&programmed.world, "first", 10, 1..3))?;
    let wide = wanted(node)?;
    // Nothing is given up while no grace period ends.
    let (grace, hand) = Grace::by_hand();
    let mut publisher = Publisher::adopt(node, grace)?;
    let full = [&narrow, &wide].into_iter().cycle().take(100).find_map(|changes| {
        let failures = publisher.try_publish(changes);
        (!failures.is_empty()).then_some(failures)
    });
    let full = full.unwrap_or_default();
    let arena = |error: &ApplyError| matches!(error, ApplyError::Arena { .. });
    ensure!(!full.is_empty() && full.iter().all(arena), "{full:?}");
    for (ip, transport) in Ip::BOTH
        .into_iter()
        .flat_map(|ip| [(ip, Transport::Tcp), (ip, Transport::Udp)])
    {
        let to = cluster_ip(10).at(ip, 80);
        let answered = tests::programmed::spread(programmed.world.pod(0, 0), transport, to, |_| Ok(()))?;
        let whole = answered.keys().eq(["pod-a-2"]) || answered.keys().eq(["pod-a-1", "pod-a-2"]);
        ensure!(whole, "{answered:?}");
    }
    for changes in [&narrow, &wide] {
        hand.pass();
        publisher.settle()?;
        publisher.publish(changes)?;
    }
    drop(publisher);
    programmed.agents[0].resume()?;
    programmed.settled()?;
    answers(&programmed, 10, &["pod-a-1", "pod-a-2"])
}
