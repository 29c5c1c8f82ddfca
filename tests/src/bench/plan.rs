//! What a run measures, and on what.

use std::path::PathBuf;
use std::time::Duration;

use super::case::{Case, Path};
use super::choice;
use super::host::Host;
use super::kube_proxy::Mode;
use super::objects::{Objects, Scale};
use super::peer::Peer;
use super::stand::Position;
use crate::cluster::{Between, PodNetwork};
use crate::measure::results::Subject;
use crate::plan::Ip;

/// What is asked for on the command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// Little of everything, in less than ten minutes.
    pub quick: bool,
    /// Who takes part, in the report's order.
    pub peers: Vec<Peer>,
    /// Numbers of services, ascending.
    pub services: Vec<u32>,
    /// Endpoints of each.
    pub endpoints: u32,
    /// Numbers of endpoints of one service, ascending.
    pub many_endpoints: Vec<u32>,
    /// Numbers of live flows, ascending.
    pub many_flows: Vec<u32>,
    /// The loads that are measured.
    pub cases: Vec<Case>,
    /// Whether agents are measured: how soon they start and follow.
    pub agents: bool,
    /// Whether the programs are measured packet by packet.
    pub packets: bool,
    /// Where the report goes.
    pub out: PathBuf,
    /// The command line that repeats the run.
    pub command: String,
}

/// Endpoints of one service, at most.
pub const MOST_ENDPOINTS: u32 = 10_000;

/// Live flows, at most.
pub const MOST_FLOWS: u32 = 1_000_000;

/// Measured rounds: fewer than seven make intervals that mean little.
pub(super) const ROUNDS: u32 = 7;

/// How long one sample of a load takes: the least that wrk and iperf3 can be asked for.
pub(super) const SAMPLE: Duration = Duration::from_secs(1);

/// Services that kube-proxy is asked to program, at most: with the nftables back end of iptables the time for them grows
/// with the square of their number.
pub(super) const KUBE_PROXY_MOST: u32 = 10_000;

/// A set of stands that are up together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) host: Host,
    pub(super) network: PodNetwork,
    pub(super) between: Between,
    pub(super) services: u32,
    /// Endpoints of each.
    pub(super) endpoints: u32,
    /// What there is much of.
    pub(super) scale: Scale,
    /// Whether every case is measured, or those alone that tell most.
    pub(super) whole: bool,
}

/// One thing to measure of every stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) case: Case,
    pub(super) path: Path,
    pub(super) ip: Ip,
    pub(super) position: Position,
    /// Live flows beside it; 0 for none but its own.
    pub(super) flows: u32,
}

impl Block {
    /// For the person who waits.
    pub(super) fn title(&self) -> String {
        match self.scale {
            Scale::Services => format!("{} services", self.services),
            Scale::Endpoints => format!("one service, endpoints: {}", self.endpoints),
            Scale::Flows(most) => format!("live flows: up to {most}"),
        }
    }

    /// Whether it is one of those that the report begins with: those of every number of services.
    pub(super) fn is_headline(&self) -> bool {
        let is_usual = (self.host, self.network, self.between) == (Host::AsANode, PodNetwork::Bridge, Between::Routes);
        is_usual && self.scale == Scale::Services
    }

    /// What its stands have.
    pub(super) fn objects(&self) -> Objects {
        Objects {
            services: self.services as usize,
            endpoints: self.endpoints as usize,
            scale: self.scale,
        }
    }
}

impl Options {
    /// Every sample, kept while the run goes on.
    pub(super) fn file(&self) -> PathBuf {
        self.out.join("results.json")
    }

    /// The headline's host with every number of services, then what another host or shape changes.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let main = |&services| Block {
            host: Host::AsANode,
            network: PodNetwork::Bridge,
            between: Between::Routes,
            services,
            endpoints: self.endpoints,
            scale: Scale::Services,
            whole: !self.quick,
        };
        let mut blocks: Vec<_> = self.services.iter().map(main).collect();
        if !self.quick {
            // One number of services: what the host and the shape change does not depend on it.
            let typical = Block {
                whole: false,
                ..main(&self.typical())
            };
            // Routed: without bridge netfilter the rules of kube-proxy do not see a bridged reply.
            blocks.push(Block {
                host: Host::Bare,
                network: PodNetwork::Routed,
                ..typical
            });
            blocks.push(Block {
                network: PodNetwork::Routed,
                ..typical
            });
            blocks.push(Block {
                between: Between::Vxlan,
                ..typical
            });
        }
        blocks.extend(self.scales());
        blocks
    }

    /// One service with more and more endpoints, and then with more and more live flows beside.
    fn scales(&self) -> Vec<Block> {
        let one = Block {
            host: Host::AsANode,
            network: PodNetwork::Bridge,
            between: Between::Routes,
            services: 1,
            endpoints: self.endpoints,
            scale: Scale::Endpoints,
            whole: false,
        };
        let has = |case| self.cases.contains(&case);
        let numbers = self.many_endpoints.iter().filter(|_| has(Case::ManyEndpoints));
        let endpoints = numbers.map(|&endpoints| Block { endpoints, ..one });
        let most = self.many_flows.iter().max().filter(|_| has(Case::ManyFlows));
        let flows = most.map(|&most| Block {
            scale: Scale::Flows(most),
            ..one
        });
        endpoints.chain(flows).collect()
    }

    /// The number of services where everything is measured: 1,000, or the nearest below.
    fn typical(&self) -> u32 {
        let few = self.services.iter().rfind(|&&services| services <= 1000);
        few.or_else(|| self.services.first()).copied().unwrap_or(1)
    }

    /// Who takes part in a block: kube-proxy is not asked for more Services than a run can wait for.
    pub(super) fn peers(&self, block: &Block) -> Vec<Peer> {
        let takes_part = |peer: &Peer| !peer.is_kube_proxy() || block.services <= KUBE_PROXY_MOST;
        self.peers.iter().copied().filter(takes_part).collect()
    }

    /// Whether changes are followed in a block: below the number of Services where everything is measured they would say
    /// the same.
    pub(super) fn follows(&self, services: u32) -> bool {
        services >= self.typical()
    }

    /// What is measured in a block.
    pub(super) fn tasks(&self, block: &Block) -> Vec<Task> {
        match block.scale {
            Scale::Services => self.usual_tasks(block),
            Scale::Endpoints => vec![Task::near(Case::ManyEndpoints, 0)],
            // Ascending: live flows are added, none is taken away.
            Scale::Flows(_) => {
                let numbers = self.many_flows.iter();
                numbers.map(|&flows| Task::near(Case::ManyFlows, flows)).collect()
            }
        }
    }

    fn usual_tasks(&self, block: &Block) -> Vec<Task> {
        let everything = block.whole && block.services == self.typical();
        let mut tasks = Vec::new();
        let mut add = |case, path, ip, position| {
            let task = Task {
                case,
                path,
                ip,
                position,
                flows: 0,
            };
            if self.cases.contains(&case) && !tasks.contains(&task) {
                tasks.push(task);
            }
        };
        // From few to the typical number nothing grows but what a list has to be gone through for.
        let is_between = self.services.first() != Some(&block.services) && block.services < self.typical();
        let few = is_between || !block.is_headline();
        let number = match (few, self.quick) {
            (true, _) => FEW,
            (false, true) => SOME,
            (false, false) => CORE.len(),
        };
        for (case, path) in &CORE[..number] {
            add(*case, *path, Ip::V4, Position::Last);
        }
        let has_list = self.peers(block).into_iter().any(|peer| Position::First.is_for(peer));
        if block.whole && has_list && block.services >= self.typical() {
            for position in [Position::First, Position::Middle] {
                add(Case::TcpShort, Path::PodNear, Ip::V4, position);
            }
        }
        if everything {
            for (ip, path, case) in choice::all() {
                add(case, path, ip, Position::Last);
            }
        }
        tasks
    }
}

/// What tells most, and first what is measured of every shape and every number of services.
const CORE: [(Case, Path); 5] = [
    (Case::TcpShort, Path::PodNear),
    (Case::TcpShort, Path::OutsideFar),
    (Case::TcpShort, Path::PodToPod),
    (Case::UdpFlows, Path::PodNear),
    (Case::TcpRequest, Path::PodNear),
];

/// So many of [`CORE`].
const FEW: usize = 3;
/// So many in a quick run.
const SOME: usize = 4;

impl Position {
    /// Whether it means anything for a peer that is measured at the last one, too: only where packets meet Services one
    /// after the other, and for what these are compared with.
    fn is_for(self, peer: Peer) -> bool {
        let has_list = peer.kube_proxy().is_some_and(Mode::has_list);
        self == Self::Last || has_list
    }
}

impl Task {
    /// From a pod to the first service of all, over IPv4.
    fn near(case: Case, flows: u32) -> Self {
        Self {
            case,
            path: Path::PodNear,
            ip: Ip::V4,
            position: Position::First,
            flows,
        }
    }

    /// How many samples it has of these peers, with those that warm up.
    pub(super) fn samples(self, peers: &[Peer]) -> u64 {
        let peers = peers.iter().filter(|peer| self.is_for(**peer));
        peers.count() as u64 * u64::from(ROUNDS + 1)
    }

    /// Whether it says anything of a peer that its other tasks do not.
    pub(super) fn is_for(self, peer: Peer) -> bool {
        // Programs on devices alone do nothing for the node's own sockets.
        let can = self.path != Path::Node || !peer.has_services() || peer.serves_the_node();
        // What has no list is at the same place everywhere.
        let differs = self.case != Case::TcpShort || !peer.has_services() || self.position.is_for(peer);
        can && differs
    }

    pub(super) fn subject(&self, block: &Block) -> Subject {
        let shape = match (block.network, block.between) {
            (PodNetwork::Bridge, Between::Routes) => "",
            (PodNetwork::Bridge, Between::Vxlan) => ", VXLAN between nodes",
            (PodNetwork::Routed, Between::Routes) => ", routed pods",
            (PodNetwork::Routed, Between::Vxlan) => ", routed pods, VXLAN between nodes",
            (PodNetwork::Macvlan, Between::Routes | Between::Vxlan) => ", macvlan pods",
            (_, Between::Tunnels) => ", tunnels between nodes",
        };
        let position = match self.path {
            // With one service there is no list.
            _ if !self.case.is_plain() => "",
            Path::PodToPod => "",
            Path::PodNear | Path::PodFar | Path::Node | Path::OutsideNear | Path::OutsideFar => self.position.title(),
        };
        Subject {
            case: self.case.name(),
            path: format!("{}{shape}", self.path.title()),
            family: self.ip.to_string(),
            host: block.host.title().to_owned(),
            services: block.services,
            endpoints: block.endpoints,
            flows: self.flows,
            position: position.to_owned(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum;

    use super::*;

    /// Everything, of everybody.
    pub(in crate::bench) fn options(quick: bool, services: &[u32]) -> Options {
        Options {
            quick,
            peers: Peer::ALL.to_vec(),
            services: services.to_vec(),
            endpoints: 4,
            many_endpoints: if quick { Vec::new() } else { vec![1, 10_000] },
            many_flows: if quick { Vec::new() } else { vec![1, 1_000_000] },
            cases: Case::value_variants().to_vec(),
            agents: true,
            packets: true,
            out: PathBuf::new(),
            command: String::new(),
        }
    }

    #[test]
    fn a_whole_run_measures_every_case_every_path_and_both_families() {
        let options = options(false, &[1, 1000, 10_000]);
        let blocks = options.blocks();
        let main: Vec<_> = blocks
            .iter()
            .filter(|block| block.is_headline())
            .map(|block| block.services)
            .collect();
        assert_eq!(main, [1, 1000, 10_000]);
        let typical = blocks
            .iter()
            .find(|block| block.services == 1000)
            .map(|block| options.tasks(block));
        let tasks = typical.unwrap_or_default();
        let has = |wanted: &dyn Fn(&Task) -> bool| tasks.iter().any(wanted);
        for case in Case::value_variants().iter().filter(|case| case.is_plain()) {
            assert!(has(&|task| task.case == *case), "{case:?}");
        }
        for path in Path::ALL {
            for ip in Ip::BOTH {
                assert!(has(&|task| (task.path, task.ip) == (path, ip)), "{path:?} {ip}");
            }
        }
    }

    #[test]
    fn more_services_than_kube_proxy_can_have_are_measured_without_it() {
        let options = options(false, &[1000, 30_000]);
        let blocks = options.blocks();
        let block = blocks.iter().find(|block| block.services == 30_000).expect("a block");
        let peers = options.peers(block);
        assert!(
            peers.contains(&Peer::Fairlead) && peers.contains(&Peer::Direct),
            "{peers:?}"
        );
        assert!(!peers.iter().any(|peer| peer.is_kube_proxy()), "{peers:?}");
        assert!(options.tasks(block).iter().all(|task| task.position == Position::Last));
    }

    #[test]
    fn another_position_is_measured_of_who_has_a_list() {
        let options = options(false, &[1, 100, 1000, 10_000]);
        let tasks_of = |block: &Block| options.tasks(block).into_iter();
        let blocks = options.blocks();
        let moved: Vec<_> = blocks
            .iter()
            .flat_map(|block| tasks_of(block).map(move |task| (block.services, task)))
            .filter(|(_, task)| task.case.is_plain() && task.position != Position::Last)
            .collect();
        let services: BTreeSet<u32> = moved.iter().map(|(services, _)| *services).collect();
        assert_eq!(services, BTreeSet::from([1000, 10_000]));
        let peers = Peer::ALL
            .into_iter()
            .filter(|peer| moved.iter().all(|(_, task)| task.is_for(*peer)));
        let expected = [Peer::Direct, Peer::Control, Peer::IptablesNft, Peer::IptablesLegacy];
        assert_eq!(peers.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn other_hosts_and_shapes_are_measured_once() {
        let blocks = options(false, &[1, 1000, 10_000]).blocks();
        let others = |block: &&Block| !block.is_headline() && block.scale == Scale::Services;
        let others: Vec<_> = blocks.iter().filter(others).collect();
        assert!(others.iter().all(|block| block.services == 1000));
        assert_eq!(others.len(), 3);
    }

    #[test]
    fn no_two_tasks_of_a_run_are_the_same_row() {
        for quick in [false, true] {
            let options = options(quick, &[1, 100]);
            let mut subjects = BTreeSet::new();
            for block in options.blocks() {
                for task in options.tasks(&block) {
                    let subject = task.subject(&block);
                    assert!(subjects.insert(subject.clone()), "{subject}");
                }
            }
        }
    }

    #[test]
    fn live_flows_are_added_to_the_same_stands() {
        let options = options(false, &[1000]);
        let blocks = options.blocks();
        let block = blocks.iter().find(|block| matches!(block.scale, Scale::Flows(_)));
        let flows: Vec<u32> = block
            .map(|block| options.tasks(block))
            .unwrap_or_default()
            .iter()
            .map(|task| task.flows)
            .collect();
        assert_eq!(flows, [1, 1_000_000]);
        assert_eq!(block.map(|block| block.scale), Some(Scale::Flows(1_000_000)));
        let endpoints = blocks.iter().filter(|block| block.scale == Scale::Endpoints);
        assert_eq!(endpoints.map(|block| block.endpoints).collect::<Vec<_>>(), [1, 10_000]);
    }

    #[test]
    fn only_what_is_asked_for_is_measured() {
        let asked = Options {
            cases: vec![Case::TcpStream],
            ..options(false, &[100])
        };
        let tasks: Vec<_> = asked.blocks().iter().flat_map(|block| asked.tasks(block)).collect();
        assert!(!tasks.is_empty() && tasks.iter().all(|task| task.case == Case::TcpStream));
    }
}
