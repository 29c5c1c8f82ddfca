//! Packets by test-run: every case at every number of Services, round by round.

use std::fmt;

use anyhow::{Context as _, Result, ensure};
use proxy_common::{
    family::{V4, V6},
    node::Hook,
    reason::Reason,
};
use proxy_ebpf::testing::who::TestFamily;

use super::{
    cases::{self, Case},
    counters::{self, Counted},
    figures::{Cost, Name, PacketFigures, median},
    restore::{Restored, Restoring},
    stage::Stage,
    timer,
    yardstick::Yardstick,
};
use crate::kernel::place;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often each packet is sent in one round.
    pub runs: u32,
    /// Rounds; one more goes before, uncounted.
    pub rounds: u32,
    /// How many Services there are; each number is measured.
    pub services: Vec<u32>,
    /// How many times smaller than an agent's the maps are.
    pub smaller: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            runs: 20_000,
            rounds: 11,
            services: vec![0, super::stage::OWN, 30_000],
            smaller: 1,
        }
    }
}

/// Flow records that the first packets of all rounds together may take, and source ports that each case may.
const NEW_FLOWS: u32 = 100_000;
/// Cases of one family that open flows.
const OPENING_CASES: u32 = 5;
/// Refusals that one processor sends in a second are limited: to a thousand.
const REFUSALS: u32 = 900;

/// One case with its programs.
struct Probe {
    name: Name,
    hook: Hook,
    reason: Reason,
    restoring: Restoring,
    runs: u32,
    /// Whose counters count it.
    stage: usize,
    services: u32,
    samples: Vec<f64>,
}

/// Measures every case. Each must have taken the way that it is named for: its packets are counted under its reason, all
/// of them and no others.
///
/// # Errors
/// When a program cannot be loaded, or a packet has taken another way.
pub fn measure(plan: &Plan) -> Result<PacketFigures> {
    place::node()?.run(|| {
        timer::stay_on_one_processor()?;
        rounds(plan)
    })?
}

fn rounds(plan: &Plan) -> Result<PacketFigures> {
    let (mut stages, mut probes) = (Vec::new(), Vec::new());
    for services in &plan.services {
        prepare::<V4>(plan, *services, &mut stages, &mut probes)?;
        prepare::<V6>(plan, *services, &mut stages, &mut probes)?;
    }
    let yardstick = Yardstick::load()?;
    let mut look_up = Vec::new();
    for round in 0..=plan.rounds {
        let measured = yardstick.time(plan.runs)?;
        if round > 0 {
            look_up.push(measured);
        }
        for probe in &mut probes {
            let cost = probe.sample(&stages[probe.stage])?;
            if round > 0 {
                probe.samples.push(cost);
            }
        }
    }
    let look_up = median(&mut look_up);
    let costs = probes.iter_mut().map(|probe| Cost {
        name: probe.name.clone(),
        services: probe.services,
        nanoseconds: median(&mut probe.samples),
        multiple: median(&mut probe.samples) / look_up,
        packets: u64::from(probe.runs) * u64::from(plan.rounds + 1),
    });
    Ok(PacketFigures {
        look_up,
        rounds: plan.rounds,
        costs: costs.collect(),
    })
}

fn prepare<F: TestFamily>(plan: &Plan, services: u32, stages: &mut Vec<Stage>, probes: &mut Vec<Probe>) -> Result<()> {
    let mut stage =
        Stage::load::<F>(services, plan.smaller).with_context(|| format!("{} with {services} Services", F::NAME))?;
    for case in cases::of::<F>(&mut stage, services > 0)? {
        let name = case.name_in::<F>();
        let program = stage.programs.program(&name.hook);
        let restoring = Restoring::load(program, case.interface, &case.packet, case.restored);
        probes.push(Probe {
            restoring: restoring.with_context(|| name.to_string())?,
            name,
            hook: case.hook,
            reason: case.reason,
            runs: runs(plan, &case),
            stage: stages.len(),
            services,
            samples: Vec::new(),
        });
    }
    stages.push(stage);
    Ok(())
}

/// How often a case is sent in one round: where each packet leaves something behind, no more than there is room for.
fn runs(plan: &Plan, case: &Case) -> u32 {
    match case.restored {
        Restored::Bytes => plan.runs,
        Restored::NewFlow(_) => plan
            .runs
            .min(NEW_FLOWS / plan.smaller / OPENING_CASES / (plan.rounds + 1))
            .max(1),
        Restored::Length(_) => plan.runs.min(REFUSALS),
    }
}

impl Probe {
    fn sample(&self, stage: &Stage) -> Result<f64> {
        stage.allow_refusals();
        let before = stage.counted(self.hook)?;
        let cost = self.restoring.time(self.runs).with_context(|| self.to_string())?;
        let moved = counters::since(&before, &stage.counted(self.hook)?);
        ensure!(
            moved == Counted::from([(self.reason, u64::from(self.runs))]),
            "{self}: {} packets were counted as {moved:?}, not as {:?}",
            self.runs,
            self.reason
        );
        Ok(cost)
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} Services", self.name, self.services)
    }
}
