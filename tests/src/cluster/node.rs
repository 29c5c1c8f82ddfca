//! Nodes and pods.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

use super::build::NodePlan;
use super::place::Place;
use super::wire;
use crate::netns::NetNs;
use crate::plan::{self, Dual};

/// A node of the cluster: a [`Place`] with pods, an address and what the agent of that node needs.
#[derive(Debug)]
pub struct Node {
    /// Its pods, in the order in which they were added.
    pub pods: Vec<Pod>,
    place: Arc<Place>,
    number: usize,
    plan: NodePlan,
    world: String,
    /// Counts every pod there ever was: names and addresses of removed ones are not used again.
    next_pod: AtomicUsize,
}

/// A pod: a [`Place`] with an address in its node's pod network.
#[derive(Debug)]
pub struct Pod {
    place: Place,
    /// Its addresses.
    pub address: Dual,
    /// The node's end of its link; pods on a macvlan device have none.
    pub host_device: String,
}

impl Node {
    /// The name of node `n`, which is also the name of its Node object: `node-a`, `node-b`.
    pub(super) fn label_of(number: usize) -> String {
        let letter = (b'a'..=b'z').nth(number).map_or('?', char::from);
        format!("node-{letter}")
    }

    pub(super) fn new(place: Place, number: usize, plan: NodePlan, world: &str) -> Result<Self> {
        let node = Self {
            pods: Vec::new(),
            place: Arc::new(place),
            number,
            plan,
            world: world.to_owned(),
            next_pod: AtomicUsize::new(0),
        };
        fs::create_dir(node.state_dir())?;
        fs::create_dir(node.manifests_dir())?;
        Ok(node)
    }

    /// Its addresses on the nodes' network.
    pub fn address(&self) -> Dual {
        plan::node(self.number)
    }

    /// The first addresses of its pods' networks, `/24` and `/64`.
    pub fn pod_network(&self) -> Dual {
        plan::in_pod_network(self.number, 0)
    }

    /// Every address that may be the node's own, as its shape has them: uplink, pod bridge, VXLAN device.
    pub fn own_addresses(&self) -> [Dual; 3] {
        [self.address(), plan::in_pod_network(self.number, 1), self.pod_network()]
    }

    /// The place of the node, for what outlives a borrow of it.
    pub fn shared(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }

    /// Its folder on the bpffs, for the agent's pins.
    pub fn state_dir(&self) -> PathBuf {
        self.folder().join("bpf").join(self.label())
    }

    /// The names in that folder; none where there is no such folder.
    pub fn pins(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.state_dir()) else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    /// Its folder of manifests.
    pub fn manifests_dir(&self) -> PathBuf {
        self.folder().join(format!("manifests-{}", self.label()))
    }

    /// Adds a pod; its addresses answer when this returns.
    ///
    /// # Errors
    /// When a part of it cannot be made.
    pub fn add_pod(&mut self) -> Result<&Pod> {
        let pod = self.unconnected_pod()?;
        self.connect(&pod)?;
        self.pods.push(pod);
        Ok(&self.pods[self.pods.len() - 1])
    }

    /// The next pod without its link: what runs in it can be started before [`Node::connect`].
    ///
    /// # Errors
    /// When its namespace cannot be made.
    pub fn unconnected_pod(&self) -> Result<Pod> {
        let index = self.next_pod.fetch_add(1, Ordering::Relaxed);
        let label = self.label().replace("node", "pod") + &format!("-{index}");
        let netns = NetNs::create(&format!("{}-{label}", self.world))?;
        let place = Place::new(&label, netns, self.shared_cgroup(), self.folder());
        Ok(Pod {
            place,
            address: plan::pod(self.number, index),
            host_device: format!("pod{index}"),
        })
    }

    /// Gives a pod its link, addresses and routes.
    ///
    /// # Errors
    /// When a command of the set-up fails.
    pub fn connect(&self, pod: &Pod) -> Result<()> {
        wire::pod(
            self.netns(),
            pod.netns(),
            self.number,
            &self.plan,
            pod.address,
            &pod.host_device,
        )
    }
}

impl Node {
    /// Sends a network to one of its pods.
    ///
    /// # Errors
    /// When a route is refused.
    pub(super) fn route_to_pod(&self, pod: &Pod, network: Dual, lengths: (u8, u8)) -> Result<()> {
        let device = format!("dev {} onlink", wire::gateway_device(&self.plan, &pod.host_device));
        self.netns()
            .ip(&wire::routes_via(pod.address, network, lengths, &device))
    }

    /// The node's device that a pod's first hop is: its bridge, or the other end of the pod's link.
    pub fn gateway_device<'a>(&self, pod: &'a Pod) -> &'a str {
        wire::gateway_device(&self.plan, &pod.host_device)
    }
}

impl Pod {
    /// Makes all addresses of a network, which is routed to it, its own.
    ///
    /// # Errors
    /// When a route is refused.
    pub fn owns(&self, network: Dual, lengths: (u8, u8)) -> Result<()> {
        self.netns().ip(&format!(
            "route add local {}/{} dev lo\nroute add local {}/{} dev lo\n",
            network.v4, lengths.0, network.v6, lengths.1
        ))
    }
}

impl Deref for Node {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Deref for Pod {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}
