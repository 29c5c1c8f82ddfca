//! From a plan to the kernel: services are published so that every packet sees the old set or the new one, and what is
//! no longer used is used again only when nothing can be looking at it.
//!
//! The order of one pass: endpoints are named, marked and counted; blocks are written and flipped; addresses are added;
//! addresses are taken away; services that go are emptied. After a grace period old endpoints lose their marks, and
//! numbers and cells become free.

pub mod map;
pub mod mapped;
pub mod memory;
pub mod kernel;
pub mod maps;
pub mod networks;
pub mod names;
pub mod actual;
pub mod arena;
pub mod numbers;
pub mod grace;
pub mod adopt;
pub mod node;
pub mod path;
pub mod metrics;
mod publish;
mod retire;
#[cfg(test)]
mod tests;

pub use path::KernelPath;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
};

use ipnet::IpNet;

use self::{
    actual::Actual,
    adopt::{Adopted, Finding},
    arena::Arena,
    grace::{Grace, Ticket},
    map::TableError,
    maps::ServiceMaps,
    numbers::Numbers,
    retire::Retired,
};
use crate::desired::{Changes, DesiredService, ServicePortId};

/// Everything about services that is in the maps, and the only one that writes it.
pub struct Applier {
    maps: ServiceMaps,
    actual: Actual,
    arena: Arena,
    service_numbers: Numbers,
    endpoint_numbers: Numbers,
    grace: Grace,
    /// What waits for a grace period, oldest first.
    retired: VecDeque<(Ticket, Vec<Retired>)>,
    /// Endpoint numbers that wait for the last flow that names them.
    lingering: BTreeSet<u32>,
    /// Addresses that are, or are no longer, services', and could not be written so far.
    owed: BTreeMap<IpAddr, bool>,
    /// The networks in which packets that no service answers shall be dropped, if that is still to be written.
    refused: Option<BTreeSet<IpNet>>,
    complete: bool,
}

/// Why a service could not be brought into the maps. What was there before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// There are as many services as there can be.
    #[error("no service number is free: the map SERVICES has room for {0}")]
    Services(u32),
    /// There are as many endpoints as there can be.
    #[error("no endpoint number is free: the map STATE has room for {0}")]
    Endpoints(u32),
    /// No room for the block.
    #[error("the map ENDPOINTS has no {needed} free cells in a row, only {largest}")]
    Arena {
        /// How many cells the block has.
        needed: u32,
        /// The longest run that is free.
        largest: u32,
    },
    /// A map could not be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// What a pass has done.
#[derive(Debug, Default)]
pub struct Report {
    /// How many services got a new block.
    pub published: usize,
    /// How many services went.
    pub removed: usize,
    /// What could not be brought into the maps, and why. What was there stays in force.
    pub failures: Vec<(ServicePortId, ApplyError)>,
    /// Why not all addresses and networks of services are in the maps. They are to be tried again with the node's facts.
    pub networks: Option<TableError>,
}

/// How full the maps are, and what waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Writes to maps so far.
    pub writes: u64,
    /// Services with a number.
    pub services: u32,
    /// Endpoint numbers in use.
    pub endpoints: u32,
    /// Cells of the arena that are not free.
    pub cells: u32,
    /// The longest block that would find a place.
    pub largest_free: u32,
    /// Batches that wait for a grace period.
    pub waiting: usize,
    /// Endpoint numbers that wait for flows to end.
    pub lingering: usize,
}

impl Applier {
    /// Takes over what is in the maps, and repairs what contradicts itself. A grace period must have passed since
    /// another agent wrote them.
    ///
    /// # Errors
    /// If a map cannot be read or repaired.
    pub fn adopt(maps: ServiceMaps, grace: Grace) -> Result<Self, TableError> {
        let Adopted {
            actual,
            arena,
            service_numbers,
            endpoint_numbers,
            findings,
        } = adopt::read(&maps)?;
        let lingering = actual
            .endpoints()
            .filter(|(_, slot)| !slot.serves())
            .map(|(number, _)| number)
            .collect();
        let mut applier = Applier {
            maps,
            actual,
            arena,
            service_numbers,
            endpoint_numbers,
            grace,
            retired: VecDeque::new(),
            lingering,
            owed: BTreeMap::new(),
            refused: None,
            complete: false,
        };
        for finding in &findings {
            tracing::warn!(%finding, "left behind in the maps, and repaired");
            applier.repair(finding)?;
        }
        Ok(applier)
    }

    /// Brings changes into the maps. A service that cannot be brought in is reported and does not stop the others; it is
    /// to be handed over again.
    pub fn apply(&mut self, changes: &Changes) -> Report {
        let mut services: BTreeMap<&ServicePortId, Option<&DesiredService>> = changes
            .services
            .iter()
            .map(|(id, desired)| (id, desired.as_ref()))
            .collect();
        let first_complete = changes.complete && !self.complete;
        self.complete |= changes.complete;
        let unnamed = if first_complete {
            self.unnamed(&services)
        } else {
            Vec::new()
        };
        services.extend(unnamed.iter().map(|id| (id, None)));
        self.owed.extend(&changes.addresses);
        // Between an address's first and its last frontend nobody shall be refused who has a service to reach.
        let gone = self.write_addresses(false);
        let report = self.pass(&services);
        let come = self.write_addresses(true);
        let networks = self.write_service_networks(changes, first_complete);
        self.reclaim();
        Report {
            networks: gone.and(come).and(networks).err(),
            ..report
        }
    }

    /// Addresses that have become services', or that are no longer. What fails is owed.
    fn write_addresses(&mut self, is_service: bool) -> Result<(), TableError> {
        let networks = &mut self.maps.networks;
        let mut result = Ok(());
        self.owed.retain(|address, wanted| {
            if *wanted != is_service {
                return true;
            }
            match networks.set_address(*address, is_service) {
                Ok(()) => false,
                Err(error) => {
                    result = Err(error);
                    true
                }
            }
        });
        result
    }

    /// The networks that services get their addresses from. Before all services are there nothing is dropped in them that
    /// was not before: one that is still to come may be answered by somebody else.
    fn write_service_networks(&mut self, changes: &Changes, first_complete: bool) -> Result<(), TableError> {
        if let Some(node) = &changes.node {
            self.refused = Some(node.refused_networks().collect());
        }
        if !self.complete {
            return Ok(());
        }
        let networks = &mut self.maps.networks;
        if let Some(refused) = self.refused.take() {
            networks.set_service_networks(&refused)?;
        }
        if first_complete {
            networks.forget_unnamed()?;
        }
        Ok(())
    }

    /// Frees what no program and no flow can be looking at any longer. To be called when a grace period is over and
    /// every second or so.
    pub fn settle(&mut self) {
        self.reclaim();
        self.free_lingering();
    }

    /// How full the maps are.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            writes: self.maps.writes + self.maps.networks.writes(),
            services: self.service_numbers.taken(),
            endpoints: self.endpoint_numbers.taken(),
            cells: self.maps.cells() - self.arena.free(),
            largest_free: self.arena.largest(),
            waiting: self.retired.len(),
            lingering: self.lingering.len(),
        }
    }

    /// What the maps hold.
    #[must_use]
    pub const fn actual(&self) -> &Actual {
        &self.actual
    }

    /// Services in the maps that no change has named.
    fn unnamed(&self, named: &BTreeMap<&ServicePortId, Option<&DesiredService>>) -> Vec<ServicePortId> {
        let slots = self.actual.services().map(|(_, slot)| slot);
        slots
            .filter(|slot| !slot.named && !named.contains_key(&slot.id))
            .map(|slot| slot.id.clone())
            .collect()
    }

    fn repair(&mut self, finding: &Finding) -> Result<(), TableError> {
        match finding {
            Finding::LostFrontend(key, _) => self.maps.remove_frontend(key),
            Finding::LostEndpoint(number) => {
                self.maps.mark(*number, 0);
                Ok(())
            }
            Finding::Target { key, actual, .. } => self.maps.set_target(key, *actual),
            Finding::LostNetworks(number) => self.maps.networks.keep(*number, |_, _| false),
            // The service has no sound block, so the first change that names it writes one.
            Finding::Block { .. } => Ok(()),
        }
    }
}
