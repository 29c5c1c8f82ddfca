//! Addresses that are a ClusterIP and an endpoint at once.
//!
//! Such an endpoint cannot be used. Since either of the two objects may come first, a ClusterIP that comes or goes must
//! find the endpoints that have its address. An index of all endpoints would cost more than they do themselves; so they
//! are only counted by a small digest of their address, and searched for when the count says that one may be there.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    net::IpAddr,
};

/// ClusterIPs, endpoint addresses by digest, and the ClusterIPs that have come or gone since the last look.
#[derive(Debug, Default)]
pub(super) struct Overlaps {
    cluster_ips: HashMap<IpAddr, u32>,
    endpoints: HashMap<u32, u32>,
    changed: HashSet<IpAddr>,
}

impl Overlaps {
    /// Whether some Service has this ClusterIP.
    pub(super) fn is_cluster_ip(&self, address: IpAddr) -> bool {
        self.cluster_ips.contains_key(&address)
    }

    /// A Service with this ClusterIP has come.
    pub(super) fn add_cluster_ip(&mut self, address: IpAddr) {
        let count = self.cluster_ips.entry(address).or_default();
        *count += 1;
        if *count == 1 {
            self.changed.insert(address);
        }
    }

    /// A Service with this ClusterIP has gone.
    pub(super) fn remove_cluster_ip(&mut self, address: IpAddr) {
        if let Entry::Occupied(entry) = self.cluster_ips.entry(address)
            && one_less(entry)
        {
            self.changed.insert(address);
        }
    }

    /// An endpoint with this address has come.
    pub(super) fn add_endpoint(&mut self, address: IpAddr) {
        *self.endpoints.entry(digest(address)).or_default() += 1;
    }

    /// An endpoint with this address has gone.
    pub(super) fn remove_endpoint(&mut self, address: IpAddr) {
        if let Entry::Occupied(entry) = self.endpoints.entry(digest(address)) {
            one_less(entry);
        }
    }

    /// The ClusterIPs that have come or gone since this was last asked and that may be the address of an endpoint.
    pub(super) fn take_suspects(&mut self) -> HashSet<IpAddr> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.retain(|address| self.endpoints.contains_key(&digest(*address)));
        changed
    }
}

/// Counts down; an entry that comes to zero goes. Returns whether it went.
fn one_less<K>(mut entry: std::collections::hash_map::OccupiedEntry<'_, K, u32>) -> bool {
    *entry.get_mut() -= 1;
    let gone = *entry.get() == 0;
    if gone {
        entry.remove();
    }
    gone
}

fn digest(address: IpAddr) -> u32 {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(address);
    u32::try_from(hash >> 32).unwrap_or_default()
}
