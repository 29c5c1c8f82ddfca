//! The data path of a real node: services into maps, programs onto devices, and the node's facts between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    net::IpAddr,
    path::{Path, PathBuf},
    thread,
};

use aya::maps::MapInfo;
use proxy_common::{frontend::FrontendKind, schema};

use super::{
    Applier, Usage,
    grace::Grace,
    kernel::Access,
    map::TableError,
    maps::ServiceMaps,
    metrics::{DataPathMetrics, SharedUsage},
    node::{Extra, Machine, NodeTables, contents, sync},
};
use crate::{
    agent::{DataPath, Failure, Subject},
    cli::SocketLb,
    datapath::{
        Loaded, Pins,
        attach::{self, Devices, Way},
        barrier::Barrier,
        load, probe, requirements,
    },
    desired::{Changes, DesiredNode},
    host::{
        HostFacts, flows,
        links::{self, Edge},
        netns, watch,
    },
    settings::DataPathSettings,
};

/// The kernel of this node, and what we have put into it.
pub struct KernelPath {
    pins: Pins,
    loaded: Loaded,
    devices: Devices,
    applier: Applier,
    tables: NodeTables,
    machine: Machine,
    facts: HostFacts,
    node: Option<DesiredNode>,
    /// Ports of the agent itself, and node ports.
    taken_ports: BTreeSet<u16>,
    /// Whether the node's own sockets may get masquerade ports.
    ports_overlap: bool,
    /// What of the host's cannot be done at the moment.
    trouble: BTreeMap<String, String>,
    usage: SharedUsage,
    /// Writes to maps that are not the applier's.
    writes: u64,
}

impl KernelPath {
    /// Loads programs and maps, takes over what an earlier agent left, attaches the programs, and has `tell` called with
    /// the host's news from then on.
    ///
    /// # Errors
    /// Whatever is missing on this machine, or another agent that runs on the same pins.
    pub fn open(
        settings: &DataPathSettings,
        tell: impl FnMut(HostFacts) -> bool + Send + 'static,
    ) -> anyhow::Result<Self> {
        let cgroup = cgroup(settings)?;
        let loaded = load::load(settings)?;
        let pins = Pins::new(&settings.state);
        let grace = grace(settings.unsafe_no_grace)?;
        let maps = ServiceMaps::open(&pins.maps(), Access::Write)?;
        let facts = watch::read()?;
        attach::sockets(&pins, &loaded, cgroup.as_deref())?;
        let mut path = KernelPath {
            devices: Devices::new(pins.clone(), Way::of_this_kernel()),
            applier: Applier::adopt(maps, grace)?,
            tables: NodeTables::open(&pins.maps())?,
            machine: machine(settings, &pins)?,
            pins,
            loaded,
            facts: HostFacts::default(),
            node: None,
            taken_ports: settings.own_ports.iter().copied().collect(),
            ports_overlap: false,
            trouble: BTreeMap::new(),
            usage: SharedUsage::default(),
            writes: 0,
        };
        path.devices
            .look_for_filters(facts.links.values().map(|link| (link.index, &link.name[..])))?;
        path.forget_stale_devices()?;
        path.taken_ports.extend(path.published_node_ports());
        let known = path.tables.known_addresses()?;
        path.forget_flows(known.difference(&facts.local_addresses()).copied().collect());
        watch::start(facts.clone(), tell)?;
        path.take_in(facts);
        Ok(path)
    }

    /// What this data path counts.
    #[must_use]
    pub fn metrics(&self) -> DataPathMetrics {
        DataPathMetrics::new(self.pins.maps(), self.usage.clone())
    }

    /// Pins of devices that went while no agent ran.
    fn forget_stale_devices(&mut self) -> io::Result<()> {
        for ifindex in self.devices.carrying()? {
            let gone = attach::Direction::BOTH
                .iter()
                .all(|direction| !self.devices.is_attached(ifindex, *direction));
            if gone {
                self.devices.detach(ifindex)?;
            }
        }
        Ok(())
    }

    fn published_node_ports(&self) -> BTreeSet<u16> {
        let services = self.applier.actual().services();
        let frontends = services.flat_map(|(_, slot)| slot.frontends.iter());
        frontends
            .filter(|(_, kind)| *kind == FrontendKind::NodePort)
            .map(|(key, _)| key.port.get())
            .collect()
    }

    /// Programs onto the edges, the node's facts into the maps. Devices are known to the maps before they carry programs,
    /// and namespaces count as covered only while they do.
    fn take_in(&mut self, facts: HostFacts) -> Vec<Failure> {
        let gone: BTreeSet<IpAddr> = self
            .facts
            .local_addresses()
            .difference(&facts.local_addresses())
            .copied()
            .collect();
        self.facts = facts;
        self.trouble.clear();
        let edges = links::edges(&self.facts.links, self.node.as_ref().map(|node| &node.detector));
        self.cover(&edges);
        self.write_facts();
        self.attach(&edges);
        self.cover(&edges);
        self.forget_flows(gone);
        self.failures()
    }

    fn attach(&mut self, edges: &[Edge]) {
        let wanted: BTreeSet<u32> = edges.iter().map(|edge| edge.target.ifindex).collect();
        let carrying = self.devices.carrying().unwrap_or_default();
        for ifindex in carrying.into_iter().filter(|ifindex| !wanted.contains(ifindex)) {
            if let Err(error) = self.devices.detach(ifindex) {
                self.note(
                    format!("device {ifindex}"),
                    format!("taking the programs away: {error}"),
                );
            }
        }
        for edge in edges {
            let target = &edge.target;
            if let Err(error) = self.devices.attach(target, &mut self.loaded) {
                // A device that has gone in the meantime is the subject of the next news.
                if error.raw_os_error() != Some(libc::ENODEV) {
                    self.note(
                        format!("device {}", target.name),
                        format!("attaching the programs: {error}"),
                    );
                }
            }
        }
    }

    /// Sockets of a namespace are left to its edge while all of its devices here carry the programs.
    fn cover(&mut self, edges: &[Edge]) {
        let mut covered = BTreeMap::new();
        let mut uncovered = BTreeSet::new();
        for edge in edges.iter().filter(|edge| edge.covers_peer) {
            let ifindex = edge.target.ifindex;
            let Some(cookie) = self.facts.namespaces.get(&ifindex) else {
                continue;
            };
            if self.carries(ifindex) {
                covered.entry(*cookie).or_insert(ifindex);
            } else {
                uncovered.insert(*cookie);
            }
        }
        covered.retain(|cookie, _| !uncovered.contains(cookie));
        let written = sync(&mut *self.tables.covered, &covered, Extra::Removed);
        self.wrote("covered namespaces", written);
    }

    /// Whether a device carries the programs, be it those of an agent before this one.
    fn carries(&self, ifindex: u32) -> bool {
        let left = |direction: &attach::Direction| self.devices.is_attached(ifindex, *direction);
        self.devices.attached().contains_key(&ifindex) || attach::Direction::BOTH.iter().all(left)
    }

    fn write_facts(&mut self) {
        let Some(node) = &self.node else {
            return;
        };
        let contents = contents(node, &self.facts, &self.machine, &self.taken_ports);
        if contents.ports_overlap && !self.ports_overlap {
            tracing::warn!(
                local = ?self.facts.ports.local,
                "net.ipv4.ip_local_port_range leaves no room for masquerade ports: a connection of the node's own may be \
                 mistaken for a masqueraded one; narrow the range"
            );
        }
        self.ports_overlap = contents.ports_overlap;
        let written = self.tables.sync(&contents);
        self.wrote("node", written);
    }

    /// Reading all flow records takes a while: not on this thread, which publishes.
    fn forget_flows(&mut self, gone: BTreeSet<IpAddr>) {
        if gone.is_empty() {
            return;
        }
        let maps = self.pins.maps();
        let work = move || match flows::forget(&maps, &gone) {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, ?gone, "addresses left the node, and with them masqueraded flows"),
            Err(error) => {
                tracing::warn!(%error, ?gone, "flows masqueraded by an address that left stay until they expire")
            }
        };
        if let Err(error) = thread::Builder::new().name("flows".into()).spawn(work) {
            self.note("flows".into(), error.to_string());
        }
    }

    fn wrote(&mut self, what: &str, written: Result<usize, TableError>) {
        match written {
            Ok(count) => self.writes += count as u64,
            Err(error) => self.note(what.to_owned(), error.to_string()),
        }
    }

    fn usage(&self) -> Usage {
        let usage = self.applier.usage();
        Usage {
            writes: usage.writes + self.writes,
            ..usage
        }
    }

    fn note(&mut self, what: String, reason: String) {
        self.trouble.insert(what, reason);
    }

    fn failures(&self) -> Vec<Failure> {
        let failure = |(what, reason): (&String, &String)| Failure {
            of: Subject::Host(what.clone()),
            reason: reason.clone(),
        };
        self.trouble.iter().map(failure).collect()
    }

    /// Node ports that lie outside the usual range must not be masquerade ports.
    fn note_node_ports(&mut self, changes: &Changes) -> bool {
        let frontends = changes
            .services
            .values()
            .flatten()
            .flat_map(|service| &service.frontends);
        let ports = frontends
            .filter(|frontend| frontend.kind == FrontendKind::NodePort)
            .map(|frontend| frontend.port);
        let before = self.taken_ports.len();
        self.taken_ports.extend(ports);
        self.taken_ports.len() != before
    }
}

impl DataPath for KernelPath {
    type News = HostFacts;

    fn host_changed(&mut self, news: HostFacts) -> Vec<Failure> {
        self.take_in(news)
    }

    fn addresses(&self) -> BTreeSet<IpAddr> {
        self.facts.local_addresses()
    }

    fn apply(&mut self, changes: &Changes) -> Vec<Failure> {
        let mut failures = Vec::new();
        let new_ports = self.note_node_ports(changes);
        if let Some(node) = &changes.node {
            self.node = Some(node.clone());
        }
        if changes.node.is_some() || new_ports {
            self.write_facts();
            let reason = self.trouble.remove("node");
            failures.extend(reason.map(|reason| Failure {
                of: Subject::Node,
                reason,
            }));
        }
        let report = self.applier.apply(changes);
        failures.extend(report.networks.map(|error| Failure {
            of: Subject::Node,
            reason: error.to_string(),
        }));
        failures.extend(report.failures.into_iter().map(|(id, error)| Failure {
            of: Subject::Service(id),
            reason: error.to_string(),
        }));
        self.usage.set(self.usage());
        failures
    }

    fn idle(&mut self) -> Vec<Failure> {
        self.applier.settle();
        self.usage.set(self.usage());
        if !self.trouble.is_empty() {
            let facts = self.facts.clone();
            return self.take_in(facts);
        }
        Vec::new()
    }

    fn writes(&self) -> u64 {
        self.usage().writes
    }
}

impl fmt::Debug for KernelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelPath")
            .field("pins", &self.pins)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

fn cgroup(settings: &DataPathSettings) -> Result<Option<PathBuf>, requirements::HostError> {
    if settings.socket_lb == SocketLb::Off {
        return Ok(None);
    }
    requirements::cgroup(settings.cgroup.as_deref()).map(Some)
}

/// What was retired before this agent began is free once one period has passed.
fn grace(without: bool) -> io::Result<Grace> {
    if without {
        tracing::warn!("memory is used again while programs may be reading it: --unsafe-no-grace");
        return Ok(Grace::unsafely_none());
    }
    let mut barrier = Barrier::new()?;
    barrier.wait()?;
    Grace::start(move || barrier.wait(), || {})
}

fn machine(settings: &DataPathSettings, pins: &Pins) -> anyhow::Result<Machine> {
    Ok(Machine {
        host_netns: netns::own_cookie()?,
        fib_source: probe::fib_source()?,
        socket_lb: settings.socket_lb,
        records: records(&pins.map(&schema::RECORDS_V4))?,
    })
}

/// A pinned map keeps its size, whatever is asked for.
fn records(pin: &Path) -> Result<u32, TableError> {
    let info = MapInfo::from_pin(pin);
    let why = |error: aya::maps::MapError| TableError::Shape {
        map: schema::RECORDS_V4.name,
        why: error.to_string(),
    };
    info.map(|info| info.max_entries()).map_err(why)
}
