//! Addresses that are a ClusterIP and an endpoint at once.
//!
//! Such an endpoint cannot be used, unless its Service is the older one of the two: what is made later cannot take from it
//! what it has. Since either of the two objects may come first, a ClusterIP that comes or goes must
//! find the endpoints that have its address. An index of all endpoints would cost more than they do themselves; so they
//! are only counted by a small digest of their address, and searched for when the count says that one may be there.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    net::IpAddr,
    sync::Arc,
};

use super::ServiceSpec;

/// ClusterIPs, endpoint addresses by digest, and the ClusterIPs that have come or gone since the last look.
#[derive(Debug, Default)]
pub(super) struct Overlaps {
    cluster_ips: HashMap<IpAddr, Holders>,
    endpoints: HashMap<u32, u32>,
    changed: HashSet<IpAddr>,
}

/// The Services with a ClusterIP. Almost always there is one.
#[derive(Debug)]
enum Holders {
    One(Arc<ServiceSpec>),
    Several(Box<[Arc<ServiceSpec>]>),
}

impl Holders {
    fn all(&self) -> &[Arc<ServiceSpec>] {
        match self {
            Holders::One(spec) => std::slice::from_ref(spec),
            Holders::Several(specs) => specs,
        }
    }
}

impl Overlaps {
    /// Whether an address is the ClusterIP of a Service, or of an older one.
    pub(super) fn is_cluster_ip(&self, address: IpAddr, of: &ServiceSpec) -> bool {
        let holders = self.cluster_ips.get(&address);
        holders.is_some_and(|holders| {
            holders
                .all()
                .iter()
                .any(|holder| holder.precedence() <= of.precedence())
        })
    }

    /// Whether an address is the ClusterIP of some Service.
    pub(super) fn has_cluster_ip(&self, address: IpAddr) -> bool {
        self.cluster_ips.contains_key(&address)
    }

    /// A Service with ClusterIPs has come.
    pub(super) fn add_cluster_ips(&mut self, spec: &Arc<ServiceSpec>) {
        for address in &spec.cluster_ips {
            match self.cluster_ips.entry(*address) {
                Entry::Vacant(entry) => {
                    entry.insert(Holders::One(Arc::clone(spec)));
                }
                Entry::Occupied(mut entry) => {
                    let more = [entry.get().all(), &[Arc::clone(spec)]].concat();
                    entry.insert(Holders::Several(more.into()));
                }
            }
            self.changed.insert(*address);
        }
    }

    /// A Service with ClusterIPs has gone.
    pub(super) fn remove_cluster_ips(&mut self, spec: &Arc<ServiceSpec>) {
        for address in &spec.cluster_ips {
            if let Entry::Occupied(mut entry) = self.cluster_ips.entry(*address) {
                let holders = entry.get().all().iter();
                let fewer: Box<[_]> = holders.filter(|holder| holder.name != spec.name).cloned().collect();
                if fewer.is_empty() {
                    entry.remove();
                } else {
                    entry.insert(Holders::Several(fewer));
                }
                self.changed.insert(*address);
            }
        }
    }

    /// An endpoint with this address has come.
    pub(super) fn add_endpoint(&mut self, address: IpAddr) {
        *self.endpoints.entry(digest(address)).or_default() += 1;
    }

    /// An endpoint with this address has gone.
    pub(super) fn remove_endpoint(&mut self, address: IpAddr) {
        if let Entry::Occupied(mut entry) = self.endpoints.entry(digest(address)) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    /// The ClusterIPs that have come or gone since this was last asked and that may be the address of an endpoint.
    pub(super) fn take_suspects(&mut self) -> HashSet<IpAddr> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.retain(|address| self.endpoints.contains_key(&digest(*address)));
        changed
    }
}

fn digest(address: IpAddr) -> u32 {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(address);
    u32::try_from(hash >> 32).unwrap_or_default()
}
