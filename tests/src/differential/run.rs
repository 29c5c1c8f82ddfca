//! The comparison itself.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use serde_json::{Map, Value};

use super::drawn::{Drawn, Endpoint, Kind, Ranges};
use super::ends::{Sender, Server};
use super::probes::{Address, Difference, Probe, dial, probes};
use super::settings::Against;
use super::stand::{Stand, Whose};
use crate::apiserver::ApiServer;
use crate::peer::{Met, Transport, Why};
use crate::plan::Ip;

/// Services that are programmed at once.
const BATCH: usize = 50;

/// Services under one configuration, at least.
const SHARE: usize = 12;

/// Conversations to one address at first, and when the answers differ: four endpoints are then all met but once in a
/// billion times.
const TRIES: [usize; 2] = [8, 80];

/// How long one may take at first, and when the answers differ.
const WITHIN: [Duration; 2] = [Duration::from_millis(400), Duration::from_millis(1_500)];

/// So many different differences are looked into.
const LOOKED_INTO: usize = 12;

/// What to compare.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// With which kube-proxy.
    pub against: Against,
    /// How many Services are drawn.
    pub cases: usize,
    /// From which seed.
    pub seed: u64,
    /// Whether the simplest Service is looked for that shows a difference.
    pub simplify: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many Services were compared.
    pub cases: usize,
    /// How many probes.
    pub probes: usize,
    /// What differed, each the first of its kind, with the simplest Service that shows it.
    pub found: Vec<Found>,
}

/// A difference, made as simple as it gets.
#[derive(Debug)]
pub struct Found {
    /// Under which settings.
    pub settings: &'static str,
    /// How many probes differed in the same way.
    pub count: usize,
    /// The Service.
    pub drawn: Drawn,
    /// The difference.
    pub difference: Difference,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} probes like this, {}: {}",
            self.count, self.settings, self.difference
        )?;
        let objects = self.drawn.objects();
        objects.iter().try_for_each(|object| writeln!(f, "{object}"))
    }
}

struct Comparison {
    against: Against,
    api: ApiServer,
    /// kube-proxy's, and Fairlead's.
    stands: [Stand; 2],
    /// The number of the next Service.
    next: usize,
}

/// Draws, compares, and looks into what differs; `say` hears of every batch.
///
/// # Errors
/// When a part of the machinery fails; a difference is none.
pub fn run(plan: Plan, mut say: impl FnMut(&str)) -> Result<Outcome> {
    let api = ApiServer::shared()?;
    let stands = [
        Stand::build(Whose::KubeProxy(plan.against), &api)?,
        Stand::build(Whose::Fairlead, &api)?,
    ];
    let mut comparison = Comparison {
        against: plan.against,
        api,
        stands,
        next: 0,
    };
    let mut rng = Rng::with_seed(plan.seed);
    let mut outcome = Outcome::default();
    let settings = plan.against.settings();
    // Starting all proxies anew costs more than a few more Services.
    let share = plan.cases.div_ceil(settings.len()).max(SHARE);
    for (name, fields) in settings {
        let known = outcome.found.len();
        let cases = share.min(plan.cases - outcome.cases);
        if cases == 0 {
            break;
        }
        comparison.restart(&fields)?;
        comparison.compare_all(name, cases, &mut rng, &mut outcome)?;
        if plan.simplify {
            comparison.simplify(&mut outcome.found[known..])?;
        }
        outcome.found[known..].iter().for_each(|found| say(&found.to_string()));
        let (probes, found) = (outcome.probes, outcome.found.len());
        say(&format!(
            "{name}: {} of {} Services, {probes} probes, {found} kinds of differences so far",
            outcome.cases, plan.cases
        ));
    }
    Ok(outcome)
}

impl Comparison {
    fn restart(&mut self, settings: &Map<String, Value>) -> Result<()> {
        let api = &self.api;
        self.stands
            .iter_mut()
            .try_for_each(|stand| stand.restart(settings, api))
    }

    fn compare_all(
        &mut self,
        settings: &'static str,
        cases: usize,
        rng: &mut Rng,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let mut kinds = BTreeMap::new();
        let mut left = cases;
        while left > 0 {
            let batch: Vec<_> = (0..left.min(BATCH)).map(|_| Drawn::draw(self.number(), rng)).collect();
            left -= batch.len();
            outcome.cases += batch.len();
            outcome.probes += batch.iter().map(|drawn| probes(drawn).len()).sum::<usize>();
            for (drawn, difference) in self.compare(&batch)? {
                let (count, _) = kinds.entry(difference.signature()).or_insert((0, (drawn, difference)));
                *count += 1;
            }
        }
        for (count, (drawn, difference)) in kinds.into_values() {
            let known = outcome
                .found
                .iter()
                .any(|found| found.difference.signature() == difference.signature());
            if known || outcome.found.len() >= LOOKED_INTO {
                continue;
            }
            outcome.found.push(Found {
                settings,
                count,
                drawn,
                difference,
            });
        }
        Ok(())
    }

    fn simplify(&mut self, all: &mut [Found]) -> Result<()> {
        for found in all {
            let (drawn, difference) = self.simplest(found.drawn.clone(), found.difference.clone())?;
            (found.drawn, found.difference) = (drawn, difference);
        }
        Ok(())
    }

    /// Puts Services into force, dials everything in both worlds, and takes them away again. Each differing probe comes
    /// with its Service.
    fn compare(&mut self, batch: &[Drawn]) -> Result<Vec<(Drawn, Difference)>> {
        let objects: Vec<Value> = batch.iter().flat_map(Drawn::objects).collect();
        objects.iter().try_for_each(|object| self.api.put(object))?;
        let last = self.last();
        last.objects().iter().try_for_each(|object| self.api.put(object))?;
        let to = Ip::BOTH.map(|ip| last.cluster_ip().at(ip, Drawn::port(0)));
        self.stands.iter().try_for_each(|stand| stand.settled(to))?;
        let found = self.differences(batch)?;
        for object in objects.iter().chain(&last.objects()) {
            self.api.delete(object)?;
        }
        Ok(found)
    }

    fn differences(&self, batch: &[Drawn]) -> Result<Vec<(Drawn, Difference)>> {
        let owned: Vec<(&Drawn, Probe)> = batch
            .iter()
            .flat_map(|drawn| probes(drawn).into_iter().map(move |probe| (drawn, probe)))
            .collect();
        let all: Vec<Probe> = owned.iter().map(|(_, probe)| *probe).collect();
        let [theirs, ours] = self.dial(&all, 0)?;
        let differ = |n: &usize| !alike(self.against, &all[*n], &theirs[*n], &ours[*n]);
        // What a proxy has been in the midst of at the first look, or a busy machine's accident, is gone at the second.
        let suspect: Vec<usize> = (0..all.len()).filter(differ).collect();
        let again: Vec<Probe> = suspect.iter().map(|n| all[*n]).collect();
        let [theirs_again, ours_again] = self.dial(&again, 1)?;
        let mut found = Vec::new();
        for ((n, theirs_again), ours_again) in suspect.into_iter().zip(theirs_again).zip(ours_again) {
            let difference = Difference {
                probe: all[n],
                theirs: theirs_again,
                ours: ours_again,
            };
            if !alike(self.against, &difference.probe, &difference.theirs, &difference.ours) {
                found.push((owned[n].0.clone(), difference));
            }
        }
        Ok(found)
    }

    fn dial(&self, probes: &[Probe], turn: usize) -> Result<[Vec<Met>; 2]> {
        let [theirs, ours] = &self.stands;
        let of = |stand: &Stand| dial(&stand.world, probes, TRIES[turn], WITHIN[turn]);
        thread::scope(|scope| {
            let theirs = scope.spawn(|| of(theirs));
            let ours = of(ours)?;
            let theirs = theirs.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok([theirs, ours])
        })
    }

    /// Tries simpler Services as long as one still shows a difference of the same kind.
    fn simplest(&mut self, mut drawn: Drawn, mut difference: Difference) -> Result<(Drawn, Difference)> {
        loop {
            let mut simpler = drawn.simpler();
            for other in &mut simpler {
                other.number = self.number();
            }
            let mut found = Vec::new();
            for batch in simpler.chunks(BATCH) {
                found.extend(self.compare(batch)?);
            }
            let same = |(_, other): &(Drawn, Difference)| other.signature() == difference.signature();
            let order = |(it, _): &(Drawn, Difference)| simpler.iter().position(|other| other.number == it.number);
            let Some(next) = found.into_iter().filter(same).min_by_key(order) else {
                return Ok((drawn, difference));
            };
            (drawn, difference) = next;
        }
    }

    /// A plain Service with an endpoint, which is created after all others.
    fn last(&mut self) -> Drawn {
        Drawn {
            number: self.number(),
            families: &Ip::BOTH,
            kind: Kind::ClusterIp,
            internal_local: false,
            external_local: false,
            external_ip: false,
            balancer: None,
            ranges: Ranges::All,
            label: None,
            ports: vec![(Transport::Tcp, 0)],
            endpoints: vec![Endpoint::plain(Server::Pod(1, 2))],
        }
    }

    fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }
}

/// Whether two answers are the same, or differ as they are known to.
fn alike(against: Against, probe: &Probe, theirs: &Met, ours: &Met) -> bool {
    let only = |met: &Met, expected: &[Why]| {
        met.servers.is_empty() && !met.failures.is_empty() && met.failures.iter().all(|why| expected.contains(why))
    };
    let both = |expected: &[Why]| only(theirs, expected) && only(ours, expected);
    let is_passed_on = matches!(probe.address, Address::UnknownPort | Address::Unallocated);
    let is_outer = matches!(probe.address, Address::External | Address::Balancer);
    theirs == ours
        || match (probe.sender, against) {
            // The node's own processes are told by Fairlead when they connect or send what becomes of their packets. With
            // kube-proxy a dropped segment is silence, and a datagram that is refused or dropped on its way out is an
            // error without a name (EPERM).
            (Sender::Node, _) if both(&[Why::TimedOut, Why::Unreachable, Why::Other]) => true,
            (Sender::Node, _) if probe.transport == Transport::Udp && only(theirs, &[Why::Other]) => {
                only(ours, &[Why::Refused])
            }
            // Mode iptables lets what the node itself sends to a service without endpoints go on to the load balancer.
            (Sender::Node, Against::Iptables) if is_outer => only(theirs, &SILENCE) && only(ours, &[Why::Refused]),
            // What is passed on meets a router, which says that there is no way as often as its limit lets it.
            (_, Against::Iptables) if is_passed_on => both(&SILENCE),
            _ => false,
        }
}

/// What a sender sees of packets that nobody takes.
const SILENCE: [Why; 2] = [Why::TimedOut, Why::Unreachable];
