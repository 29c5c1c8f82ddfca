//! The control plane: how soon an agent has programmed what there is, how soon it follows, and what it takes for that.
//!
//! One agent at a time, on the client's node alone; each has an API server of its own with the same objects.

mod follow;
mod profiled;
mod spent;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::objects::{Objects, Use};
use super::peer::Peer;
use super::plan::Options;
use super::shelf::Shelf;
use super::stand::{Stand, StandPlan};
use crate::apiserver::ApiServer;
use crate::measure::results::{Metric, Results, Subject};
use crate::peer::{Open, Transport};
use crate::plan::Ip;
use crate::wait;
use follow::LAST_CASE;
pub(super) use profiled::{is_of_agent, profile};
use spent::Spent;

/// How long an agent may take for everything: kube-proxy in mode iptables takes minutes for many Services.
const COMPLETE: Duration = Duration::from_secs(1200);
/// Services that are created one by one, at most: for three times as many the server needs nine times as long.
const CREATED_AT_MOST: usize = 10_000;
/// Cold starts of each agent.
pub(super) const STARTS: u32 = 3;
/// No further one is begun after this.
pub(super) const STARTED: Duration = Duration::from_secs(120);
const COLD_START: &str = "cold-start";
const CREATE: &str = "create";
const CHANGE: &str = "change";
/// How long one attempt to reach a Service may take.
const ATTEMPT: Duration = Duration::from_millis(100);
/// Services that are tried for the whole list, from its begin to its end.
const TRIED: usize = 20;

/// Measures what a run does not have yet of one peer's agent with a plan's objects, and adds it.
///
/// # Errors
/// When the agent does not get ready, or does not follow.
pub(super) fn measure(plan: StandPlan, shelf: &Shelf, options: &Options, results: &mut Results) -> Result<()> {
    let objects = plan.objects;
    let missing: Vec<&str> = cases(objects, options)
        .filter(|case| !is_there(case, plan.peer, objects, results))
        .collect();
    let mut sheet = Sheet {
        plan,
        host: plan.host.title(),
        results,
    };
    let mut api = None;
    if missing.contains(&CREATE) {
        api = Some(created(plan, &mut sheet)?);
    }
    let api = api.map_or_else(|| shelf.api(objects), Ok)?;
    let stand = if missing.contains(&COLD_START) {
        started(&api, &mut sheet)?
    } else {
        begun(plan, &api)?
    };
    if missing.contains(&LAST_CASE) {
        follow::changes(&stand, &api, options, &mut sheet)?;
    }
    Ok(())
}

/// Whether a run has all of this already.
pub(super) fn is_measured(peer: Peer, objects: Objects, options: &Options, results: &Results) -> bool {
    cases(objects, options).all(|case| is_there(case, peer, objects, results))
}

/// What is measured of an agent with these objects. Changes alone and beside others are measured together.
fn cases(objects: Objects, options: &Options) -> impl Iterator<Item = &'static str> {
    let follows = u32::try_from(objects.services).is_ok_and(|services| options.follows(services));
    let create = (objects.services <= CREATED_AT_MOST).then_some(CREATE);
    let follow = follows.then_some(LAST_CASE);
    create.into_iter().chain([COLD_START]).chain(follow)
}

fn is_there(case: &str, peer: Peer, objects: Objects, results: &Results) -> bool {
    results.series.iter().any(|series| {
        let is_it = series.subject.case == case && is_of_agent(&series.subject, objects);
        is_it && !series.samples(peer.name()).is_empty()
    })
}

/// Where the values of one peer go.
struct Sheet<'a> {
    plan: StandPlan,
    host: &'static str,
    results: &'a mut Results,
}

impl Sheet<'_> {
    fn add(&mut self, case: &str, name: &str, unit: &str, value: f64) {
        let objects = self.plan.objects;
        let subject = Subject {
            case: case.to_owned(),
            path: profiled::PATH.to_owned(),
            family: String::new(),
            host: self.host.to_owned(),
            services: u32::try_from(objects.services).unwrap_or(u32::MAX),
            endpoints: u32::try_from(objects.endpoints).unwrap_or(u32::MAX),
            flows: 0,
            position: String::new(),
        };
        let metric = Metric::lower(name, unit);
        self.results.add(&subject, &metric, self.plan.peer.name(), value);
    }

    fn add_spent(&mut self, case: &str, spent: &Spent) {
        self.add(case, "processor", "s", spent.processor);
        self.add(case, "agent's memory, highest", "MB", spent.memory);
        self.add(case, "kernel's memory", "MB", spent.kernel);
    }
}

/// Services are created as fast as the server takes them, while the agent runs: until the last one answers. The server has
/// all of them then.
fn created(plan: StandPlan, sheet: &mut Sheet<'_>) -> Result<ApiServer> {
    let all = plan.objects;
    let few = Objects { services: 2, ..all };
    let api = ApiServer::shared()?;
    few.create(&api, 0)?;
    let mut stand = Stand::without_agents(StandPlan { objects: few, ..plan }, &api)?;
    let before = Spent::kernel()?;
    stand.begin_here(&api)?;
    stand.complete()?;
    let begin = Instant::now();
    all.create(&api, few.count())?;
    let created = begin.elapsed();
    everything_answers(&stand, all)?;
    let followed = begin.elapsed();
    sheet.add(CREATE, "the server's time", "s", created.as_secs_f64());
    sheet.add(CREATE, "until all answer", "s", followed.as_secs_f64());
    sheet.add_spent(CREATE, &Spent::by(&stand, before)?);
    Ok(api)
}

/// The agent starts where everything is there already, several times on a new node; the last one goes on.
fn started(api: &ApiServer, sheet: &mut Sheet<'_>) -> Result<Stand> {
    let begin = Instant::now();
    let mut stand = start(api, sheet)?;
    for _ in 1..STARTS {
        if begin.elapsed() < STARTED {
            // Before the next one, so that no two have the machine.
            drop(stand);
            stand = start(api, sheet)?;
        }
    }
    Ok(stand)
}

/// An agent that has programmed what there is.
fn begun(plan: StandPlan, api: &ApiServer) -> Result<Stand> {
    let mut stand = Stand::without_agents(plan, api)?;
    stand.begin_here(api)?;
    stand.complete()?;
    Ok(stand)
}

fn start(api: &ApiServer, sheet: &mut Sheet<'_>) -> Result<Stand> {
    let mut stand = Stand::without_agents(sheet.plan, api)?;
    let before = Spent::kernel()?;
    let begin = Instant::now();
    stand.begin_here(api)?;
    answers(&stand, 0)?;
    sheet.add(COLD_START, "first answer", "s", begin.elapsed().as_secs_f64());
    everything_answers(&stand, sheet.plan.objects)?;
    sheet.add(COLD_START, "all answer", "s", begin.elapsed().as_secs_f64());
    stand.complete()?;
    sheet.add_spent(COLD_START, &Spent::by(&stand, before)?);
    Ok(stand)
}

/// Waits until Service `n` answers the client over IPv4, as HTTP.
fn answers(stand: &Stand, n: usize) -> Result<()> {
    let how = Open {
        transport: Transport::Http,
        to: stand.target(n, Use::Http, Ip::V4),
        from: None,
        within: ATTEMPT,
    };
    let peer = stand.client().peer()?;
    wait::until(&format!("service {n} answers"), COMPLETE, || {
        let opened = peer.try_open(how.clone())?;
        opened.map(|_| Some(())).context("no answer")
    })
}

/// Services of the whole list answer, the last one among them.
fn everything_answers(stand: &Stand, objects: Objects) -> Result<()> {
    let count = objects.count();
    (1..=TRIED).try_for_each(|part| answers(stand, (count * part / TRIED).max(1) - 1))
}

/// Whether a peer has an agent to measure here: modes that differ in the data path alone have the same one.
pub(super) fn has_own_agent(peer: Peer) -> bool {
    match peer {
        Peer::IptablesNft | Peer::IptablesLegacy | Peer::Nftables | Peer::Ipvs | Peer::Fairlead => true,
        Peer::Direct | Peer::Control | Peer::FairleadStack | Peer::FairleadSocket => false,
    }
}
