//! A Service's endpoints change as one: no packet sees half a set, under load and at speed.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use proxy_agent::apply::grace::Grace;
use proxy_agent::apply::kernel::Access;
use proxy_agent::apply::maps::ServiceMaps;
use proxy_agent::desired::Changes;
use tests::agent::SocketLb;
use tests::cluster::{Place, World};
use tests::manifests::{Backend, Service};
use tests::peer::{LoadKind, LoadPlan, Open, Opening, Transport, Why, monotonic};
use tests::plan::{Ip, cluster_ip};
use tests::programmed::{Programmed, TARGET, serve_everywhere};
use tests::wait;

use crate::publisher::{Publisher, grace, maps_of, stale_blocks, wanted};

/// How often the sets change places.
const FLIPS: usize = 2000;
/// How many times a second at least.
const RATE: f64 = 200.0;
/// From one flip to the next: a little less than the rate allows.
const PACE: Duration = Duration::from_millis(4);

/// Pods 0 and 1 are clients, 2 and 3 are set 0, 4 and 5 are set 1.
fn service(world: &World, set: usize) -> Service {
    let node = world.node(0);
    let members = node.pods.iter().skip(2 + set * 2).take(2);
    let service = Service::named("web", cluster_ip(10)).ports(80, TARGET);
    members.fold(service, |service, pod| service.backend(Backend::pod(node, pod)))
}

fn set_of(server: &str) -> usize {
    usize::from(["pod-a-4", "pod-a-5"].contains(&server))
}

/// A node on which set 0 is in force and whose agent is dead, and what is wanted for each set.
fn started() -> Result<(Programmed, [Changes; 2])> {
    let world = World::one_node().pods(6).build()?;
    serve_everywhere(&world)?;
    let sets = [0, 1].map(|set| service(&world, set));
    let mut programmed = Programmed::start(world, SocketLb::Auto, &sets[..1])?;
    programmed.settled()?;
    programmed.agents[0].crash()?;
    let wanted_of = |set: &Service| {
        programmed.manifests.put(set)?;
        wanted(programmed.world.node(0))
    };
    let wanted = [wanted_of(&sets[1])?, wanted_of(&sets[0])?];
    let [other, first] = wanted;
    Ok((programmed, [first, other]))
}

/// When each set could have been seen: from the last moment at which it was not yet there to the first at which it was
/// there no more. Set 0 is first, then they alternate.
struct History(Vec<(Duration, Duration)>);

impl History {
    /// Which of the two sets could be chosen between two moments.
    fn current(&self, opening: &Opening) -> [bool; 2] {
        let first = self.0.partition_point(|(_, gone)| *gone < opening.begin);
        let later = self.0.iter().enumerate().skip(first);
        let mut current = [false; 2];
        later
            .take_while(|(_, (came, _))| *came <= opening.end)
            .for_each(|(number, _)| current[number % 2] = true);
        current
    }
}

/// Flips as often as asked for at an even pace, and notes when.
fn flip(publisher: &mut Publisher, sets: &[Changes; 2]) -> Result<(History, Duration)> {
    let (mut came, mut gone) = (vec![Duration::ZERO], Vec::new());
    let begin = Instant::now();
    let mut due = begin;
    for flip in 1..=FLIPS {
        came.push(monotonic()?);
        publisher.publish(&sets[flip % 2])?;
        gone.push(monotonic()?);
        due += PACE;
        // Sets that live no longer than a handshake would allow any answer.
        wait::pace(due);
    }
    let took = begin.elapsed();
    gone.push(Duration::MAX);
    Ok((History(came.into_iter().zip(gone).collect()), took))
}

/// What a load from a place opened. A datagram from a port that was used before belongs to the flow of that time, which
/// keeps its endpoint.
fn news(openings: Vec<Opening>, transport: Transport) -> Vec<Opening> {
    let mut ports = std::collections::BTreeSet::new();
    let known = |opening: &Opening| transport == Transport::Udp && !ports.insert(opening.local);
    let mut known = known;
    openings.into_iter().filter(|opening| !known(opening)).collect()
}

#[test]
fn every_connection_reaches_a_set_that_was_current() -> Result<()> {
    let (mut programmed, sets) = started()?;
    let world = &programmed.world;
    let clients: [&Place; 3] = [world.pod(0, 0), world.pod(0, 1), world.node(0)];
    let mut loads = Vec::new();
    for (client, ip) in clients.into_iter().flat_map(|client| Ip::BOTH.map(|ip| (client, ip))) {
        for transport in [Transport::Tcp, Transport::Udp] {
            let plan = LoadPlan {
                record: true,
                workers: 1,
                ..LoadPlan::short(transport, cluster_ip(10).at(ip, 80))
            };
            loads.push((transport, client.peer()?.load(plan)?));
        }
    }
    let mut publisher = Publisher::adopt(world.node(0), grace()?)?;
    let (history, took) = flip(&mut publisher, &sets)?;
    let (mut opened, mut decided) = (0, 0);
    for (transport, load) in loads {
        let report = load.stop()?;
        ensure!(
            report.failures() == 0,
            "{:?}, the first: {:?}",
            report.failed,
            report.first_failure
        );
        for opening in news(report.openings, transport) {
            let current = history.current(&opening);
            ensure!(
                current[set_of(&opening.server)],
                "{opening:?} over {transport:?} reached a set that was not current"
            );
            opened += 1;
            decided += usize::from(current != [true, true]);
        }
    }
    let rate = f64::from(u32::try_from(FLIPS)?) / took.as_secs_f64();
    let (reused, stale) = (publisher.reused(), stale_blocks(world.node(0))?);
    println!(
        "{FLIPS} flips, {rate:.0} a second; {opened} connections, {decided} of them while one set was current; \
         {reused} blocks used again, {stale} of them under a reader"
    );
    ensure!(rate >= RATE && opened > FLIPS && decided > opened / 4 && reused >= 1000 && stale == 0);
    drop(publisher);
    programmed.agents[0].resume()?;
    programmed.settled()
}

/// One flip word of a service, as a program that is slow has read it, and the sets flipped five times since.
fn slow_reader(grace: Grace) -> Result<(std::result::Result<String, Why>, u64)> {
    let (programmed, sets) = started()?;
    let node = programmed.world.node(0);
    let mut publisher = Publisher::adopt(node, grace)?;
    let mut maps = ServiceMaps::open(&maps_of(node), Access::Write)?;
    let all = 1..maps.service_capacity();
    let old: Vec<_> = all
        .map(|number| (number, maps.flip_word(number)))
        .filter(|(_, word)| word.is_some())
        .collect();
    for turn in 1..=5 {
        publisher.publish(&sets[turn % 2])?;
    }
    for (number, word) in old {
        maps.flip(number, word);
    }
    let how = Open {
        transport: Transport::Tcp,
        to: cluster_ip(10).at(Ip::V4, 80),
        from: None,
        within: wait::PATIENCE,
    };
    let outcome = node.peer()?.try_open(how)?;
    let reached = outcome.map(|connection| connection.opened.server.clone());
    Ok((reached.map_err(|failure| failure.why), stale_blocks(node)?))
}

#[test]
fn a_slow_reader_finds_its_block_whole_until_a_grace_period_is_over() -> Result<()> {
    let (never_over, _hand) = Grace::by_hand();
    let (reached, stale) = slow_reader(never_over)?;
    ensure!(
        stale == 0 && reached.as_ref().is_ok_and(|server| set_of(server) == 0),
        "{reached:?}, {stale}"
    );
    Ok(())
}

#[test]
fn a_slow_reader_whose_block_was_used_again_is_counted_and_gets_no_endpoint() -> Result<()> {
    let (reached, stale) = slow_reader(Grace::unsafely_none())?;
    ensure!(stale == 1 && reached == Err(Why::Unreachable), "{reached:?}, {stale}");
    Ok(())
}

/// Flips without a pause beside sockets that look at the block without a pause, until `enough`.
fn hammer(grace: Grace, enough: impl Fn(&Publisher, u64) -> bool) -> Result<(usize, u64)> {
    let (programmed, sets) = started()?;
    let node = programmed.world.node(0);
    let plan = LoadPlan {
        kind: LoadKind::Dial,
        workers: 2,
        ..LoadPlan::short(Transport::Udp, cluster_ip(10).at(Ip::V4, 80))
    };
    let load = node.peer()?.load(plan)?;
    load.goes_on(1000)?;
    let mut publisher = Publisher::adopt(node, grace)?;
    let mut turn = 0;
    let mut stale = 0;
    wait::until_true("enough flips", Duration::from_secs(40), || {
        for _ in 0..200 {
            turn += 1;
            publisher.publish(&sets[turn % 2])?;
        }
        stale = stale_blocks(node)?;
        Ok(enough(&publisher, stale))
    })?;
    let dialled = load.stop()?.completed;
    println!(
        "{dialled} dials; {turn} flips, {} blocks used again, {stale} of them under a reader",
        publisher.reused()
    );
    Ok((publisher.reused(), stale))
}

#[test]
fn with_grace_periods_no_block_is_used_again_under_a_reader() -> Result<()> {
    let (_, stale) = hammer(grace()?, |publisher, _| publisher.reused() >= 5000)?;
    ensure!(stale == 0, "{stale}");
    Ok(())
}
