//! Real sockets of pods on one bridge, and what the kernel says of the programs meanwhile (`BPF_ENABLE_STATS`).
//!
//! A program's statistics do not tell packets apart: an average is over all that met the hook, requests and replies. The
//! kernel reads the clock before and after each run, which counts as part of it; an empty program behind ours, which the
//! same packets meet, tells how much that is, and is taken off.

mod scene;

use std::thread;

use anyhow::{Context as _, Result, ensure};
use aya::sys::{Stats, enable_stats};
use proxy_common::{node::Hook, reason::Reason};

use super::{
    counters::{self, Counted},
    figures::{Name, TrafficCost, TrafficFigures, median},
    timer,
    yardstick::Yardstick,
};
use crate::{
    peer::{LoadKind, LoadPlan, Transport},
    plan::Ip,
};
use scene::{Scene, To};

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many exchanges a talk makes at least in one round, a tenth of it in short conversations.
    pub exchanges: u64,
    /// Rounds; one more goes before, uncounted.
    pub rounds: u32,
    /// How many Services there are, two at least (one name, two protocols); each number is measured.
    pub services: Vec<u32>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            exchanges: 3_000,
            rounds: 7,
            services: vec![2, 30_000],
        }
    }
}

/// What the client does.
#[derive(Clone, Copy, Debug)]
struct Talk {
    name: &'static str,
    to: To,
    kind: LoadKind,
}

const TALKS: [Talk; 4] = [
    Talk {
        name: "one conversation, a pod",
        to: To::Pod,
        kind: LoadKind::Long,
    },
    Talk {
        name: "one conversation, a Service",
        to: To::Service,
        kind: LoadKind::Long,
    },
    Talk {
        name: "short ones, a pod",
        to: To::Pod,
        kind: LoadKind::Short,
    },
    Talk {
        name: "short ones, a Service",
        to: To::Service,
        kind: LoadKind::Short,
    },
];

/// A talk over a protocol, on one of the scenes.
struct Probe {
    talk: Talk,
    transport: Transport,
    ip: Ip,
    scene: usize,
    samples: Vec<Sample>,
}

/// What one round of a talk cost.
struct Sample {
    hook: Hook,
    packets: u64,
    nanoseconds: f64,
    empty: f64,
    counted: Counted,
}

/// Measures every talk. To a Service packets must be translated at both hooks, to a pod none.
///
/// # Errors
/// When a part of a scene cannot be started, or packets have taken another way.
pub fn measure(plan: &Plan) -> Result<TrafficFigures> {
    let scenes: Vec<_> = plan
        .services
        .iter()
        .map(|services| Scene::build(*services))
        .collect::<Result<_>>()?;
    let _stats = enable_stats(Stats::RunTime).context("BPF statistics")?;
    let yardstick = Yardstick::load()?;
    let (mut probes, mut look_up) = (probes(scenes.len()), Vec::new());
    for round in 0..=plan.rounds {
        let measured = time_alone(&yardstick)?;
        let samples: Vec<_> = probes
            .iter()
            .map(|probe| probe.sample(&scenes[probe.scene], plan.exchanges))
            .collect::<Result<_>>()?;
        if round > 0 {
            look_up.push(measured);
            probes
                .iter_mut()
                .zip(samples)
                .for_each(|(probe, samples)| probe.samples.extend(samples));
        }
    }
    let look_up = median(&mut look_up);
    let costs = probes.iter().flat_map(|probe| {
        let services = scenes[probe.scene].services;
        [Hook::Ingress, Hook::Egress].map(|hook| probe.cost(hook, services, look_up))
    });
    Ok(TrafficFigures {
        look_up,
        rounds: plan.rounds,
        costs: costs.collect(),
    })
}

/// The yardstick on a thread that stays on its processor; what this one starts may use all.
fn time_alone(yardstick: &Yardstick) -> Result<f64> {
    const RUNS: u32 = 20_000;
    let measure = || {
        timer::stay_on_one_processor()?;
        yardstick.time(RUNS)
    };
    thread::scope(|scope| scope.spawn(measure).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn probes(scenes: usize) -> Vec<Probe> {
    let mut probes = Vec::new();
    for talk in TALKS {
        for ip in Ip::BOTH {
            for transport in [Transport::Tcp, Transport::Udp] {
                probes.extend((0..scenes).map(|scene| Probe {
                    talk,
                    transport,
                    ip,
                    scene,
                    samples: Vec::new(),
                }));
            }
        }
    }
    probes
}

impl Probe {
    fn sample(&self, scene: &Scene, exchanges: u64) -> Result<[Sample; 2]> {
        let hooks = [Hook::Ingress, Hook::Egress];
        let before = [scene.at(hooks[0])?, scene.at(hooks[1])?];
        let load = scene.client().peer()?.load(LoadPlan {
            kind: self.talk.kind,
            workers: 1,
            ..LoadPlan::long(self.transport, scene.address(self.talk.to, self.ip))
        })?;
        load.goes_on(match self.talk.kind {
            LoadKind::Short => exchanges.div_ceil(10),
            LoadKind::Once | LoadKind::Long | LoadKind::Dial => exchanges,
        })?;
        let report = load.stop()?;
        ensure!(report.failures() == 0, "{}: {:?}", self.talk.name, report.first_failure);
        let mut samples = Vec::new();
        for (hook, before) in hooks.into_iter().zip(before) {
            let after = scene.at(hook)?;
            let (ours, empty) = (after.ours.since(before.ours), after.empty.since(before.empty));
            let counted = counters::since(&before.counted, &after.counted);
            let translated = counted.get(&Reason::Translated).copied().unwrap_or(0);
            let right = match self.talk.to {
                To::Service => translated >= report.completed,
                To::Pod => translated == 0,
            };
            ensure!(
                right,
                "{}: {} exchanges, {hook:?} counted {counted:?}",
                self.talk.name,
                report.completed
            );
            samples.push(Sample {
                hook,
                packets: ours.count,
                nanoseconds: ours.each() - empty.each(),
                empty: empty.each(),
                counted,
            });
        }
        samples.try_into().map_err(|_| anyhow::anyhow!("two hooks"))
    }

    fn cost(&self, hook: Hook, services: u32, look_up: f64) -> TrafficCost {
        let samples = || self.samples.iter().filter(move |sample| sample.hook == hook);
        let middle = |value: fn(&Sample) -> f64| median(&mut samples().map(value).collect::<Vec<_>>());
        let mut counted = std::collections::BTreeMap::<_, u64>::new();
        for (reason, count) in samples().flat_map(|sample| &sample.counted) {
            *counted.entry(reason.name().to_owned()).or_default() += count;
        }
        let nanoseconds = middle(|sample| sample.nanoseconds);
        TrafficCost {
            name: Name::new(
                self.talk.name,
                hook,
                &self.ip.to_string(),
                if self.transport == Transport::Tcp { "TCP" } else { "UDP" },
            ),
            services,
            packets: samples().map(|sample| sample.packets).sum(),
            nanoseconds,
            multiple: nanoseconds / look_up,
            empty: middle(|sample| sample.empty),
            counted,
        }
    }
}
