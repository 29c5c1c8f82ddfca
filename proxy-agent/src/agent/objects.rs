//! The pure half of the way: changes in, what is wanted out.

use std::{collections::BTreeSet, net::IpAddr, time::SystemTime};

use crate::{
    desired::{Changes, Desired},
    model::{Complaint, Model, Refusals, Touched},
    settings::NodeSettings,
    watch::Change,
};

use super::Subject;

/// How many changes are timed at most until all of them are in the maps.
const TRIGGERS: usize = 4096;

/// The model, what follows from it, and what lies between the two since the last pass.
#[derive(Debug)]
pub struct Objects {
    model: Model,
    touched: Touched,
    refusals: Refusals,
    desired: Desired,
    /// Whether something may be different from what was wanted last.
    stale: bool,
    /// Whether all of the first state has been handed out.
    complete: bool,
    counts: Counts,
    /// When the changes of the last pass were made in the cluster.
    triggers: Vec<SystemTime>,
}

/// How many changes were different from what was known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of Services.
    pub services: u64,
    /// Of EndpointSlices.
    pub slices: u64,
}

impl Objects {
    /// No objects at all.
    #[must_use]
    pub fn new(settings: &NodeSettings) -> Self {
        Objects {
            model: Model::new(&settings.name),
            touched: Touched::default(),
            refusals: Refusals::default(),
            desired: Desired::new(settings.clone()),
            stale: true,
            complete: false,
            counts: Counts::default(),
            triggers: Vec::new(),
        }
    }

    /// Takes a change in.
    pub fn take(&mut self, change: Change) {
        self.stale = true;
        self.model.apply(change, &mut self.touched, &mut self.refusals);
    }

    /// The addresses of the host's network namespace.
    pub fn set_node_addresses(&mut self, addresses: BTreeSet<IpAddr>) {
        self.stale |= self.desired.set_node_addresses(addresses, &self.model);
    }

    /// What could not be written is wanted again.
    pub(super) fn again(&mut self, subject: &Subject) {
        match subject {
            Subject::Service(id) => self.desired.again(id),
            Subject::Node => self.desired.node_again(),
            Subject::Host(_) => return,
        }
        self.stale = true;
    }

    /// Whether everything has been listed once.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.model.is_complete()
    }

    /// What may have to change since this was last asked; `None`: nothing, or not everything is known yet. To be asked
    /// again until it says so: the first state comes in parts.
    pub fn wanted(&mut self) -> Option<Changes> {
        if !self.stale || !self.model.is_complete() {
            return None;
        }
        self.model.settle(&mut self.touched);
        let mut touched = std::mem::take(&mut self.touched);
        self.triggers.append(&mut touched.triggers);
        // While something fails they pile up; a sample of them is as good.
        self.triggers.truncate(TRIGGERS);
        self.counts.services += touched.services_changed;
        self.counts.slices += touched.slices_changed;
        let changes = self.desired.pass(&self.model, touched, &mut self.refusals);
        self.stale = !changes.complete;
        let completes = changes.complete && !std::mem::replace(&mut self.complete, changes.complete);
        let is_empty = changes.services.is_empty() && changes.addresses.is_empty() && changes.node.is_none();
        (completes || !is_empty).then_some(changes)
    }

    /// How much was different in the last pass.
    pub(super) const fn take_counts(&mut self) -> Counts {
        std::mem::replace(&mut self.counts, Counts { services: 0, slices: 0 })
    }

    /// When the changes were made in the cluster that have been handed out since this was last asked.
    pub(super) fn take_triggers(&mut self) -> Vec<SystemTime> {
        std::mem::take(&mut self.triggers)
    }

    /// How many fields of objects are refused at the moment.
    #[must_use]
    pub const fn refused(&self) -> usize {
        self.refusals.count()
    }

    /// Each refusal that is new.
    pub fn take_complaints(&mut self) -> Vec<Complaint> {
        self.refusals.take_news()
    }

    /// A line about each refusal that is new.
    pub fn take_refusals(&mut self) -> Vec<String> {
        self.take_complaints().iter().map(Complaint::to_string).collect()
    }

    /// How many Services are served.
    pub(super) fn services(&self) -> usize {
        self.model.services().count()
    }

    /// Whether load balancers should send new traffic to this node.
    #[must_use]
    pub const fn node_eligible(&self) -> bool {
        let node = self.model.node();
        node.eligible || !node.known
    }

    /// Whether there is an object of this node.
    #[must_use]
    pub const fn knows_node(&self) -> bool {
        self.model.node().known
    }
}
