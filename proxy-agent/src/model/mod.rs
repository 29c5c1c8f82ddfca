//! API objects -> our values. No Kubernetes type leaves this folder.
//!
//! The model is what all sources together say at the moment, each object as small as it can be: texts that many have
//! are shared, lists are boxed slices, and what no later stage reads is not kept.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
    time::SystemTime,
};

use ipnet::IpNet;

use crate::watch::Change;

pub use name::ObjectName;
pub use node::NodeFacts;
pub use refusal::{Complaint, Kind, Look, Refusal, Refusals};
pub use service::{ServicePort, ServiceSpec};
pub use slice::{Endpoint, Hints, Slice, SlicePort, condition};

use name::Texts;
use overlap::Overlaps;
use relist::Relist;
use slice::HintSets;

pub mod address;
mod name;
mod refusal;
mod service;
mod contradiction;
mod port;
mod slice;
mod node;
mod relist;
mod overlap;
mod intake;
#[cfg(test)]
mod tests;

/// Everything that is known of the API objects.
#[derive(Debug)]
pub struct Model {
    node_name: String,
    node: NodeFacts,
    service_cidrs: BTreeMap<ObjectName, Vec<IpNet>>,
    services: HashMap<ObjectName, Record>,
    /// The Service of each slice, in the slice's namespace.
    slice_owners: HashMap<ObjectName, Arc<str>>,
    overlaps: Overlaps,
    lists: Lists,
    texts: Texts,
    hints: HintSets,
}

/// What is known under a Service's name.
#[derive(Debug, Default)]
struct Record {
    spec: Option<Arc<ServiceSpec>>,
    slices: Vec<Slice>,
}

#[derive(Debug, Default)]
struct Lists {
    services: Relist<Option<Arc<ServiceSpec>>>,
    slices: Relist<Option<OwnedSlice>>,
    nodes: Relist<NodeFacts>,
    service_cidrs: Relist<Vec<IpNet>>,
}

/// A slice and the name of its Service.
type OwnedSlice = (Arc<str>, Slice);

/// What has changed since the last pass.
#[derive(Debug, Default)]
pub struct Touched {
    /// The Services whose own object, slices or endpoints have changed, with the object as it was at the last pass. While
    /// the model is not complete nothing is noted here: the first pass looks at all of them.
    pub services: HashMap<ObjectName, Option<Arc<ServiceSpec>>>,
    /// The node's facts.
    pub node: bool,
    /// What decides the choice of endpoints for every service: the node's zone.
    pub zone: bool,
    /// How many changes of Services were different from what was known.
    pub services_changed: u64,
    /// The same for slices.
    pub slices_changed: u64,
    /// When the changes were made in the cluster that slices followed, as far as they say it.
    pub triggers: Vec<SystemTime>,
}

impl Model {
    /// An empty model of what a node sees. `node_name` is the name of its Node.
    #[must_use]
    pub fn new(node_name: &str) -> Self {
        Model {
            node_name: node_name.to_owned(),
            node: NodeFacts::default(),
            service_cidrs: BTreeMap::new(),
            services: HashMap::new(),
            slice_owners: HashMap::new(),
            overlaps: Overlaps::default(),
            lists: Lists::default(),
            texts: Texts::default(),
            hints: HintSets::default(),
        }
    }

    /// Whether every kind of object has been listed once: before that nothing may be concluded from what is missing.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.lists.services.settled
            && self.lists.slices.settled
            && self.lists.nodes.settled
            && self.lists.service_cidrs.settled
    }

    /// Takes a change in. What it touches is added to `touched`; what cannot be used is told to `refusals`.
    pub fn apply(&mut self, change: Change, touched: &mut Touched, refusals: &mut Refusals) {
        match change {
            Change::Service(event) => self.apply_service(event, touched, refusals),
            Change::Slice(event) => self.apply_slice(event, touched, refusals),
            Change::Node(event) => self.apply_node(event, touched, refusals),
            Change::ServiceCidr(event) => self.apply_service_cidr(event, touched, refusals),
            Change::Unread(object) => self.note_unread(object, refusals),
        }
    }

    /// Ends a series of changes: adds the Services that are touched through others. To be called before a pass.
    pub fn settle(&mut self, touched: &mut Touched) {
        let suspects = self.overlaps.take_suspects();
        if suspects.is_empty() {
            return;
        }
        for (name, record) in &self.services {
            let mut endpoints = record.slices.iter().flat_map(|slice| slice.endpoints.iter());
            if endpoints.any(|endpoint| suspects.contains(&endpoint.address)) {
                touched
                    .services
                    .entry(name.clone())
                    .or_insert_with(|| record.spec.clone());
            }
        }
    }

    /// A Service.
    #[must_use]
    pub fn service(&self, name: &ObjectName) -> Option<&Arc<ServiceSpec>> {
        self.services.get(name)?.spec.as_ref()
    }

    /// All Services, in no order.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceSpec>> {
        self.services.values().filter_map(|record| record.spec.as_ref())
    }

    /// The slices of a Service, in no order.
    #[must_use]
    pub fn slices(&self, name: &ObjectName) -> &[Slice] {
        self.services.get(name).map_or(&[], |record| &record.slices)
    }

    /// Whether an endpoint of a Service has an address that is the ClusterIP of that Service or of an older one. A younger
    /// one cannot take an endpoint away.
    #[must_use]
    pub fn is_cluster_ip(&self, address: IpAddr, of: &ServiceSpec) -> bool {
        self.overlaps.is_cluster_ip(address, of)
    }

    /// Whether some Service has this ClusterIP.
    #[must_use]
    pub fn has_cluster_ip(&self, address: IpAddr) -> bool {
        self.overlaps.has_cluster_ip(address)
    }

    /// This node.
    #[must_use]
    pub const fn node(&self) -> &NodeFacts {
        &self.node
    }

    /// The networks of all ServiceCIDRs, sorted, each once.
    #[must_use]
    pub fn service_networks(&self) -> Vec<IpNet> {
        let mut networks: Vec<IpNet> = self.service_cidrs.values().flatten().copied().collect();
        networks.sort_unstable();
        networks.dedup();
        networks
    }
}
