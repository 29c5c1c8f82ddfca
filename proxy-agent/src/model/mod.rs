//! API objects -> our values. No Kubernetes type leaves this folder.
//!
//! The model is what all sources together say at the moment, each object as small as it can be: texts that many have
//! are shared, lists are boxed slices, and what no later stage reads is not kept.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
    time::SystemTime,
};

use ipnet::IpNet;

use crate::watch::{Change, Event, object};

pub use name::ObjectName;
pub use node::NodeFacts;
pub use refusal::{Kind, Look, Refusal, Refusals};
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
mod slice;
mod node;
mod relist;
mod overlap;
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
    /// The Services whose own object, slices or endpoints have changed, with the object as it was at the last pass.
    pub services: HashMap<ObjectName, Option<Arc<ServiceSpec>>>,
    /// The node's facts.
    pub node: bool,
    /// What decides the choice of endpoints for every service: the node's zone.
    pub zone: bool,
    /// How many changes of Services and of slices were different from what was known.
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

    /// Whether some Service has this ClusterIP.
    #[must_use]
    pub fn is_cluster_ip(&self, address: IpAddr) -> bool {
        self.overlaps.is_cluster_ip(address)
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

    fn apply_service(&mut self, event: Event<object::Service>, touched: &mut Touched, refusals: &mut Refusals) {
        match event {
            Event::Begin => self.lists.services.begin(),
            Event::Listed(service) => {
                let (name, spec) = self.read_service(&service, refusals);
                if !self.lists.services.settled {
                    self.lists.services.seen(name.clone());
                    return self.set_service(name, spec, touched);
                }
                let known = self.service(&name).map(|known| &**known);
                let differs = known != spec.as_deref();
                self.lists.services.listed(name, spec, differs);
            }
            Event::End => {
                let outcome = self.lists.services.end();
                refusals.retain(Kind::Service, &outcome.seen);
                let gone = self.services.iter().filter(|(_, record)| record.spec.is_some());
                for name in missing(gone.map(|(name, _)| name), &outcome.seen) {
                    self.set_service(name, None, touched);
                }
                for (name, spec) in outcome.changed {
                    self.set_service(name, spec, touched);
                }
            }
            Event::Set(service) => {
                let (name, spec) = self.read_service(&service, refusals);
                self.set_service(name, spec, touched);
            }
            Event::Gone(service) => {
                let name = self.texts.name_of(&service.metadata);
                refusals.found(Kind::Service, &name, Look::Alone, Vec::new());
                self.set_service(name, None, touched);
            }
            Event::Unavailable => self.lists.services.settled = true,
        }
    }

    fn read_service(
        &mut self,
        service: &object::Service,
        refusals: &mut Refusals,
    ) -> (ObjectName, Option<Arc<ServiceSpec>>) {
        let name = self.texts.name_of(&service.metadata);
        let mut found = Vec::new();
        let spec = service::read(&name, service, &mut self.texts, &mut found).map(Arc::new);
        refusals.found(Kind::Service, &name, Look::Alone, found);
        (name, spec)
    }

    fn set_service(&mut self, name: ObjectName, spec: Option<Arc<ServiceSpec>>, touched: &mut Touched) {
        let known = self.service(&name).cloned();
        if known == spec {
            return;
        }
        for address in known.iter().flat_map(|spec| &spec.cluster_ips) {
            self.overlaps.remove_cluster_ip(*address);
        }
        for address in spec.iter().flat_map(|spec| &spec.cluster_ips) {
            self.overlaps.add_cluster_ip(*address);
        }
        touched.services_changed += 1;
        touched.services.entry(name.clone()).or_insert(known);
        match spec {
            Some(spec) => self.services.entry(name).or_default().spec = Some(spec),
            None => self.change_record(name, |record| record.spec = None),
        }
    }

    /// Changes what is known under a name, and forgets the name when nothing is.
    fn change_record(&mut self, name: ObjectName, change: impl FnOnce(&mut Record)) {
        if let std::collections::hash_map::Entry::Occupied(mut entry) = self.services.entry(name) {
            change(entry.get_mut());
            if entry.get().spec.is_none() && entry.get().slices.is_empty() {
                entry.remove();
            }
        }
    }

    fn apply_slice(&mut self, event: Event<object::EndpointSlice>, touched: &mut Touched, refusals: &mut Refusals) {
        match event {
            Event::Begin => self.lists.slices.begin(),
            Event::Listed(slice) => {
                let (name, slice) = self.read_slice(&slice, refusals);
                if !self.lists.slices.settled {
                    self.lists.slices.seen(name.clone());
                    return self.set_slice(name, slice, touched);
                }
                let differs = self.slice_differs(&name, slice.as_ref());
                self.lists.slices.listed(name, slice, differs);
            }
            Event::End => {
                let outcome = self.lists.slices.end();
                refusals.retain(Kind::EndpointSlice, &outcome.seen);
                for (name, slice) in outcome.changed {
                    self.set_slice(name, slice, touched);
                }
                for name in missing(self.slice_owners.keys(), &outcome.seen) {
                    self.set_slice(name, None, touched);
                }
            }
            Event::Set(slice) => {
                let trigger = slice::trigger(&slice);
                let known = touched.slices_changed;
                let (name, slice) = self.read_slice(&slice, refusals);
                self.set_slice(name, slice, touched);
                touched
                    .triggers
                    .extend(trigger.filter(|_| touched.slices_changed > known));
            }
            Event::Gone(slice) => {
                let name = self.texts.name_of(&slice.metadata);
                refusals.found(Kind::EndpointSlice, &name, Look::Alone, Vec::new());
                self.set_slice(name, None, touched);
            }
            Event::Unavailable => self.lists.slices.settled = true,
        }
    }

    fn read_slice(
        &mut self,
        slice: &object::EndpointSlice,
        refusals: &mut Refusals,
    ) -> (ObjectName, Option<OwnedSlice>) {
        let name = self.texts.name_of(&slice.metadata);
        let mut context = slice::Context {
            node: &self.node_name,
            texts: &mut self.texts,
            hints: &mut self.hints,
        };
        let mut found = Vec::new();
        let read = slice::read(&name, slice, &mut context, &mut found);
        refusals.found(Kind::EndpointSlice, &name, Look::Alone, found);
        (name, read)
    }

    fn slice_differs(&self, name: &ObjectName, slice: Option<&OwnedSlice>) -> bool {
        let owner = self.slice_owners.get(name);
        match slice {
            None => owner.is_some(),
            Some((service, _)) if owner != Some(service) => true,
            Some((service, slice)) => !self.slices(&in_namespace(name, service)).contains(slice),
        }
    }

    fn set_slice(&mut self, name: ObjectName, slice: Option<OwnedSlice>, touched: &mut Touched) {
        if !self.slice_differs(&name, slice.as_ref()) {
            return;
        }
        touched.slices_changed += 1;
        if let Some(owner) = self.slice_owners.remove(&name) {
            self.drop_slice(in_namespace(&name, &owner), &name.name, touched);
        }
        if let Some((owner, slice)) = slice {
            let mut service = in_namespace(&name, &owner);
            // The text of the name is that of the Service, if it is there already: names are a good part of the memory.
            if let Some((known, _)) = self.services.get_key_value(&service) {
                service = known.clone();
            }
            for endpoint in &slice.endpoints {
                self.overlaps.add_endpoint(endpoint.address);
            }
            let record = self.services.entry(service.clone()).or_default();
            let owner = Arc::clone(&service.name);
            touched.services.entry(service).or_insert_with(|| record.spec.clone());
            // Most Services have one slice.
            record.slices.reserve_exact(1);
            record.slices.push(slice);
            self.slice_owners.insert(name, owner);
        }
    }

    fn drop_slice(&mut self, service: ObjectName, slice: &str, touched: &mut Touched) {
        let spec = self.service(&service).cloned();
        touched.services.entry(service.clone()).or_insert(spec);
        let mut dropped = None;
        self.change_record(service, |record| {
            let position = record.slices.iter().position(|known| &*known.name == slice);
            dropped = position.map(|position| record.slices.swap_remove(position));
        });
        for endpoint in dropped.iter().flat_map(|slice| &slice.endpoints) {
            self.overlaps.remove_endpoint(endpoint.address);
        }
    }

    fn apply_node(&mut self, event: Event<object::Node>, touched: &mut Touched, refusals: &mut Refusals) {
        match event {
            Event::Begin => self.lists.nodes.begin(),
            Event::Listed(node) => {
                if let Some((name, facts)) = self.read_node(&node, refusals) {
                    self.lists.nodes.listed(name, facts, true);
                }
            }
            Event::End => {
                for (_, facts) in self.lists.nodes.end().changed {
                    self.set_node(facts, touched);
                }
            }
            Event::Set(node) => {
                if let Some((_, facts)) = self.read_node(&node, refusals) {
                    self.set_node(facts, touched);
                }
            }
            // A node whose object is gone still has its addresses, its pods and their clients.
            Event::Gone(_) => {}
            Event::Unavailable => self.lists.nodes.settled = true,
        }
    }

    /// The facts of a Node object, if it is this node's.
    fn read_node(&mut self, node: &object::Node, refusals: &mut Refusals) -> Option<(ObjectName, NodeFacts)> {
        let name = self.texts.name_of(&node.metadata);
        if *name.name != *self.node_name {
            return None;
        }
        let mut found = Vec::new();
        let facts = node::read(node, &mut found);
        refusals.found(Kind::Node, &name, Look::Alone, found);
        Some((name, facts))
    }

    fn set_node(&mut self, facts: NodeFacts, touched: &mut Touched) {
        touched.node |= self.node != facts;
        touched.zone |= self.node.zone != facts.zone;
        self.node = facts;
    }

    fn apply_service_cidr(
        &mut self,
        event: Event<object::ServiceCidr>,
        touched: &mut Touched,
        refusals: &mut Refusals,
    ) {
        match event {
            Event::Begin => self.lists.service_cidrs.begin(),
            Event::Listed(cidr) => {
                let (name, networks) = self.read_service_cidr(&cidr, refusals);
                self.lists.service_cidrs.listed(name, networks, true);
            }
            Event::End => {
                let outcome = self.lists.service_cidrs.end();
                refusals.retain(Kind::ServiceCidr, &outcome.seen);
                let listed: BTreeMap<_, _> = outcome.changed.into_iter().collect();
                touched.node |= listed != self.service_cidrs;
                self.service_cidrs = listed;
            }
            Event::Set(cidr) => {
                let (name, networks) = self.read_service_cidr(&cidr, refusals);
                touched.node |= self.service_cidrs.get(&name) != Some(&networks);
                self.service_cidrs.insert(name, networks);
            }
            Event::Gone(cidr) => {
                let name = self.texts.name_of(&cidr.metadata);
                refusals.found(Kind::ServiceCidr, &name, Look::Alone, Vec::new());
                touched.node |= self.service_cidrs.remove(&name).is_some();
            }
            Event::Unavailable => self.lists.service_cidrs.settled = true,
        }
    }

    fn read_service_cidr(&mut self, cidr: &object::ServiceCidr, refusals: &mut Refusals) -> (ObjectName, Vec<IpNet>) {
        let name = self.texts.name_of(&cidr.metadata);
        let mut found = Vec::new();
        let networks = node::networks("spec.cidrs", cidr.spec.cidrs.iter(), &mut found);
        refusals.found(Kind::ServiceCidr, &name, Look::Alone, found);
        (name, networks)
    }
}

fn in_namespace(object: &ObjectName, name: &Arc<str>) -> ObjectName {
    ObjectName {
        namespace: Arc::clone(&object.namespace),
        name: Arc::clone(name),
    }
}

/// The names that are not among those seen.
fn missing<'a>(known: impl Iterator<Item = &'a ObjectName>, seen: &HashSet<ObjectName>) -> Vec<ObjectName> {
    known.filter(|name| !seen.contains(*name)).cloned().collect()
}
