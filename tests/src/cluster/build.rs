//! What a world is to look like, and its making.

use std::sync::Arc;

use anyhow::{Result, bail};

use super::node::Node;
use super::place::Place;
use super::scratch::Scratch;
use super::{World, wire};
use crate::cgroup::Cgroup;
use crate::netns::NetNs;

/// How a node's pods are connected to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodNetwork {
    /// A veth per pod, the host's sides in one bridge that is the pods' gateway.
    #[default]
    Bridge,
    /// A veth per pod and a host route to it; the pod's gateway is a link-local address that the host answers for.
    Routed,
    /// A macvlan device per pod on the uplink: pods are hosts of the nodes' segment, and what they send does not pass the
    /// node. With [`Uplink::Direct`] and [`Between::Routes`] only.
    Macvlan,
}

/// What the node's own address is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uplink {
    /// The uplink itself.
    #[default]
    Direct,
    /// The pod bridge, of which the uplink is a port.
    BridgePort,
    /// A bond, of which the uplink is the only member; where the kernel has bonds.
    Bond,
}

/// How pods reach the pods of other nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Between {
    /// Plain routes over the nodes' network.
    #[default]
    Routes,
    /// A VXLAN device in every node, over IPv4.
    Vxlan,
    /// A tunnel without a link header for each family to every other node, over IPv4; where the kernel has those.
    Tunnels,
}

/// What one node is to look like.
#[derive(Clone, Copy, Debug)]
pub struct NodePlan {
    /// How many pods it starts with.
    pub pods: usize,
    /// How they are connected.
    pub network: PodNetwork,
    /// What the node's address is on.
    pub uplink: Uplink,
    /// Whether bridged packets go through the netfilter hooks of IP.
    pub bridge_netfilter: bool,
    /// Whether a rule makes the kernel track connections.
    pub conntrack: bool,
    /// The kernel's reverse-path filter for IPv4: 0 off, 1 strict, 2 loose.
    pub rp_filter: u8,
    /// The MTU of the pods' links.
    pub mtu: u32,
}

impl Default for NodePlan {
    fn default() -> Self {
        Self {
            pods: 0,
            network: PodNetwork::default(),
            uplink: Uplink::default(),
            bridge_netfilter: false,
            conntrack: false,
            rp_filter: 0,
            mtu: 1500,
        }
    }
}

/// What a world is to look like; [`WorldPlan::build`] makes it.
#[derive(Clone, Debug)]
pub struct WorldPlan {
    nodes: Vec<NodePlan>,
    between: Between,
    name: Option<String>,
}

impl WorldPlan {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            nodes: vec![NodePlan::default(); nodes],
            between: Between::default(),
            name: None,
        }
    }

    /// The number of pods in every node.
    #[must_use]
    pub fn pods(self, count: usize) -> Self {
        self.each(|node| node.pods = count)
    }

    /// The pod network of every node.
    #[must_use]
    pub fn network(self, network: PodNetwork) -> Self {
        self.each(|node| node.network = network)
    }

    /// How the nodes' pod networks are joined.
    #[must_use]
    pub fn between(mut self, between: Between) -> Self {
        self.between = between;
        match between {
            Between::Routes => self,
            Between::Vxlan => self.each(|node| node.mtu = wire::VXLAN_MTU),
            Between::Tunnels => self.each(|node| node.mtu = wire::TUNNEL_MTU),
        }
    }

    /// Changes every node's plan.
    #[must_use]
    pub fn each(mut self, change: impl FnMut(&mut NodePlan)) -> Self {
        self.nodes.iter_mut().for_each(change);
        self
    }

    /// Changes the plan of node `n`, counted from 0.
    #[must_use]
    pub fn node(mut self, n: usize, change: impl FnOnce(&mut NodePlan)) -> Self {
        change(&mut self.nodes[n]);
        self
    }

    /// A name of its own instead of a test's; such a world is not swept by later tests.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Makes the world; every address answers when this returns.
    ///
    /// # Errors
    /// When not root, or a part cannot be made; what was made until then is removed.
    pub fn build(self) -> Result<World> {
        self.check()?;
        let scratch = match &self.name {
            Some(name) => Scratch::named(name)?,
            None => Scratch::for_test()?,
        };
        let cgroup = Cgroup::create(scratch.name())?;
        let beyond = Arc::new(cgroup.child("outside")?);
        let place = |label: &str, cgroup: &Arc<Cgroup>| -> Result<Place> {
            let netns = NetNs::create(&format!("{}-{label}", scratch.name()))?;
            Ok(Place::new(label, netns, Arc::clone(cgroup), &scratch.path("")))
        };
        let router = Arc::new(place("router", &beyond)?);
        wire::router(router.netns(), &self.nodes)?;
        let client = place("client", &beyond)?;
        wire::client(client.netns(), router.netns())?;
        let mut nodes = Vec::new();
        for (number, plan) in self.nodes.iter().enumerate() {
            let label = Node::label_of(number);
            let own = Arc::new(cgroup.child(&label)?);
            let place = place(&label, &own)?;
            wire::node(place.netns(), router.netns(), number, plan)?;
            wire::between(place.netns(), number, &self.nodes, self.between)?;
            let mut node = Node::new(place, number, *plan, scratch.name())?;
            (0..plan.pods).try_for_each(|_| node.add_pod().map(drop))?;
            nodes.push(node);
        }
        Ok(World {
            nodes,
            router,
            client,
            cgroup,
            scratch,
        })
    }

    /// Pods on the nodes' segment have no way through a bridge or a tunnel of their node.
    fn check(&self) -> Result<()> {
        let on_segment = |node: &&NodePlan| node.network == PodNetwork::Macvlan;
        let possible = |node: &NodePlan| node.uplink == Uplink::Direct && self.between == Between::Routes;
        match self.nodes.iter().find(|node| on_segment(node) && !possible(node)) {
            Some(node) => bail!("{:?}: not with {:?} and {:?}", node.network, node.uplink, self.between),
            None => Ok(()),
        }
    }
}
