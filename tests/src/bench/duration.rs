//! How long a run will take, as far as that can be known before: by what its parts took on a machine of two cores.

use std::fmt;
use std::time::Duration;

use super::control;
use super::objects::Scale;
use super::peer::Peer;
use super::plan::{Block, Options, SAMPLE};
use super::run;
use crate::measure::results::Results;

/// What a sample takes beside its load: letting a stand go on, and stopping it.
const AROUND: Duration = Duration::from_millis(210);
/// A stand's namespaces and servers.
const STAND: Duration = Duration::from_secs(4);
/// A live flow: its three packets, one after the other.
const FLOW: Duration = Duration::from_micros(30);
/// An API server with everything in it.
const SERVER: Duration = Duration::from_secs(10);
/// The programs, packet by packet.
const PACKETS: Duration = Duration::from_secs(60);
/// Changes that kube-proxy follows one by one, idle and busy.
const FOLLOWED: Duration = Duration::from_secs(100);
/// To create 10,000 Services, to start where they are, and to follow one more.
const CREATED: f64 = 120.0;

/// What is left of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    loads: Duration,
    standing_up: Duration,
    agents: Duration,
    packets: Duration,
}

/// What is left of a run whose results so far are these.
pub(super) fn of(options: &Options, results: &Results) -> Expected {
    let mut expected = Expected::default();
    for block in options.blocks() {
        let peers = run::there(&block, options, results);
        let mut tasks = options.tasks(&block);
        tasks.retain(|task| !run::is_measured(*task, &task.subject(&block), &peers, results));
        let samples = u32::try_from(run::samples(&tasks, &peers)).unwrap_or(u32::MAX);
        expected.loads += (SAMPLE + AROUND) * samples;
        if !tasks.is_empty() {
            let services = as_services(&block);
            let ready: Duration = peers.iter().map(|peer| STAND + ready(*peer, services)).sum();
            let slowest = peers.iter().map(|peer| ready_for_one(*peer, services)).max();
            expected.standing_up += SERVER + ready + slowest.unwrap_or_default() + filled(&block, &peers);
        }
        if options.agents && block.is_headline() {
            expected.agents += agents(&block, &peers, options, results);
        }
    }
    if options.packets && options.peers.contains(&Peer::Fairlead) {
        expected.packets = PACKETS;
    }
    expected
}

fn agents(block: &Block, peers: &[Peer], options: &Options, results: &Results) -> Duration {
    let objects = block.objects();
    let measured = |peer: Peer| control::is_measured(peer, objects, options, results);
    let own = peers
        .iter()
        .filter(|peer| control::has_own_agent(**peer) && !measured(**peer));
    let one = |peer: &Peer| {
        let created = Duration::from_secs_f64(CREATED * squared(block.services.min(10_000)));
        let is_slow = peer.is_kube_proxy() && options.follows(block.services);
        let followed = match (is_slow, options.quick) {
            (true, true) => FOLLOWED / 5,
            (true, false) => FOLLOWED,
            (false, _) => Duration::ZERO,
        };
        // On one node.
        let start = STAND + ready(*peer, block.services) / 2;
        SERVER + created + (start * control::STARTS).min(control::STARTED + start) + followed
    };
    own.map(one).sum()
}

/// Until both nodes' agents have programmed everything.
fn ready(peer: Peer, services: u32) -> Duration {
    let many = f64::from(services) / 10_000.0;
    Duration::from_secs_f64(match peer {
        Peer::Direct | Peer::Control => 0.0,
        Peer::IptablesNft => 430.0 * squared(services),
        Peer::IptablesLegacy => 10.0 * many,
        Peer::Nftables | Peer::Ipvs => 30.0 * many,
        Peer::FairleadStack | Peer::FairleadSocket | Peer::Fairlead => 4.0 * many,
    })
}

/// As many Services of four endpoints as have those of a block: of very many endpoints there are two.
fn as_services(block: &Block) -> u32 {
    match block.scale {
        Scale::Services | Scale::Flows(_) => block.services,
        Scale::Endpoints => (block.endpoints / 2).max(1),
    }
}

/// Until all live flows are there.
fn filled(block: &Block, peers: &[Peer]) -> Duration {
    let Scale::Flows(most) = block.scale else {
        return Duration::ZERO;
    };
    let stands = peers.iter().filter(|peer| peer.has_services());
    stands.map(|_| FLOW * most).sum()
}

/// Until they have followed the proof's two changes, all at once.
fn ready_for_one(peer: Peer, services: u32) -> Duration {
    ready(peer, services) / 2
}

/// As part of what 10,000 Services take.
fn squared(services: u32) -> f64 {
    (f64::from(services) / 10_000.0).powi(2)
}

impl Expected {
    fn all(self) -> Duration {
        self.loads + self.standing_up + self.agents + self.packets
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            loads,
            standing_up,
            agents,
            packets,
        } = *self;
        let [all, loads, standing_up, agents, packets] = [self.all(), loads, standing_up, agents, packets].map(words);
        write!(
            f,
            "expected to take about {all}: loads {loads}, starting the peers {standing_up}, agents {agents}, programs {packets}"
        )
    }
}

/// `2 h 05 min`.
fn words(time: Duration) -> String {
    let minutes = time.as_secs().div_ceil(60);
    match minutes / 60 {
        0 => format!("{minutes} min"),
        hours => format!("{hours} h {:02} min", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::plan;
    use crate::measure::results::{Entrant, Kind, Machine, Metric, Run, SCHEMA, State};

    /// What a run of all peers but that which few kernels have begins with.
    fn begun(options: &Options) -> Results {
        let entrant = |peer: &Peer| Entrant {
            name: peer.name().to_owned(),
            kind: Kind::Fairlead,
            title: String::new(),
            state: if *peer == Peer::Ipvs {
                State::Absent("kernel has no IPVS".to_owned())
            } else {
                State::Measured
            },
        };
        Results {
            schema: SCHEMA,
            machine: Machine::default(),
            run: Run {
                command: String::new(),
                version: String::new(),
                began: 0,
                rounds: 7,
                sample_ms: 1000,
                seed: 0,
                repeated: 0,
                complete: false,
            },
            peers: options.peers.iter().map(entrant).collect(),
            series: Vec::new(),
            profiles: Vec::new(),
        }
    }

    #[test]
    fn a_full_run_is_a_matter_of_hours_and_a_quick_one_of_minutes() {
        let full = plan::tests::options(false, &[1, 100, 1000, 10_000, 30_000]);
        let quick = plan::tests::options(true, &[100]);
        let [full, quick] = [full, quick].map(|options| of(&options, &begun(&options)));
        assert!(full.all() < Duration::from_secs(9000), "{full}");
        assert!(quick.all() < Duration::from_secs(600), "{quick}");
    }

    #[test]
    fn what_has_been_measured_is_not_waited_for_again() {
        let options = plan::tests::options(true, &[100]);
        let (mut results, block) = (begun(&options), options.blocks()[0]);
        let all = of(&options, &results).loads;
        let subject = options.tasks(&block)[0].subject(&block);
        for peer in run::there(&block, &options, &results) {
            results.add(&subject, &Metric::higher("rate", "1/s"), peer.name(), 1.0);
        }
        assert!(of(&options, &results).loads < all);
    }

    #[test]
    fn a_duration_is_said_in_hours_and_minutes() {
        let said = |seconds| words(Duration::from_secs(seconds));
        assert_eq!([said(0), said(61), said(7500)], ["0 min", "2 min", "2 h 05 min"]);
    }
}
