//! The agent dies in mid-traffic.

use anyhow::Result;

use super::stage::Stage;
use super::story::Story;
use super::traffic::{WEB_CLUSTER, WEB_NODE_A};
use crate::cluster::Place;
use crate::peer::{Load, LoadPlan, Transport};
use crate::plan::Ip;

/// Exchanges each load must complete before, without, and after the agent.
const ENOUGH: u64 = 500;

/// The chapter: SIGKILL, traffic without an agent, a new agent.
pub(super) fn in_mid_traffic(stage: &mut Stage, story: &mut Story) -> Result<()> {
    story.chapter("The agents are killed with SIGKILL under load, and started again");
    let Stage { world, agents, .. } = stage;
    let (pod, client): (&Place, &Place) = (world.pod(0, 0), &world.client);
    let mut loads = Vec::new();
    for ip in Ip::BOTH {
        for (from, to) in [(pod, WEB_CLUSTER), (client, WEB_NODE_A)] {
            for plan in [
                LoadPlan::short(Transport::Http, to.at(ip)),
                LoadPlan::long(Transport::Http, to.at(ip)),
            ] {
                let name = format!("{:?} HTTP connections from {} to {}", plan.kind, from.label(), plan.to);
                loads.push((name, from.peer()?.load(LoadPlan { workers: 2, ..plan })?));
            }
        }
    }
    all_go_on(&loads)?;
    agents.iter_mut().try_for_each(crate::agent::Agent::crash)?;
    all_go_on(&loads)?;
    story.check(
        true,
        "without an agent, established connections go on and new ones are made",
    );
    agents.iter_mut().try_for_each(crate::agent::Agent::resume)?;
    all_go_on(&loads)?;
    story.check(true, "a new agent takes over");
    for (name, load) in loads {
        let report = load.stop()?;
        report
            .first_failure
            .iter()
            .for_each(|first| story.tell(&format!("the first failure: {first}")));
        let sentence = format!("{name}: {} requests, {} failed", report.completed, report.failures());
        story.check(report.failures() == 0, &sentence);
    }
    Ok(())
}

fn all_go_on(loads: &[(String, Load<'_>)]) -> Result<()> {
    loads.iter().try_for_each(|(_, load)| load.goes_on(ENOUGH))
}
