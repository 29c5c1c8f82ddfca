//! One pass: from what has been touched to what may have to change, without looking at anything else.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
    sync::Arc,
};

use proxy_common::{block::policy, family::FamilyKind};

use crate::{
    model::{Kind, Look, Model, ObjectName, Refusal, Refusals, ServicePort, ServiceSpec, Touched},
    settings::NodeSettings,
};

use super::{
    Changes, DesiredService, ProxyMode, ServicePortId, claims::Claims, endpoints::endpoints, frontends::frontends,
    node, ranges,
};

/// What is wanted, as far as it must be remembered from one pass to the next: who has which address.
#[derive(Debug)]
pub struct Desired {
    settings: NodeSettings,
    claims: Claims,
    node_addresses: BTreeSet<IpAddr>,
    /// Services whose own objects are as they were and that are looked at again all the same.
    again: HashSet<ObjectName>,
    /// What could not be written of services that may be gone by now.
    undone: Vec<ServicePortId>,
    node_again: bool,
    /// Services of the first state that have not been handed over; `None`: the first pass is still to come.
    backlog: Option<Vec<ObjectName>>,
}

/// How many Services of the first state are handed over at once: to have all of them in memory in every stage would cost
/// more than any later pass.
const PART: usize = 1024;

impl Desired {
    /// Nothing is wanted yet. The first pass hands the node's facts over.
    #[must_use]
    pub fn new(settings: NodeSettings) -> Self {
        Desired {
            settings,
            claims: Claims::default(),
            node_addresses: BTreeSet::new(),
            again: HashSet::new(),
            undone: Vec::new(),
            node_again: true,
            backlog: None,
        }
    }

    /// The addresses of the host's network namespace, each time they change. A ClusterIP that is one of them is left to
    /// the node, and one in a source range may let the node use the service. Returns whether any Service is concerned.
    pub fn set_node_addresses(&mut self, addresses: BTreeSet<IpAddr>, model: &Model) -> bool {
        let moved: HashSet<IpAddr> = self.node_addresses.symmetric_difference(&addresses).copied().collect();
        if moved.is_empty() {
            return false;
        }
        let hit = |spec: &&Arc<ServiceSpec>| {
            let is_left = spec.cluster_ips.iter().any(|address| moved.contains(address));
            is_left || moved.iter().any(|address| ranges::has(&spec.source_ranges, *address))
        };
        self.again
            .extend(model.services().filter(hit).map(|spec| spec.name.clone()));
        self.node_addresses = addresses;
        !self.again.is_empty()
    }

    /// Hands a service over again in the next pass, because it could not be written.
    pub fn again(&mut self, id: &ServicePortId) {
        self.again.insert(ObjectName {
            namespace: Arc::clone(&id.namespace),
            name: Arc::clone(&id.name),
        });
        self.undone.push(id.clone());
    }

    /// Hands the node's facts over again in the next pass.
    pub const fn node_again(&mut self) {
        self.node_again = true;
    }

    /// What may have to change since the last pass, or the next part of the first state.
    pub fn pass(&mut self, model: &Model, touched: Touched, refusals: &mut Refusals) -> Changes {
        let mut affected = std::mem::take(&mut self.again);
        let mut services: BTreeMap<_, _> = self.undone.drain(..).map(|id| (id, None)).collect();
        if let Some(backlog) = &mut self.backlog {
            affected.extend(backlog.split_off(backlog.len().saturating_sub(PART)));
        } else {
            affected.extend(self.begin(model));
        }
        if touched.zone {
            affected.extend(model.services().map(|spec| spec.name.clone()));
        } else if touched.node {
            // One of its addresses in a source range lets the node use the service.
            let limited = model.services().filter(|spec| !spec.source_ranges.is_empty());
            affected.extend(limited.map(|spec| spec.name.clone()));
        }
        for (name, old) in &touched.services {
            self.claims.replace(old.as_ref(), model.service(name), &mut affected);
            services.extend(old.iter().flat_map(|spec| ids(spec)).map(|(id, ..)| (id, None)));
        }
        let mut addresses = self.left_addresses(model, &touched);
        affected.extend(touched.services.into_keys());
        for name in &affected {
            self.services(model, name, &mut services, refusals);
            if self.settings.mode.refuses_unknown_ports() {
                let spec = model.service(name).into_iter();
                addresses.extend(spec.flat_map(|spec| spec.cluster_ips.iter().map(|address| (*address, true))));
            }
        }
        let node = (touched.node || std::mem::take(&mut self.node_again))
            .then(|| node::desired(&self.settings, model.node(), model.service_networks()));
        Changes {
            services,
            addresses,
            node,
            complete: self.backlog.as_ref().is_some_and(Vec::is_empty),
        }
    }

    /// The ClusterIPs of Services as they were, and whether some Service has each still.
    fn left_addresses(&self, model: &Model, touched: &Touched) -> BTreeMap<IpAddr, bool> {
        let old = touched.services.values().flatten();
        let addresses = old.flat_map(|spec| spec.cluster_ips.iter().copied());
        addresses
            .filter(|_| self.settings.mode.refuses_unknown_ports())
            .map(|address| (address, model.has_cluster_ip(address)))
            .collect()
    }

    /// Takes in the claims of all Services, and all but the first part of them into the backlog. Returns the first part.
    fn begin(&mut self, model: &Model) -> Vec<ObjectName> {
        let mut names = Vec::new();
        for spec in model.services() {
            self.claims.replace(None, Some(spec), &mut HashSet::new());
            names.push(spec.name.clone());
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        let first = names.split_off(names.len().saturating_sub(PART));
        self.backlog = Some(names);
        first
    }

    /// All services of a Service, as they should be.
    fn services(
        &self,
        model: &Model,
        name: &ObjectName,
        services: &mut BTreeMap<ServicePortId, Option<DesiredService>>,
        refusals: &mut Refusals,
    ) {
        let mut found = Vec::new();
        if let Some(spec) = model.service(name) {
            for (id, port, family) in ids(spec) {
                let desired = self.service(model, spec, port, family, &mut found);
                services.insert(id, Some(desired));
            }
        }
        found.sort_unstable();
        found.dedup();
        refusals.found(Kind::Service, name, Look::Together, found);
    }

    fn service(
        &self,
        model: &Model,
        spec: &ServiceSpec,
        port: &ServicePort,
        family: FamilyKind,
        found: &mut Vec<Refusal>,
    ) -> DesiredService {
        let mode = self.settings.mode;
        let (endpoints, any_usable) = endpoints(spec, port, family, mode, model, found);
        let source_ranges = ranges::source_ranges(spec, family, mode, any_usable);
        let any_endpoint = if any_usable { policy::ANY_ENDPOINT } else { 0 };
        let exceptions = if mode == ProxyMode::Ipvs {
            policy::NO_EXCEPTIONS
        } else {
            0
        };
        let of_ranges = ranges::flags(&source_ranges, &self.settings, model.node(), &self.node_addresses);
        DesiredService {
            frontends: frontends(spec, port, family, &self.claims, &self.node_addresses, found),
            flags: spec.policies | any_endpoint | exceptions | of_ranges,
            source_ranges,
            affinity_seconds: spec.affinity_seconds,
            endpoints,
        }
    }
}

/// The service ports of a Service, in each family that it is served in.
fn ids(spec: &ServiceSpec) -> impl Iterator<Item = (ServicePortId, &ServicePort, FamilyKind)> {
    spec.families().flat_map(move |family| {
        spec.ports.iter().map(move |port| {
            let id = ServicePortId {
                namespace: Arc::clone(&spec.name.namespace),
                name: Arc::clone(&spec.name.name),
                port: Arc::clone(&port.name),
                protocol: port.protocol,
                family,
            };
            (id, port, family)
        })
    })
}
