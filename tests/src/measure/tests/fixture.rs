//! A run that never was, of the size of a real one.

use crate::measure::profile::{Function, Processors, Profile, Program};
use crate::measure::results::{Better, Entrant, Kind, Machine, Metric, Results, Run, SCHEMA, State, Subject};

/// What to make up.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Another seed is another run of the same machine.
    pub(crate) seed: u64,
    /// The spread of a sample of a rate: 0.02 is 2 %.
    pub(crate) noise: f64,
    /// Measured rounds.
    pub(crate) rounds: u32,
    /// A peer that is slower by this factor.
    pub(crate) slower: Option<(&'static str, f64)>,
    /// How many cases.
    pub(crate) cases: usize,
}

/// A run with some noise and seven rounds.
pub(crate) const PLAN: Plan = Plan {
    seed: 1,
    noise: 0.02,
    rounds: 7,
    slower: None,
    cases: 3,
};

/// Name, kind, speed without services, what 10,000 services leave of it.
const PEERS: [(&str, Kind, f64, f64); 9] = [
    ("direct", Kind::Ceiling, 1.0, 1.0),
    ("control", Kind::Control, 1.0, 1.0),
    ("iptables-nft", Kind::KubeProxy, 0.81, 0.12),
    ("iptables-legacy", Kind::KubeProxy, 0.83, 0.2),
    ("nftables", Kind::KubeProxy, 0.8, 0.97),
    ("ipvs", Kind::KubeProxy, 0.0, 0.0),
    ("fairlead-stack", Kind::Fairlead, 0.86, 0.99),
    ("fairlead-socket", Kind::Fairlead, 0.97, 0.99),
    ("fairlead", Kind::Fairlead, 0.78, 0.98),
];

const CASES: [&str; 12] = [
    "tcp-short",
    "tcp-rr",
    "tcp-stream",
    "tcp-many",
    "udp-rr",
    "udp-flows",
    "udp-packets",
    "node-cluster-ip",
    "node-port",
    "bystander",
    "change",
    "memory",
];

/// Makes up a run.
pub(crate) fn results(plan: Plan) -> Results {
    let mut results = empty(plan.rounds);
    let mut noise = Noise(plan.seed);
    for case in &CASES[CASES.len() - plan.cases..] {
        for family in ["IPv4", "IPv6"] {
            for services in [1, 100, 1000, 10_000, 30_000] {
                for path in paths(case) {
                    let subject = Subject {
                        case: (*case).to_owned(),
                        path: (*path).to_owned(),
                        family: family.to_owned(),
                        host: "as a node is".to_owned(),
                        services,
                        endpoints: 4,
                        flows: 0,
                        position: if *case == "tcp-short" {
                            "last".to_owned()
                        } else {
                            String::new()
                        },
                    };
                    fill(&mut results, &plan, &subject, &mut noise);
                }
            }
        }
    }
    results
}

fn paths(case: &str) -> &'static [&'static str] {
    match case {
        "tcp-short" => &["pod to pod, same node, bridge", "pod to pod, two nodes, VXLAN"],
        "change" | "memory" => &["one agent alone"],
        _ => &["pod to pod, same node, bridge"],
    }
}

fn empty(rounds: u32) -> Results {
    let state = |name: &str| match name {
        "ipvs" => State::Absent("kernel has no IPVS".to_owned()),
        _ => State::Measured,
    };
    let peer = |(name, kind, ..): &(&str, Kind, f64, f64)| Entrant {
        name: (*name).to_owned(),
        kind: *kind,
        title: format!("{name}, as made up for <tests> & \"rows\""),
        state: state(name),
    };
    Results {
        schema: SCHEMA,
        machine: Machine {
            facts: [("kernel", "6.18.0"), ("cores", "2"), ("mitigations", "a | b; <none>")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
        },
        run: Run {
            command: "cargo xtask bench --services 1,100,1000,10000 --endpoints 4 --out <folder>".to_owned(),
            version: "0.1.0 (made up)".to_owned(),
            began: 1_790_000_000,
            rounds,
            sample_ms: 1000,
            seed: 7,
            repeated: 0,
            complete: true,
        },
        peers: PEERS.iter().map(peer).collect(),
        series: Vec::new(),
        profiles: Vec::new(),
    }
}

/// Adds every round of one subject.
fn fill(results: &mut Results, plan: &Plan, subject: &Subject, noise: &mut Noise) {
    for _ in 0..plan.rounds {
        // What disturbs a round disturbs all of it.
        let round = noise.factor(plan.noise);
        for (name, kind, speed, left) in PEERS {
            // Kube-proxy is not asked for 30,000.
            let is_out = subject.services > 10_000 && kind == Kind::KubeProxy;
            if speed == 0.0 || is_out {
                continue;
            }
            let slower = plan
                .slower
                .filter(|(peer, _)| *peer == name)
                .map_or(1.0, |(_, factor)| factor);
            let speed = speed * left.powf(f64::from(subject.services).log10() / 4.0) / slower;
            measure(results, plan, subject, (name, kind), speed * round, noise);
        }
    }
}

fn measure(results: &mut Results, plan: &Plan, subject: &Subject, peer: (&str, Kind), speed: f64, noise: &mut Noise) {
    let mut add = |name: &str, unit: &str, better, value: f64, times: f64| {
        let metric = Metric {
            name: name.to_owned(),
            unit: unit.to_owned(),
            better,
        };
        // As many digits as a tool would print.
        let value = (value * noise.factor(plan.noise * times) * 1000.0).round() / 1000.0;
        results.add(subject, &metric, peer.0, value);
    };
    let is_agent = !matches!(peer.1, Kind::Ceiling | Kind::Control);
    match &subject.case[..] {
        "memory" if is_agent => add("peak memory", "MB", Better::Lower, 30.0 / speed, 1.0),
        "memory" => {}
        case => {
            if case != "change" {
                add("rate", "1/s", Better::Higher, 14_500.0 * speed, 1.0);
            } else if !is_agent {
                return;
            }
            for (name, at, times) in [("p50", 60.0, 1.0), ("p99", 180.0, 2.0), ("p99.9", 900.0, 6.0)] {
                add(name, "µs", Better::Lower, at / speed, times);
            }
        }
    }
}

/// Profiles of one place: of the mode `fairlead-stack`, of kube-proxy's `nftables` and of the ceiling.
pub(crate) fn profiles(subject: &Subject) -> Vec<Profile> {
    let program = |name: &str, runs, time| Program {
        name: name.to_owned(),
        runs,
        time,
    };
    let function = |(name, time): (&str, f64)| Function {
        name: name.to_owned(),
        time,
    };
    let profile = |peer: &str, programs, functions: &[(&str, f64)]| Profile {
        subject: subject.clone(),
        peer: peer.to_owned(),
        of: "connections".to_owned(),
        programs,
        maps: Vec::new(),
        processors: Some(Processors {
            sample: 10.0,
            idle: 100.0,
            elsewhere: 5.0,
            user: 9000.0,
            functions: functions.iter().copied().map(function).collect(),
            others: 4000.0,
        }),
    };
    let own = vec![program("ingress", 8.0, 2000.0), program("egress", 8.0, 1250.0)];
    vec![
        profile("direct", Vec::new(), &[("ip_rcv", 5000.0)]),
        profile("nftables", Vec::new(), &[("ip_rcv", 5100.0), ("nft_do_chain", 2500.0)]),
        profile("fairlead-stack", own, &[("ip_rcv", 5200.0), ("BPF enter", 1800.0)]),
    ]
}

/// What chance adds: the sum of twelve numbers between 0 and 1, less 6, is as good as normal.
struct Noise(u64);

impl Noise {
    fn factor(&mut self, spread: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.uniform()).sum();
        (spread * (sum - 6.0)).exp()
    }

    /// Between 0 and 1. Numerical Recipes' linear congruence, of whose bits the upper are good.
    fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }
}
