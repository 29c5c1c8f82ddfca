//! A small cluster on this machine: nodes, pods, the network between them and a client outside, all in namespaces.

mod build;
mod node;
mod lone;
mod place;
mod scratch;
mod wire;
mod macvlan;

use std::sync::Arc;

use anyhow::Result;

use crate::cgroup::Cgroup;
use crate::plan::Dual;

pub use build::{Between, NodePlan, PodNetwork, Uplink, WorldPlan};
pub use lone::Lone;
pub use node::{Node, Pod};
pub use place::Place;
pub use scratch::{leftovers, remove_own_worlds, remove_world};

use scratch::Scratch;
use wire::routes_via;

/// Everything a test needs around the agent. Dropping it ends every process in it and removes every trace.
#[derive(Debug)]
pub struct World {
    /// The nodes with their pods.
    pub nodes: Vec<Node>,
    /// The switch between the nodes, and the router between them and the client.
    pub router: Arc<Place>,
    /// A host that is not of the cluster.
    pub client: Place,
    // Last, so that the processes and the namespaces are gone before what they used.
    cgroup: Cgroup,
    scratch: Scratch,
}

impl World {
    /// One node with no pods; see [`WorldPlan`] for what can be added.
    pub fn one_node() -> WorldPlan {
        WorldPlan::new(1)
    }

    /// Two nodes with no pods; see [`WorldPlan`] for what can be added.
    pub fn two_nodes() -> WorldPlan {
        WorldPlan::new(2)
    }

    /// Node `n`, counted from 0.
    pub fn node(&self, n: usize) -> &Node {
        &self.nodes[n]
    }

    /// Pod `i` of node `n`, both counted from 0.
    pub fn pod(&self, n: usize, i: usize) -> &Pod {
        &self.nodes[n].pods[i]
    }

    /// The prefix of the name of everything that belongs to this world.
    pub fn name(&self) -> &str {
        self.scratch.name()
    }

    /// Sends a network, of which no other part of the plan is, to a pod of a node, from every node and from outside. The
    /// lengths are those of its IPv4 and its IPv6 prefix.
    ///
    /// # Errors
    /// When a route is refused.
    pub fn route_to_pod(&self, node: usize, pod: usize, network: Dual, lengths: (u8, u8)) -> Result<()> {
        self.nodes[node].route_to_pod(&self.nodes[node].pods[pod], network, lengths)?;
        let lines = routes_via(self.nodes[node].address(), network, lengths, "");
        let others = self.nodes.iter().enumerate().filter(|(number, _)| *number != node);
        others.into_iter().try_for_each(|(_, other)| other.netns().ip(&lines))?;
        self.router.netns().ip(&lines)
    }

    /// Stops every process of the world where it is, until [`World::thaw`].
    ///
    /// # Errors
    /// When the kernel does not within ten seconds.
    pub fn freeze(&self) -> Result<()> {
        self.cgroup.freeze(true)
    }

    /// Lets the processes go on.
    ///
    /// # Errors
    /// When the kernel does not within ten seconds.
    pub fn thaw(&self) -> Result<()> {
        self.cgroup.freeze(false)
    }

    /// Leaves everything in place when this value goes; [`remove_world`] removes it by its name.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.scratch.print_logs();
        }
        if let Err(error) = self.cgroup.kill() {
            eprintln!("{error:#}");
        }
    }
}
