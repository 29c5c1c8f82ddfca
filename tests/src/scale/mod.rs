//! An agent and many Services: how long it takes, how soon it follows, how much memory it needs.

pub(crate) mod objects;
mod maps;
mod figures;
mod meter;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use proxy_agent::health::{self, Report};
use serde_json::json;

use crate::agent::{Agent, SocketLb};
use crate::apiserver::ApiServer;
use crate::cluster::{Place, World};
use crate::wait;
use maps::Maps;
use meter::Following;

pub use figures::{Figures, Percentiles};

/// How long the agent may take until everything is programmed.
const COMPLETE: Duration = Duration::from_secs(120);
/// How long a change may take.
const CHANGE: Duration = Duration::from_secs(10);

/// How much there is to do.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Services, of IPv4, with one port each.
    pub services: usize,
    /// Endpoints of each.
    pub endpoints: usize,
    /// Changes to measure, each of one Service's endpoints.
    pub changes: usize,
}

/// Fills an API server, starts an agent, changes endpoints one at a time, starts the agent again, and measures.
///
/// # Errors
/// When a part cannot be started, or a change does not reach the maps.
pub fn measure(scale: Scale) -> Result<Figures> {
    let world = World::one_node().pods(1).build()?;
    let api = ApiServer::start(&world)?;
    let begin = Instant::now();
    api.create_all((0..scale.services).flat_map(|n| objects::service(n, scale.endpoints)))?;
    let filling = begin.elapsed();

    let node = world.node(0);
    let mut agent = Agent::of(node, SocketLb::Auto, &[]).following(api.kubeconfig());
    let first_start = start(&mut agent, node)?;
    let (pid, state) = (agent.process().context("the agent runs")?.id(), node.state_dir());
    let after_start = meter::memory(pid)?;
    let maps = Maps::open(&state)?;
    ensure!(maps.services()? >= scale.services, "services are missing from the maps");

    let before = Following::read(node)?;
    let mut changes = Vec::with_capacity(scale.changes);
    for round in 0..scale.changes {
        changes.push(change(&api, &maps, scale, round).with_context(|| format!("change {round}"))?);
    }
    // The maps show a change before the agent has counted it, and what it has made superfluous.
    let following = wait::until("the agent has counted every change", CHANGE, || {
        let following = Following::read(node)?.since(&before);
        Ok((following.count() >= scale.changes as u64).then_some(following))
    })?;
    let memory = meter::memory(pid)?;
    let map_memory = meter::map_memory(pid)?;
    meter::settled(node, COMPLETE)?;
    agent.stop()?;
    let second_start = start(&mut agent, node)?;
    let last_report = wait::until("a report", CHANGE, || report(&agent, node))?;
    Ok(Figures {
        scale,
        filling,
        first_start,
        second_start,
        written_by_second_start: last_report.writes,
        event_to_maps: following.percentiles()?,
        request_to_maps: Percentiles::of(changes.iter().map(|change| change.from_request)),
        answer_to_maps: Percentiles::of(changes.iter().map(|change| change.from_answer)),
        after_start,
        memory,
        map_memory,
    })
}

/// Starts the agent; returns how long it took until everything was in the maps.
fn start(agent: &mut Agent, node: &Place) -> Result<Duration> {
    let begin = Instant::now();
    agent.begin()?;
    wait::until("everything is programmed", COMPLETE, || {
        Ok(report(agent, node)?.and_then(|report| report.complete))
    })
    .with_context(|| agent.log())?;
    Ok(begin.elapsed())
}

/// What the agent says of itself. Its socket is one of the node's network namespace.
fn report(agent: &Agent, node: &Place) -> Result<Option<Report>> {
    node.netns().run(|| health::ask(agent.state()))
}

/// How long a change took until it was visible in the maps.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// Since the request was sent.
    from_request: Duration,
    /// Since the server answered it, which it does when the watchers are told, or a moment before or after.
    from_answer: Duration,
}

/// Gives one Service other endpoints.
fn change(api: &ApiServer, maps: &Maps, scale: Scale, round: usize) -> Result<Change> {
    // A step that is no divisor of any round number: neighbours in time are no neighbours in the lists.
    let service = (round * 7919) % scale.services;
    let slice = objects::slice(service, scale.endpoints, round + 1);
    let published = maps.published(service)?;
    let begin = Instant::now();
    thread::scope(|scope| {
        let request = scope.spawn(|| {
            api.patch(&slice, json!({ "endpoints": slice["endpoints"] }))?;
            Ok::<_, anyhow::Error>(Instant::now())
        });
        let seen = wait::closely("the maps have changed", CHANGE, || {
            maps.has_changed(published).then(Instant::now)
        })?;
        let answered = request
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(Change {
            from_request: seen - begin,
            from_answer: seen.saturating_duration_since(answered),
        })
    })
}
