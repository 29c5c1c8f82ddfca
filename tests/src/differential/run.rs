//! The comparison itself.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use serde_json::Value;

use super::drawn::{Drawn, Endpoint, Kind, Ranges};
use super::ends::{Sender, Server};
use super::known::alike;
use super::probes::{Address, Difference, Probe, dial, probes};
use super::settings::{Against, Setting};
use super::stand::{Stand, Whose};
use crate::apiserver::ApiServer;
use crate::peer::{Met, Transport};
use crate::plan::Ip;

/// Services that are programmed at once.
const BATCH: usize = 50;

/// Services under one configuration, at least.
const SHARE: usize = 12;

/// How an address is looked at.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// How many conversations there are.
    tries: usize,
    /// How long each may take.
    within: Duration,
}

/// At first, and as long as the answers differ: four endpoints are then all met but once in a billion times. What a proxy
/// has been in the midst of at the first look is gone at the second, and so is most of what has to do with ports that were
/// used before; what is gone at the third is counted.
const LOOKS: [Look; 3] = [
    Look {
        tries: 8,
        within: Duration::from_millis(400),
    },
    CLOSE,
    CLOSE,
];
const CLOSE: Look = Look {
    tries: 80,
    within: Duration::from_millis(1_500),
};

/// For so many kinds of differences the simplest Service is looked for, under each configuration.
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
    /// Under which configuration.
    pub setting: Setting,
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
            self.count,
            self.setting.title(),
            self.difference
        )?;
        let objects = self.drawn.objects();
        objects.iter().try_for_each(|object| writeln!(f, "{object}"))
    }
}

struct Comparison {
    against: Against,
    /// Under which both run.
    setting: Setting,
    api: ApiServer,
    /// kube-proxy's, and Fairlead's.
    stands: [Stand; 2],
    /// The number of the next Service.
    next: usize,
    /// How many probes differed at all looks but the last.
    passing: usize,
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
        setting: Setting::ALL[0],
        api,
        stands,
        next: 0,
        passing: 0,
    };
    let mut rng = Rng::with_seed(plan.seed);
    let mut outcome = Outcome::default();
    // Starting all proxies anew costs more than a few more Services.
    let share = plan.cases.div_ceil(Setting::ALL.len()).max(SHARE);
    for setting in Setting::ALL {
        let known = outcome.found.len();
        let cases = share.min(plan.cases - outcome.cases);
        if cases == 0 {
            break;
        }
        comparison.restart(setting)?;
        comparison.compare_all(cases, &mut rng, &mut outcome)?;
        if plan.simplify {
            let until = outcome.found.len().min(known + LOOKED_INTO);
            comparison.simplify(&mut outcome.found[known..until])?;
        }
        outcome.found[known..].iter().for_each(|found| say(&found.to_string()));
        let (probes, found, passing) = (outcome.probes, outcome.found.len(), comparison.passing);
        say(&format!(
            "{}: {} of {} Services, {probes} probes, {found} kinds of differences so far; {passing} that passed",
            setting.title(),
            outcome.cases,
            plan.cases
        ));
    }
    Ok(outcome)
}

impl Comparison {
    fn restart(&mut self, setting: Setting) -> Result<()> {
        self.setting = setting;
        let (api, fields) = (&self.api, setting.fields(self.against));
        self.stands.iter_mut().try_for_each(|stand| stand.restart(&fields, api))
    }

    fn compare_all(&mut self, cases: usize, rng: &mut Rng, outcome: &mut Outcome) -> Result<()> {
        let mut kinds = BTreeMap::new();
        let mut left = cases;
        while left > 0 {
            let batch: Vec<_> = (0..left.min(BATCH)).map(|_| Drawn::draw(self.number(), rng)).collect();
            left -= batch.len();
            outcome.cases += batch.len();
            outcome.probes += batch.iter().map(|drawn| self.probes(drawn).count()).sum::<usize>();
            for (drawn, difference) in self.compare(&batch)? {
                let (count, _) = kinds.entry(difference.signature()).or_insert((0, (drawn, difference)));
                *count += 1;
            }
        }
        let setting = self.setting;
        let found = kinds.into_values().map(|(count, (drawn, difference))| Found {
            setting,
            count,
            drawn,
            difference,
        });
        outcome.found.extend(found);
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

    /// Where nobody is known as a pod, nobody is masqueraded at a cluster address, and the answers of another node's
    /// endpoints go past this node: the outside waits for most of them in vain, with either proxy.
    fn probes(&self, drawn: &Drawn) -> impl Iterator<Item = Probe> + use<> {
        let is_in_vain = |probe: &Probe| (probe.sender, probe.address) == (Sender::Outside, Address::ClusterIp);
        let all = probes(drawn).into_iter();
        let detects = self.setting != Setting::NoDetection;
        all.filter(move |probe| detects || !is_in_vain(probe))
    }

    fn differences(&mut self, batch: &[Drawn]) -> Result<Vec<(Drawn, Difference)>> {
        let owned: Vec<(&Drawn, Probe)> = batch
            .iter()
            .flat_map(|drawn| self.probes(drawn).map(move |probe| (drawn, probe)))
            .collect();
        let all: Vec<Probe> = owned.iter().map(|(_, probe)| *probe).collect();
        let mut suspect: Vec<usize> = (0..all.len()).collect();
        let mut found = Vec::new();
        for (turn, look) in LOOKS.into_iter().enumerate() {
            let probes: Vec<Probe> = suspect.iter().map(|n| all[*n]).collect();
            let [theirs, ours] = self.dial(&probes, look)?;
            let before = found.len();
            let answers = suspect
                .iter()
                .zip(theirs)
                .zip(ours)
                .map(|((n, theirs), ours)| (*n, theirs, ours));
            found = answers
                .filter(|(n, theirs, ours)| !self.alike(&all[*n], theirs, ours))
                .collect();
            suspect = found.iter().map(|(n, ..)| *n).collect();
            if turn + 1 == LOOKS.len() {
                self.passing += before - found.len();
            }
        }
        let difference = |(n, theirs, ours): (usize, Met, Met)| {
            let probe = all[n];
            (owned[n].0.clone(), Difference { probe, theirs, ours })
        };
        Ok(found.into_iter().map(difference).collect())
    }

    fn alike(&self, probe: &Probe, theirs: &Met, ours: &Met) -> bool {
        alike(self.against, self.setting, probe, theirs, ours)
    }

    fn dial(&self, probes: &[Probe], look: Look) -> Result<[Vec<Met>; 2]> {
        let [theirs, ours] = &self.stands;
        let of = |stand: &Stand| dial(&stand.world, probes, look.tries, look.within);
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
