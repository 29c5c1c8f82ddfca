//! What an agent does, and what it has in the kernel, where one was shown to be worse: taken after everybody's measurement.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};

use anyhow::{Context, Result, bail};
use aya::maps::MapData;
use proxy_agent::datapath::Pins;

use super::follow::{self, LAST_CASE};
use super::{COLD_START, answers, begun, everything_answers};
use crate::apiserver::ApiServer;
use crate::bench::objects::Objects;
use crate::bench::profile::{self, Recording};
use crate::bench::shelf::Shelf;
use crate::bench::stand::{Stand, StandPlan};
use crate::measure::profile::{Map, Profile};
use crate::measure::results::Subject;

/// Changes that are looked at: one takes kube-proxy seconds where there are many Services.
const CHANGES: usize = 10;

/// The path of every subject that is an agent's.
pub(super) const PATH: &str = "agent of one node";

/// Whether a subject is of an agent in a block of these objects.
pub(in crate::bench) fn is_of_agent(subject: &Subject, objects: Objects) -> bool {
    let same = (subject.services as usize, subject.endpoints as usize) == (objects.services, objects.endpoints);
    subject.path == PATH && same
}

/// Does again what a subject measured, of one agent, and looks at the processors meanwhile.
///
/// # Errors
/// When the agent does not get ready or does not follow, or the processors cannot be sampled.
pub(in crate::bench) fn profile(plan: StandPlan, subject: &Subject, shelf: &Shelf) -> Result<Profile> {
    let done = match &subject.case[..] {
        COLD_START => started(plan, &shelf.api(plan.objects)?)?,
        super::CREATE => created(plan)?,
        super::CHANGE | LAST_CASE => followed(plan, &shelf.api(plan.objects)?, subject.case == LAST_CASE)?,
        other => bail!("{other} is no case of an agent"),
    };
    Ok(Profile {
        subject: subject.clone(),
        peer: plan.peer.name().to_owned(),
        of: done.of.to_owned(),
        programs: Vec::new(),
        maps: maps(&done.stand)?,
        processors: Some(profile::of_agent(done.recording, done.amount)?),
    })
}

/// What was done while the processors were looked at, and how much of it.
struct Done {
    stand: Stand,
    of: &'static str,
    amount: f64,
    recording: Recording,
}

fn started(plan: StandPlan, api: &ApiServer) -> Result<Done> {
    let mut stand = Stand::without_agents(plan, api)?;
    let recording = profile::record(&stand)?;
    stand.begin_here(api)?;
    answers(&stand, 0)?;
    everything_answers(&stand, plan.objects)?;
    stand.complete()?;
    Ok(Done {
        stand,
        of: "starts",
        amount: 1.0,
        recording,
    })
}

fn created(plan: StandPlan) -> Result<Done> {
    let few = Objects {
        services: 2,
        ..plan.objects
    };
    let api = ApiServer::shared()?;
    few.create(&api, 0)?;
    let mut stand = Stand::without_agents(StandPlan { objects: few, ..plan }, &api)?;
    stand.begin_here(&api)?;
    stand.complete()?;
    let recording = profile::record(&stand)?;
    plan.objects.create(&api, few.count())?;
    everything_answers(&stand, plan.objects)?;
    Ok(Done {
        stand,
        of: "Services",
        amount: (plan.objects.count() - few.count()) as f64,
        recording,
    })
}

fn followed(plan: StandPlan, api: &ApiServer, is_busy: bool) -> Result<Done> {
    let stand = begun(plan, api)?;
    let recording = profile::record(&stand)?;
    let times = if is_busy {
        follow::while_others_change(&stand, api, CHANGES)?
    } else {
        follow::while_others_idle(&stand, api, CHANGES)?
    };
    Ok(Done {
        stand,
        of: "changes",
        // One comes before the first that is timed.
        amount: times.len() as f64 + 1.0,
        recording,
    })
}

/// The maps that are pinned on the agent's node, the largest first, by the kernel's account of each.
fn maps(stand: &Stand) -> Result<Vec<Map>> {
    let folder = Pins::new(&stand.node().state_dir()).maps();
    let Ok(pins) = fs::read_dir(&folder) else {
        // Another proxy.
        return Ok(Vec::new());
    };
    let mut maps = Vec::new();
    for pin in pins {
        let path = pin?.path();
        let map = MapData::from_pin(&path).with_context(|| path.display().to_string())?;
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd()))?;
        let bytes = info.lines().find_map(|line| line.strip_prefix("memlock:"));
        let bytes: f64 = bytes.context("/proc/self/fdinfo: no memlock")?.trim().parse()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        maps.push(Map { name, bytes });
    }
    maps.sort_by(|a, b| b.bytes.total_cmp(&a.bytes));
    Ok(maps)
}
