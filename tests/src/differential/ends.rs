//! Who dials and who answers.

use crate::cluster::{Place, World};
use crate::plan::{self, Dual};

/// Pods of each node. The first of the first node dials, and may be an endpoint too.
pub const PODS: usize = 3;

/// What may be an endpoint: a pod, or a process of the node itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Pod of a node, both counted from 0.
    Pod(usize, usize),
    /// A node, counted from 0.
    Host(usize),
}

/// Who dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// A pod of the first node.
    Pod,
    /// The first node itself.
    Node,
    /// A host outside the cluster.
    Outside,
}

impl Server {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::Pod(0, 0),
        Self::Pod(0, 1),
        Self::Pod(0, 2),
        Self::Pod(1, 0),
        Self::Pod(1, 1),
        Self::Pod(1, 2),
        Self::Host(0),
        Self::Host(1),
    ];

    /// The node it is on.
    pub const fn node(self) -> usize {
        match self {
            Self::Pod(node, _) | Self::Host(node) => node,
        }
    }

    /// Its addresses.
    pub fn address(self) -> Dual {
        match self {
            Self::Pod(node, pod) => plan::pod(node, pod),
            Self::Host(node) => plan::node(node),
        }
    }

    /// Where it runs.
    pub fn place(self, world: &World) -> &Place {
        match self {
            Self::Pod(node, pod) => world.pod(node, pod),
            Self::Host(node) => world.node(node),
        }
    }
}

impl Sender {
    /// All.
    pub const ALL: [Self; 3] = [Self::Pod, Self::Node, Self::Outside];

    /// Where it runs.
    pub fn place(self, world: &World) -> &Place {
        match self {
            Self::Pod => world.pod(0, 0),
            Self::Node => world.node(0),
            Self::Outside => &world.client,
        }
    }

    /// As a report names it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Pod => "a pod",
            Self::Node => "the node",
            Self::Outside => "outside",
        }
    }
}
