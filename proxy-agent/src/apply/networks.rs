//! What the maps `NETWORKS` hold: who may use a service that is not for everybody, and which addresses are services'.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use proxy_common::{
    family::{Family, V4, V6},
    net::Address as _,
    network::{NetworkKey, Rule, UNANSWERED},
};

use super::map::{Table, TableError};
use crate::address;

/// The maps of both families.
pub struct NetworkTables {
    /// That of IPv4.
    pub v4: Box<dyn Table<NetworkKey<V4>, Rule>>,
    /// That of IPv6.
    pub v6: Box<dyn Table<NetworkKey<V6>, Rule>>,
}

/// A network in a scope: a service's number, or [`UNANSWERED`].
pub type Scoped = (u32, IpNet);

impl NetworkTables {
    /// Everything in both.
    ///
    /// # Errors
    /// If a map cannot be read.
    pub fn entries(&self) -> Result<Vec<(Scoped, Rule)>, TableError> {
        let mut all: Vec<_> = widened(self.v4.entries()?).collect();
        all.extend(widened(self.v6.entries()?));
        Ok(all)
    }

    fn put(&mut self, (scope, network): Scoped, rule: Rule) -> Result<(), TableError> {
        match network {
            IpNet::V4(_) => self.v4.put(&key(scope, network), &rule),
            IpNet::V6(_) => self.v6.put(&key(scope, network), &rule),
        }
    }

    fn remove(&mut self, (scope, network): Scoped) -> Result<(), TableError> {
        match network {
            IpNet::V4(_) => self.v4.remove(&key(scope, network)),
            IpNet::V6(_) => self.v6.remove(&key(scope, network)),
        }
    }
}

fn key<F: Family>(scope: u32, network: IpNet) -> NetworkKey<F> {
    let address = F::Address::narrow(&address::widen(network.network()));
    NetworkKey::new(scope, address, network.prefix_len())
}

/// A key whose prefix ends within its scope is nobody's, and left out.
fn widened<F: Family>(entries: Vec<(NetworkKey<F>, Rule)>) -> impl Iterator<Item = (Scoped, Rule)> {
    entries.into_iter().filter_map(|(key, rule)| {
        let address = address::narrow(F::KIND, &key.address().widen());
        let network = IpNet::new(address, key.prefix()?).ok()?;
        Some(((key.scope(), network), rule))
    })
}

/// The maps, and what is in them.
pub struct Networks {
    tables: NetworkTables,
    /// By scope.
    known: BTreeMap<u32, BTreeMap<IpNet, Known>>,
    writes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    rule: Rule,
    /// Whether it has been asked for since the agent started.
    named: bool,
}

impl Networks {
    /// Takes over what is in the maps.
    ///
    /// # Errors
    /// If a map cannot be read.
    pub fn adopt(tables: NetworkTables) -> Result<Self, TableError> {
        let mut known: BTreeMap<u32, BTreeMap<IpNet, Known>> = BTreeMap::new();
        for ((scope, network), rule) in tables.entries()? {
            let entry = Known { rule, named: false };
            known.entry(scope).or_default().insert(network, entry);
        }
        Ok(Networks {
            tables,
            known,
            writes: 0,
        })
    }

    /// The maps alone.
    #[must_use]
    pub fn into_tables(self) -> NetworkTables {
        self.tables
    }

    /// How many writes were done.
    #[must_use]
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// The networks of a scope, in their order.
    pub fn of(&self, scope: u32) -> impl Iterator<Item = (IpNet, Rule)> + '_ {
        let entries = self.known.get(&scope).into_iter().flatten();
        entries.map(|(network, known)| (*network, known.rule))
    }

    /// Every scope that has an entry.
    pub fn scopes(&self) -> impl Iterator<Item = u32> + '_ {
        self.known.keys().copied()
    }

    /// Lets a network have a rule.
    ///
    /// # Errors
    /// If the map is full or cannot be written.
    pub fn put(&mut self, scope: u32, network: IpNet, rule: Rule) -> Result<(), TableError> {
        let entries = self.known.entry(scope).or_default();
        if entries.get(&network).is_none_or(|known| known.rule != rule) {
            self.writes += 1;
            self.tables.put((scope, network), rule)?;
        }
        entries.insert(network, Known { rule, named: true });
        Ok(())
    }

    /// Takes a network's rule away, if it has one.
    ///
    /// # Errors
    /// If the map cannot be written.
    pub fn remove(&mut self, scope: u32, network: IpNet) -> Result<(), TableError> {
        let Some(entries) = self.known.get_mut(&scope).filter(|known| known.contains_key(&network)) else {
            return Ok(());
        };
        self.writes += 1;
        self.tables.remove((scope, network))?;
        entries.remove(&network);
        if entries.is_empty() {
            self.known.remove(&scope);
        }
        Ok(())
    }

    /// Removes all of a scope that is not to be kept.
    ///
    /// # Errors
    /// If the map cannot be written.
    pub fn keep(&mut self, scope: u32, keep: impl Fn(IpNet, Rule) -> bool) -> Result<(), TableError> {
        self.retain(scope, |network, known| keep(network, known.rule))
    }

    /// Lets an address be known as a service's, or no longer.
    ///
    /// # Errors
    /// If the map is full or cannot be written.
    pub fn set_address(&mut self, address: IpAddr, is_service: bool) -> Result<(), TableError> {
        if is_service {
            self.put(UNANSWERED, address.into(), Rule::REFUSE)
        } else {
            self.remove(UNANSWERED, address.into())
        }
    }

    /// Lets the networks that services get their addresses from be these.
    ///
    /// # Errors
    /// If the map is full or cannot be written.
    pub fn set_service_networks(&mut self, networks: &BTreeSet<IpNet>) -> Result<(), TableError> {
        for network in networks {
            self.put(UNANSWERED, *network, Rule::DROP)?;
        }
        self.keep(UNANSWERED, |network, rule| {
            rule != Rule::DROP || networks.contains(&network)
        })
    }

    /// Removes the addresses and networks of services that nobody has asked for since the agent started.
    ///
    /// # Errors
    /// If the map cannot be written.
    pub fn forget_unnamed(&mut self) -> Result<(), TableError> {
        self.retain(UNANSWERED, |_, known| known.named)
    }

    fn retain(&mut self, scope: u32, keep: impl Fn(IpNet, Known) -> bool) -> Result<(), TableError> {
        let all = self.known.get(&scope).into_iter().flatten();
        let gone = all.filter(|(network, known)| !keep(**network, **known));
        let gone: Vec<IpNet> = gone.map(|(network, _)| *network).collect();
        gone.into_iter().try_for_each(|network| self.remove(scope, network))
    }
}
