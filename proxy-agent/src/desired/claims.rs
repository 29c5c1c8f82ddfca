//! Who has which address and port.
//!
//! Several Services may name the same address, port and protocol. The one whose ClusterIP it is has it: the cluster gave it
//! that address, anything else is what somebody wrote. Then the older one has it; of two of the same age the one whose
//! namespace and name come first. When it goes, the next one takes over. The order depends on the objects alone, so it is
//! the same after a restart.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use proxy_common::{family::FamilyKind, frontend::FrontendKind, net::Protocol};

use crate::{
    address::family,
    model::{ObjectName, ServicePort, ServiceSpec},
};

/// An address, port and protocol that leads to one service. A node port has the unspecified address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Claim {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) protocol: Protocol,
}

/// The claims of all Services.
#[derive(Debug, Default)]
pub(super) struct Claims {
    holders: HashMap<Claim, Holders>,
}

/// The Services that claim the same, the one that has it first.
#[derive(Debug)]
enum Holders {
    One(Arc<ServiceSpec>),
    Several(Vec<Arc<ServiceSpec>>),
}

impl Claims {
    /// Exchanges what a Service claims: `old` is what was added of it last. Services that win or lose an address by it
    /// are added to `affected`.
    pub(super) fn replace(
        &mut self,
        old: Option<&Arc<ServiceSpec>>,
        new: Option<&Arc<ServiceSpec>>,
        affected: &mut HashSet<ObjectName>,
    ) {
        for claim in old.into_iter().flat_map(|spec| claims_of(spec)) {
            if let Some(spec) = old {
                self.remove(claim, &spec.name, affected);
            }
        }
        for claim in new.into_iter().flat_map(|spec| claims_of(spec)) {
            if let Some(spec) = new {
                self.add(claim, spec, affected);
            }
        }
    }

    /// The Service that has what is claimed.
    pub(super) fn holder(&self, claim: &Claim) -> Option<&Arc<ServiceSpec>> {
        match self.holders.get(claim)? {
            Holders::One(spec) => Some(spec),
            Holders::Several(specs) => specs.first(),
        }
    }

    fn add(&mut self, claim: Claim, spec: &Arc<ServiceSpec>, affected: &mut HashSet<ObjectName>) {
        let mut entry = match self.holders.entry(claim) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => {
                entry.insert(Holders::One(Arc::clone(spec)));
                return;
            }
        };
        let mut specs = std::mem::take(entry.get_mut()).into_list();
        let position = specs.partition_point(|other| precedence(&claim, other) < precedence(&claim, spec));
        if specs.get(position).is_none_or(|other| other.name != spec.name) {
            if position == 0 {
                affected.extend(specs.first().map(|loser| loser.name.clone()));
            }
            specs.insert(position, Arc::clone(spec));
        }
        entry.insert(Holders::of(specs));
    }

    fn remove(&mut self, claim: Claim, name: &ObjectName, affected: &mut HashSet<ObjectName>) {
        let Entry::Occupied(mut entry) = self.holders.entry(claim) else {
            return;
        };
        let mut specs = std::mem::take(entry.get_mut()).into_list();
        if let Some(position) = specs.iter().position(|spec| spec.name == *name) {
            specs.remove(position);
            if position == 0 {
                affected.extend(specs.first().map(|winner| winner.name.clone()));
            }
        }
        if specs.is_empty() {
            entry.remove();
        } else {
            entry.insert(Holders::of(specs));
        }
    }
}

impl Holders {
    fn of(specs: Vec<Arc<ServiceSpec>>) -> Self {
        match <[Arc<ServiceSpec>; 1]>::try_from(specs) {
            Ok([spec]) => Holders::One(spec),
            Err(specs) => Holders::Several(specs),
        }
    }

    fn into_list(self) -> Vec<Arc<ServiceSpec>> {
        match self {
            Holders::One(spec) => vec![spec],
            Holders::Several(specs) => specs,
        }
    }
}

impl Default for Holders {
    fn default() -> Self {
        Holders::Several(Vec::new())
    }
}

/// Whose ClusterIP it is comes first, then the order of all Services.
fn precedence<'a>(claim: &Claim, spec: &'a ServiceSpec) -> (bool, (i64, &'a ObjectName)) {
    (!spec.cluster_ips.contains(&claim.address), spec.precedence())
}

/// Everything that a Service claims. The same may come twice, as an external and as a load-balancer address.
fn claims_of(spec: &ServiceSpec) -> impl Iterator<Item = Claim> + '_ {
    let ports = spec.ports.iter();
    ports
        .flat_map(move |port| {
            spec.families()
                .flat_map(move |family| claims_of_port(spec, port, family))
        })
        .map(|(claim, _)| claim)
}

/// What a port of a Service claims in a family, and by what kind of address.
pub(super) fn claims_of_port<'a>(
    spec: &'a ServiceSpec,
    port: &'a ServicePort,
    wanted: FamilyKind,
) -> impl Iterator<Item = (Claim, FrontendKind)> + 'a {
    let addresses = [
        (&spec.cluster_ips, FrontendKind::ClusterIp),
        (&spec.load_balancer_ips, FrontendKind::LoadBalancer),
        (&spec.external_ips, FrontendKind::External),
    ];
    let node_port = (port.node_port != 0).then_some((unspecified(wanted), port.node_port, FrontendKind::NodePort));
    addresses
        .into_iter()
        .flat_map(move |(list, kind)| list.iter().map(move |address| (*address, port.port, kind)))
        .filter(move |(address, ..)| family(*address) == wanted)
        .chain(node_port)
        .map(|(address, number, kind)| {
            let claim = Claim {
                address,
                port: number,
                protocol: port.protocol,
            };
            (claim, kind)
        })
}

const fn unspecified(family: FamilyKind) -> IpAddr {
    match family {
        FamilyKind::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        FamilyKind::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}
