//! Changes into the model, one kind of object after the other.

use std::{
    collections::{BTreeMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use ipnet::IpNet;

use crate::watch::{Event, Unread, object};

use super::{
    Kind, Look, Model, NodeFacts, ObjectName, OwnedSlice, Record, Refusal, Refusals, ServiceSpec, Touched, node,
    service, slice,
};

impl Model {
    pub(super) fn apply_service(
        &mut self,
        event: Event<object::Service>,
        touched: &mut Touched,
        refusals: &mut Refusals,
    ) {
        match event {
            Event::Begin => self.begin_services(touched, refusals),
            Event::Listed(service) => {
                let (name, spec) = self.read_service(&service, refusals);
                if !self.lists.services.settled {
                    return self.set_service(name, spec, touched);
                }
                let known = self.service(&name).map(|known| &**known);
                let differs = known != spec.as_deref();
                self.lists.services.listed(name, spec, differs);
            }
            Event::End => self.end_services(touched, refusals),
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

    /// The first list is taken in as it comes: nobody acts on it before all is listed. Begun anew, it starts from nothing.
    fn begin_services(&mut self, touched: &mut Touched, refusals: &mut Refusals) {
        self.lists.services.begin();
        if !self.lists.services.settled {
            refusals.retain(Kind::Service, &HashSet::new());
            for name in self.services.keys().cloned().collect::<Vec<_>>() {
                self.set_service(name, None, touched);
            }
        }
    }

    fn end_services(&mut self, touched: &mut Touched, refusals: &mut Refusals) {
        if !std::mem::replace(&mut self.lists.services.settled, true) {
            return;
        }
        let outcome = self.lists.services.end();
        refusals.retain(Kind::Service, &outcome.seen);
        let known = self.services.iter().filter(|(_, record)| record.spec.is_some());
        for name in missing(known.map(|(name, _)| name), &outcome.seen) {
            self.set_service(name, None, touched);
        }
        for (name, spec) in outcome.changed {
            self.set_service(name, spec, touched);
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
        if let Some(known) = &known {
            self.overlaps.remove_cluster_ips(known);
        }
        if let Some(spec) = &spec {
            self.overlaps.add_cluster_ips(spec);
        }
        touched.services_changed += 1;
        self.touch(&name, known, touched);
        match spec {
            Some(spec) => self.services.entry(name).or_default().spec = Some(spec),
            None => self.change_record(name, |record| record.spec = None),
        }
    }

    /// Notes that a Service is not what it was, unless all of them are looked at anyway.
    fn touch(&self, name: &ObjectName, known: Option<Arc<ServiceSpec>>, touched: &mut Touched) {
        if self.is_complete() {
            touched.services.entry(name.clone()).or_insert(known);
        }
    }

    /// Changes what is known under a name, and forgets the name when nothing is.
    fn change_record(&mut self, name: ObjectName, change: impl FnOnce(&mut Record)) {
        if let Entry::Occupied(mut entry) = self.services.entry(name) {
            change(entry.get_mut());
            if entry.get().spec.is_none() && entry.get().slices.is_empty() {
                entry.remove();
            }
        }
    }

    pub(super) fn apply_slice(
        &mut self,
        event: Event<object::EndpointSlice>,
        touched: &mut Touched,
        refusals: &mut Refusals,
    ) {
        match event {
            Event::Begin => self.begin_slices(touched, refusals),
            Event::Listed(slice) => {
                let (name, slice) = self.read_slice(&slice, refusals);
                if !self.lists.slices.settled {
                    return self.set_slice(name, slice, touched);
                }
                let differs = self.slice_differs(&name, slice.as_ref());
                self.lists.slices.listed(name, slice, differs);
            }
            Event::End => self.end_slices(touched, refusals),
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

    fn begin_slices(&mut self, touched: &mut Touched, refusals: &mut Refusals) {
        self.lists.slices.begin();
        if !self.lists.slices.settled {
            refusals.retain(Kind::EndpointSlice, &HashSet::new());
            for name in self.slice_owners.keys().cloned().collect::<Vec<_>>() {
                self.set_slice(name, None, touched);
            }
        }
    }

    fn end_slices(&mut self, touched: &mut Touched, refusals: &mut Refusals) {
        if !std::mem::replace(&mut self.lists.slices.settled, true) {
            return;
        }
        let outcome = self.lists.slices.end();
        refusals.retain(Kind::EndpointSlice, &outcome.seen);
        for (name, slice) in outcome.changed {
            self.set_slice(name, slice, touched);
        }
        for name in missing(self.slice_owners.keys(), &outcome.seen) {
            self.set_slice(name, None, touched);
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
            let owner = Arc::clone(&service.name);
            self.touch(&service, self.service(&service).cloned(), touched);
            let record = self.services.entry(service).or_default();
            // Most Services have one slice.
            record.slices.reserve_exact(1);
            record.slices.push(slice);
            self.slice_owners.insert(name, owner);
        }
    }

    fn drop_slice(&mut self, service: ObjectName, slice: &str, touched: &mut Touched) {
        self.touch(&service, self.service(&service).cloned(), touched);
        let mut dropped = None;
        self.change_record(service, |record| {
            let position = record.slices.iter().position(|known| &*known.name == slice);
            dropped = position.map(|position| record.slices.swap_remove(position));
        });
        for endpoint in dropped.iter().flat_map(|slice| &slice.endpoints) {
            self.overlaps.remove_endpoint(endpoint.address);
        }
    }

    pub(super) fn apply_node(&mut self, event: Event<object::Node>, touched: &mut Touched, refusals: &mut Refusals) {
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

    pub(super) fn apply_service_cidr(
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

    /// Notes whether a source can read an object.
    pub(super) fn note_unread(&mut self, object: Unread, refusals: &mut Refusals) {
        let name = ObjectName {
            namespace: self.texts.share(&object.namespace),
            name: object.name.into(),
        };
        let found = object.wrong.map(|(field, reason)| Refusal::new(field, reason));
        refusals.found(object.kind, &name, Look::Raw, found.into_iter().collect());
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
