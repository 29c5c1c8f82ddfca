//! A peer with everything around it: two nodes, pods that serve, Services, and its agents.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};

use super::crowd;
use super::host::Host;
use super::live;
use super::objects::{self, Objects, Scale, Use};
use super::peer::Peer;
use super::proxy::Proxy;
use super::rules;
use super::servers::Servers;
use crate::apiserver::{ApiServer, Door};
use crate::cluster::{Between, Node, Place, Pod, PodNetwork, World};
use crate::plan::{self, Ip};

/// What a stand is to look like.
#[derive(Clone, Copy, Debug)]
pub struct StandPlan {
    /// Whose it is.
    pub peer: Peer,
    /// What its nodes are like.
    pub host: Host,
    /// How pods are connected to their node.
    pub network: PodNetwork,
    /// How nodes are connected.
    pub between: Between,
    /// The Services, which must be at the API server before the stand is started.
    pub objects: Objects,
}

impl StandPlan {
    /// Why the client's pod cannot reach Service `n`, if it cannot: without bridge netfilter the answer of a pod in the
    /// same bridge goes straight to the client, past the rules of kube-proxy that would translate it back.
    pub fn impossible(&self, n: usize) -> Option<&'static str> {
        let straight = self.network == PodNetwork::Bridge && self.host == Host::Bare && objects::is_near(n);
        (straight && self.peer.is_kube_proxy()).then_some("kube-proxy needs br_netfilter for pods in one bridge")
    }
}

/// One peer's two nodes. Every stand has the same names and addresses in namespaces of its own, and follows the same API
/// server. Dropping it ends every process in it and removes every trace.
#[derive(Debug)]
pub struct Stand {
    /// What it was to look like.
    pub plan: StandPlan,
    /// Its agents by node; none for a peer without.
    pub agents: Vec<Proxy>,
    /// Its live flows: the first so many of [`live`].
    pub(super) live: u32,
    _servers: Servers,
    _door: Door,
    /// Its nodes and pods.
    pub world: World,
}

/// Where in a peer's list of Services one is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Position {
    /// At its beginning.
    First,
    /// Half-way.
    Middle,
    /// At its end.
    Last,
}

/// A Service to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub service: usize,
    /// The place of its first rule, counted from 0.
    pub place: usize,
    /// How long the list is.
    pub of: usize,
}

impl Stand {
    /// Makes the world, starts the servers and the agents of both nodes at once, and waits until the Services that the
    /// API server has are programmed.
    ///
    /// # Errors
    /// When a part cannot be made, or an agent does not get ready: then with the end of its log.
    pub fn start(plan: StandPlan, api: &ApiServer) -> Result<Self> {
        let mut stand = Self::without_agents(plan, api)?;
        stand.begin(api)?;
        stand.complete()?;
        Ok(stand)
    }

    /// The same without the agents, for [`Stand::begin`].
    ///
    /// # Errors
    /// When a part cannot be made.
    pub fn without_agents(plan: StandPlan, api: &ApiServer) -> Result<Self> {
        let pods = plan.objects.pods();
        let mut shape = World::two_nodes().network(plan.network).between(plan.between);
        for (number, count) in pods.into_iter().enumerate() {
            shape = shape.node(number, |node| {
                node.pods = count;
                plan.host.plan(node);
            });
        }
        let world = shape.build()?;
        plan.host.finish(&world)?;
        match plan.objects.scale {
            Scale::Services => {}
            Scale::Endpoints => crowd::settle(&world, plan.objects)?,
            Scale::Flows(_) => live::settle(&world)?,
        }
        Ok(Self {
            plan,
            agents: Vec::new(),
            live: 0,
            _servers: Servers::start(&world, plan.objects)?,
            _door: api.join(&world)?,
            world,
        })
    }

    /// Starts the agents of both nodes and waits for nothing.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn begin(&mut self, api: &ApiServer) -> Result<()> {
        self.begin_first(self.world.nodes.len(), api)
    }

    /// Starts the agent of the client's node alone, and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn begin_here(&mut self, api: &ApiServer) -> Result<()> {
        self.begin_first(1, api)
    }

    fn begin_first(&mut self, nodes: usize, api: &ApiServer) -> Result<()> {
        self.agents.clear();
        for (number, node) in self.world.nodes.iter().take(nodes).enumerate() {
            // Live flows cross the client's node alone.
            let flows = match self.plan.objects.scale {
                Scale::Flows(most) if number == 0 => most,
                Scale::Flows(_) | Scale::Services | Scale::Endpoints => 0,
            };
            if let Some(mut agent) = Proxy::of(self.plan.peer, node, api, flows)? {
                agent.begin()?;
                self.agents.push(agent);
            }
        }
        Ok(())
    }

    /// Waits until its agents have programmed everything.
    ///
    /// # Errors
    /// When one does not: with the end of its log.
    pub fn complete(&mut self) -> Result<()> {
        for (agent, node) in self.agents.iter_mut().zip(&self.world.nodes) {
            let complete = agent.complete(node, self.plan.objects);
            complete.with_context(|| format!("{} on {}", self.plan.peer, node.label()))?;
        }
        Ok(())
    }

    /// Stops every process of the stand where it is, agents and servers.
    ///
    /// # Errors
    /// When the kernel does not.
    pub fn pause(&self) -> Result<()> {
        self.world.freeze()
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// When the kernel does not.
    pub fn resume(&self) -> Result<()> {
        self.world.thaw()
    }

    /// Adds live flows, which the stand's objects must have room for, until there are so many; none where there are no
    /// services. The stand may not be paused.
    ///
    /// # Errors
    /// When one cannot be opened through the Service, or they are not in the peer's books.
    pub fn fill(&mut self, flows: u32) -> Result<()> {
        live::fill(self, flows)
    }

    /// Whether its live flows are still there; it may not be paused.
    ///
    /// # Errors
    /// When some have been forgotten.
    pub fn flows_live(&self) -> Result<()> {
        live::live(self)
    }

    /// The pod that sends.
    pub fn client(&self) -> &Pod {
        self.world.pod(0, 0)
    }

    /// The client's node.
    pub fn node(&self) -> &Node {
        self.world.node(0)
    }

    /// The host that is not of the cluster.
    pub fn outside(&self) -> &Place {
        &self.world.client
    }

    /// What is dialled to reach Service `n`: its cluster address, and the pod itself where the peer has no services.
    pub fn target(&self, n: usize, of: Use, ip: Ip) -> SocketAddr {
        if self.plan.peer.has_services() {
            return objects::cluster_ip(n).at(ip, of.port());
        }
        self.backend(n, of, ip)
    }

    /// An endpoint of Service `n`, dialled by itself.
    pub fn backend(&self, n: usize, of: Use, ip: Ip) -> SocketAddr {
        let first = self.plan.objects.backend_pods(n).start;
        plan::pod(objects::node_of(n), first).at(ip, of.target())
    }

    /// What the outside dials to reach an equipped Service at the client's node: a node port, and the pod itself where the
    /// peer has no services.
    pub fn node_port(&self, n: usize, of: Use, ip: Ip) -> Option<SocketAddr> {
        if !self.plan.peer.has_services() {
            return Some(self.backend(n, of, ip));
        }
        let port = self.plan.objects.node_port(n, of)?;
        Some(self.node().address().at(ip, port))
    }

    /// The Service at a position of the list that the client's node has now, near or far, equipped or any.
    ///
    /// Mode iptables writes its list anew, in another order, with every change of anything. Other peers have no list:
    /// for them the order is that of the numbers.
    ///
    /// # Errors
    /// When the rules cannot be read, or there is no such Service.
    pub fn service_at(&self, position: Position, ip: Ip, near: bool, equipped: bool) -> Result<Found> {
        let objects = self.plan.objects;
        let list = match self.plan.peer.kube_proxy() {
            Some(mode) if mode.has_list() => rules::services(self.node(), mode, ip)?,
            Some(_) | None => (0..objects.count()).collect(),
        };
        ensure!(!list.is_empty(), "{}: no services in its rules", self.plan.peer);
        let wanted = position.place(list.len());
        let fits = |n: usize| objects::is_near(n) == near && (!equipped || objects.is_equipped(n));
        let fitting = list.iter().enumerate().filter(|(_, n)| fits(**n));
        let (place, service) = fitting
            .min_by_key(|(place, _)| place.abs_diff(wanted))
            .with_context(|| format!("{}: no such service in its rules", self.plan.peer))?;
        Ok(Found {
            service: *service,
            place,
            of: list.len(),
        })
    }
}

impl Position {
    /// All.
    pub const ALL: [Self; 3] = [Self::First, Self::Middle, Self::Last];

    /// As the report says it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Middle => "middle",
            Self::Last => "last",
        }
    }

    const fn place(self, of: usize) -> usize {
        match self {
            Self::First => 0,
            Self::Middle => of / 2,
            Self::Last => of.saturating_sub(1),
        }
    }
}
