//! The agent is killed in the midst of a change: at random moments, and at each of the change's writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytemuck::Pod;
use proxy_agent::apply::kernel::Access;
use proxy_agent::apply::map::{Table, TableError, Words};
use proxy_agent::apply::maps::{Dual, ServiceMaps};
use proxy_agent::apply::networks::{NetworkTables, Networks};
use proxy_common::family::{V4, V6};
use proxy_common::frontend::FrontendKey;
use tests::agent::{Agent, SocketLb};
use tests::cluster::{Place, World};
use tests::manifests::{Backend, Folder, Service};
use tests::peer::{Load, LoadPlan, Transport};
use tests::plan::{Ip, cluster_ip};
use tests::programmed::{Programmed, TARGET, serve_everywhere};
use tests::wait;

use crate::publisher::{Publisher, grace, maps_of, wanted};

/// How often the agent is killed; the first for the full figures.
const KILLS: [u64; 2] = [20, 6];
/// From one tried write of a change to the next; the first for the full figures.
const STEP: [u64; 2] = [1, 7];
/// Between two changes of a manifest: less than the agent takes for one, so that a kill meets one nearly always.
const PACE: Duration = Duration::from_millis(10);

fn of(values: [u64; 2]) -> u64 {
    values[usize::from(!crate::figures())]
}

/// Pod 0 is the client; pods 1 and 2 are set 0, pods 3 and 4 are set 1.
fn service(world: &World, set: usize) -> Service {
    let node = world.node(0);
    let members = node.pods.iter().skip(1 + set * 2).take(2);
    let service = Service::named("web", cluster_ip(10)).ports(80, TARGET).node_port(30080);
    members.fold(service, |service, pod| service.backend(Backend::pod(node, pod)))
}

fn started() -> Result<Programmed> {
    let world = World::one_node().pods(5).build()?;
    serve_everywhere(&world)?;
    let service = service(&world, 0);
    let programmed = Programmed::start(world, SocketLb::Auto, &[service])?;
    programmed.settled()?;
    Ok(programmed)
}

fn loads<const N: usize>(world: &World, transports: [Transport; N]) -> Result<Vec<Load<'_>>> {
    let ways: [(&Place, _, _); 3] = [
        (world.pod(0, 0), cluster_ip(10), 80),
        (world.node(0), cluster_ip(10), 80),
        (&world.client, world.node(0).address(), 30080),
    ];
    let mut loads = Vec::new();
    for (place, to, port) in ways {
        for (ip, transport) in Ip::BOTH
            .into_iter()
            .flat_map(|ip| transports.map(|transport| (ip, transport)))
        {
            let plan = LoadPlan::short(transport, to.at(ip, port));
            loads.push(place.peer()?.load(LoadPlan { workers: 1, ..plan })?);
        }
    }
    Ok(loads)
}

fn none_failed(loads: Vec<Load<'_>>, agent: &Agent, what: &str) -> Result<()> {
    let mut completed = 0;
    for load in loads {
        let report = load.stop()?;
        ensure!(report.failures() == 0, "{report:?}\n{}", agent.say(&["status"])?);
        completed += report.completed;
    }
    println!("{what}; {completed} exchanges, 0 failed");
    Ok(())
}

/// Changes the Service back and forth until told to stop.
fn keep_changing(manifests: &Folder, sets: &[Service; 2], stop: &AtomicBool) -> Result<usize> {
    let mut changes = 0;
    while !stop.load(Ordering::Relaxed) {
        changes += 1;
        manifests.put(&sets[changes % 2])?;
        wait::pace(Instant::now() + PACE);
    }
    Ok(changes)
}

#[test]
fn kills_at_any_moment_of_a_change_break_nothing() -> Result<()> {
    let Programmed {
        mut agents,
        manifests,
        world,
    } = started()?;
    let sets = [0, 1].map(|set| service(&world, set));
    let loads = loads(&world, [Transport::Tcp, Transport::Udp])?;
    let stop = AtomicBool::new(false);
    let changes = thread::scope(|scope| {
        let changing = scope.spawn(|| keep_changing(&manifests, &sets, &stop));
        let killing = kills(&mut agents[0], &loads);
        stop.store(true, Ordering::Relaxed);
        killing?;
        changing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    agents[0].resume()?;
    agents[0].settled()?;
    none_failed(loads, &agents[0], &format!("{} kills, {changes} changes", of(KILLS)))
}

/// Every other kill meets an agent that has only just begun. How many exchanges pass before a kill is a fixed sequence
/// that looks like none (Knuth's multiplicative hash).
fn kills(agent: &mut Agent, loads: &[Load<'_>]) -> Result<()> {
    for kill in 0..of(KILLS) {
        if agent.process().is_some() {
            agent.crash()?;
        }
        loads.iter().try_for_each(|load| load.goes_on(1))?;
        if kill % 2 == 0 {
            agent.resume()?;
        } else {
            agent.begin()?;
        }
        let chance = (kill + 1).wrapping_mul(2_654_435_761) >> 16;
        loads[0].goes_on(1 + chance % 50)?;
    }
    agent.crash()
}

#[test]
fn a_restart_without_a_change_writes_nothing() -> Result<()> {
    let mut programmed = started()?;
    for _ in 0..3 {
        programmed.agents[0].crash()?;
        programmed.agents[0].resume()?;
        programmed.settled()?;
        let metrics = programmed
            .world
            .node(0)
            .tool("curl", &["-sS", "http://127.0.0.1:10249/metrics"])?;
        let writes = metrics
            .lines()
            .find_map(|line| line.strip_prefix("fairlead_map_writes_total "))
            .with_context(|| metrics.clone())?;
        ensure!(writes == "0", "{writes} writes");
    }
    Ok(())
}

/// How many more writes reach the kernel: what comes later is lost, as it is when the writer is killed.
#[derive(Clone)]
struct Power(Arc<AtomicU64>);

impl Power {
    fn for_writes(count: u64) -> Self {
        Self(Arc::new(AtomicU64::new(count)))
    }

    fn spend(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }
}

/// A map whose writes may get lost.
struct Dying<M: ?Sized> {
    map: Box<M>,
    power: Power,
}

impl<K: Send, V: Send> Table<K, V> for Dying<dyn Table<K, V>> {
    fn get(&self, key: &K) -> Result<Option<V>, TableError> {
        self.map.get(key)
    }

    fn put(&mut self, key: &K, value: &V) -> Result<(), TableError> {
        if self.power.spend() {
            self.map.put(key, value)
        } else {
            Ok(())
        }
    }

    fn remove(&mut self, key: &K) -> Result<(), TableError> {
        if self.power.spend() {
            self.map.remove(key)
        } else {
            Ok(())
        }
    }

    fn entries(&self) -> Result<Vec<(K, V)>, TableError> {
        self.map.entries()
    }
}

impl Words for Dying<dyn Words> {
    fn len(&self) -> usize {
        self.map.len()
    }

    fn load(&self, index: usize) -> u64 {
        self.map.load(index)
    }

    fn store(&mut self, index: usize, value: u64) {
        if self.power.spend() {
            self.map.store(index, value);
        }
    }
}

fn table<K: Send + 'static, V: Send + 'static>(map: Box<dyn Table<K, V>>, power: &Power) -> Box<dyn Table<K, V>> {
    let power = power.clone();
    Box::new(Dying { map, power })
}

fn networks(networks: Networks, power: &Power) -> Result<Networks> {
    let tables = networks.into_tables();
    Ok(Networks::adopt(NetworkTables {
        v4: table(tables.v4, power),
        v6: table(tables.v6, power),
    })?)
}

/// The maps of a writer that is killed when its power is spent.
fn dying(maps: ServiceMaps, power: &Power) -> Result<ServiceMaps> {
    fn dual<V: Pod + Send>(maps: Dual<V>, power: &Power) -> Dual<V> {
        Dual {
            v4: table::<FrontendKey<V4>, V>(maps.v4, power),
            v6: table::<FrontendKey<V6>, V>(maps.v6, power),
        }
    }
    let words = |map: Box<dyn Words>| -> Box<dyn Words> {
        let power = power.clone();
        Box::new(Dying { map, power })
    };
    Ok(ServiceMaps {
        frontends: dual(maps.frontends, power),
        targets: dual(maps.targets, power),
        networks: networks(maps.networks, power)?,
        services: words(maps.services),
        endpoints: words(maps.endpoints),
        state: words(maps.state),
        service_names: table(maps.service_names, power),
        endpoint_names: table(maps.endpoint_names, power),
        writes: 0,
    })
}

#[test]
fn each_write_of_a_change_may_be_the_last_one() -> Result<()> {
    let mut programmed = started()?;
    programmed.agents[0].crash()?;
    let world = &programmed.world;
    let node = world.node(0);
    let mut sets = Vec::new();
    for set in [1, 0] {
        programmed.manifests.put(&service(world, set))?;
        sets.push(wanted(node)?);
    }
    let loads = loads(world, [Transport::Tcp])?;
    let mut deaths = 0;
    loop {
        let power = Power::for_writes(deaths);
        let maps = ServiceMaps::open(&maps_of(node), Access::Write)?;
        let mut killed = Publisher::over(dying(maps, &power)?, grace()?)?;
        killed.publish(&sets[0])?;
        killed.settle()?;
        let survived = power.spend();
        drop(killed);
        // The next one finds what the killed one has left, and finishes its work; a third one takes it back.
        let mut next = Publisher::adopt(node, grace()?)?;
        next.publish(&sets[0])?;
        next.settle()?;
        next.publish(&sets[1])?;
        next.settle()?;
        if survived {
            break;
        }
        deaths += of(STEP);
    }
    ensure!(deaths > 50, "a change has but {deaths} writes");
    loads.iter().try_for_each(|load| load.goes_on(1))?;
    none_failed(
        loads,
        &programmed.agents[0],
        &format!(
            "killed at each of {deaths} writes of a change, by steps of {}",
            of(STEP)
        ),
    )?;
    programmed.agents[0].resume()?;
    programmed.settled()
}
