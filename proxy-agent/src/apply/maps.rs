//! The maps that services live in, as one value. Every write of the agent to them goes through here and is counted.

use bytemuck::Zeroable as _;
use proxy_common::{
    block::{BlockEntry, BlockHeader, Cell, FlipWord},
    endpoint::EndpointState,
    family::{Family, FamilyKind, V4, V6},
    frontend::{Frontend, FrontendKey},
    names::{EndpointName, ServiceName},
};

use super::{
    map::{Table, TableError, Words},
    networks::Networks,
};
use crate::key::SocketKey;

/// A map of each family with the same values.
pub struct Dual<V> {
    /// The one of IPv4.
    pub v4: Box<dyn Table<FrontendKey<V4>, V>>,
    /// The one of IPv6.
    pub v6: Box<dyn Table<FrontendKey<V6>, V>>,
}

impl<V: Copy> Dual<V> {
    fn get(&self, key: &SocketKey) -> Result<Option<V>, TableError> {
        match key.family {
            FamilyKind::V4 => self.v4.get(&key.narrowed()),
            FamilyKind::V6 => self.v6.get(&key.narrowed()),
        }
    }

    fn put(&mut self, key: &SocketKey, value: &V) -> Result<(), TableError> {
        match key.family {
            FamilyKind::V4 => self.v4.put(&key.narrowed(), value),
            FamilyKind::V6 => self.v6.put(&key.narrowed(), value),
        }
    }

    fn remove(&mut self, key: &SocketKey) -> Result<(), TableError> {
        match key.family {
            FamilyKind::V4 => self.v4.remove(&key.narrowed()),
            FamilyKind::V6 => self.v6.remove(&key.narrowed()),
        }
    }

    /// Everything in both; a key whose protocol no service uses is left out.
    fn entries(&self) -> Result<Vec<(SocketKey, V)>, TableError> {
        fn widened<F: Family, V>(entries: Vec<(FrontendKey<F>, V)>) -> impl Iterator<Item = (SocketKey, V)> {
            entries
                .into_iter()
                .filter_map(|(key, value)| Some((SocketKey::widened(&key)?, value)))
        }
        let mut all: Vec<_> = widened(self.v4.entries()?).collect();
        all.extend(widened(self.v6.entries()?));
        Ok(all)
    }
}

/// The maps of services and endpoints.
pub struct ServiceMaps {
    /// `FRONTENDS`.
    pub frontends: Dual<Frontend>,
    /// `TARGETS`.
    pub targets: Dual<u32>,
    /// `NETWORKS`.
    pub networks: Networks,
    /// `SERVICES`: one word a service.
    pub services: Box<dyn Words>,
    /// `ENDPOINTS`: four words a cell.
    pub endpoints: Box<dyn Words>,
    /// `STATE`: four words an endpoint.
    pub state: Box<dyn Words>,
    /// `SERVICE_NAMES`.
    pub service_names: Box<dyn Table<u32, ServiceName>>,
    /// `ENDPOINT_NAMES`.
    pub endpoint_names: Box<dyn Table<u32, EndpointName>>,
    /// How many writes were done through this value, but for those to `networks`.
    pub writes: u64,
}

const WORDS_PER_CELL: usize = size_of::<Cell>() / size_of::<u64>();
const WORDS_PER_STATE: usize = size_of::<EndpointState>() / size_of::<u64>();

impl ServiceMaps {
    /// How many service numbers there are, number 0 included.
    #[must_use]
    pub fn service_capacity(&self) -> u32 {
        count(self.services.len())
    }

    /// How many endpoint numbers there are, number 0 included.
    #[must_use]
    pub fn endpoint_capacity(&self) -> u32 {
        count(self.state.len() / WORDS_PER_STATE)
    }

    /// How many cells the arena has, cell 0 included.
    #[must_use]
    pub fn cells(&self) -> u32 {
        count(self.endpoints.len() / WORDS_PER_CELL)
    }

    /// The flip word of a service.
    #[must_use]
    pub fn flip_word(&self, service: u32) -> FlipWord {
        FlipWord(self.services.load(service as usize))
    }

    /// Publishes a service's block, by one store.
    pub fn flip(&mut self, service: u32, word: FlipWord) {
        self.writes += 1;
        self.services.store(service as usize, word.0);
    }

    /// A block's header and entries as they stand in the arena, or `None` if they would not fit into it.
    #[must_use]
    pub fn block(&self, cell: u32) -> Option<(BlockHeader, Vec<BlockEntry>)> {
        if cell == 0 || cell >= self.cells() {
            return None;
        }
        let header: BlockHeader = bytemuck::cast(self.cell(cell));
        let entries = u64::from(header.local_only) + u64::from(header.both) + u64::from(header.cluster_only);
        if u64::from(cell) + 1 + entries > u64::from(self.cells()) {
            return None;
        }
        let entries = (cell + 1..=cell + header.entries())
            .map(|cell| bytemuck::cast(self.cell(cell)))
            .collect();
        Some((header, entries))
    }

    /// Writes a block that no flip word refers to yet.
    pub fn write_block(&mut self, cell: u32, header: &BlockHeader, entries: &[BlockEntry]) {
        self.write_cell(cell, bytemuck::cast(*header));
        for (at, entry) in (cell + 1..).zip(entries) {
            self.write_cell(at, bytemuck::cast(*entry));
        }
    }

    /// What the data path and the agent know of an endpoint.
    #[must_use]
    pub fn state(&self, endpoint: u32) -> EndpointState {
        let first = endpoint as usize * WORDS_PER_STATE;
        let word = |offset| self.state.load(first + offset);
        EndpointState {
            flags: word(0),
            flows: word(1),
            opened: word(2),
            answered: word(3),
        }
    }

    /// Sets the agent's own word of an endpoint's state, if it differs.
    pub fn mark(&mut self, endpoint: u32, flags: u64) {
        let first = endpoint as usize * WORDS_PER_STATE;
        if self.state.load(first) != flags {
            self.writes += 1;
            self.state.store(first, flags);
        }
    }

    /// Sets the data path's counts of an endpoint to zero: the number is about to name another one.
    pub fn forget_counts(&mut self, endpoint: u32) {
        let first = endpoint as usize * WORDS_PER_STATE;
        for word in first + 1..first + WORDS_PER_STATE {
            if self.state.load(word) != 0 {
                self.writes += 1;
                self.state.store(word, 0);
            }
        }
    }

    /// What a service number stands for, according to the maps.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub fn service_name(&self, service: u32) -> Result<Option<ServiceName>, TableError> {
        Ok(self.service_names.get(&service)?.filter(|name| name.protocol != 0))
    }

    /// Says what a service number stands for; `None`: it is free.
    ///
    /// # Errors
    /// If the map cannot be written.
    pub fn name_service(&mut self, service: u32, name: Option<&ServiceName>) -> Result<(), TableError> {
        self.writes += 1;
        let name = name.copied().unwrap_or_else(ServiceName::zeroed);
        self.service_names.put(&service, &name)
    }

    /// What an endpoint number stands for, according to the maps.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub fn endpoint_name(&self, endpoint: u32) -> Result<Option<EndpointName>, TableError> {
        Ok(self.endpoint_names.get(&endpoint)?.filter(|name| name.service != 0))
    }

    /// Says what an endpoint number stands for; `None`: it is free.
    ///
    /// # Errors
    /// If the map cannot be written.
    pub fn name_endpoint(&mut self, endpoint: u32, name: Option<&EndpointName>) -> Result<(), TableError> {
        self.writes += 1;
        let name = name.copied().unwrap_or_default();
        self.endpoint_names.put(&endpoint, &name)
    }

    /// The service that answers at an address.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub fn frontend(&self, key: &SocketKey) -> Result<Option<Frontend>, TableError> {
        self.frontends.get(key)
    }

    /// All addresses that lead to services.
    ///
    /// # Errors
    /// If a map cannot be read.
    pub fn all_frontends(&self) -> Result<Vec<(SocketKey, Frontend)>, TableError> {
        self.frontends.entries()
    }

    /// Makes an address lead to a service.
    ///
    /// # Errors
    /// If the map is full or cannot be written.
    pub fn put_frontend(&mut self, key: &SocketKey, frontend: Frontend) -> Result<(), TableError> {
        self.writes += 1;
        self.frontends.put(key, &frontend)
    }

    /// Makes an address lead to no service.
    ///
    /// # Errors
    /// If the map cannot be written.
    pub fn remove_frontend(&mut self, key: &SocketKey) -> Result<(), TableError> {
        self.writes += 1;
        self.frontends.remove(key)
    }

    /// How many endpoints have an address, for all addresses.
    ///
    /// # Errors
    /// If a map cannot be read.
    pub fn all_targets(&self) -> Result<Vec<(SocketKey, u32)>, TableError> {
        self.targets.entries()
    }

    /// Counts one endpoint more with this address.
    ///
    /// # Errors
    /// If the map is full or cannot be reached.
    pub fn add_target(&mut self, key: &SocketKey) -> Result<(), TableError> {
        let count = self.targets.get(key)?.unwrap_or(0);
        self.set_target(key, count + 1)
    }

    /// Counts one endpoint less with this address.
    ///
    /// # Errors
    /// If the map cannot be reached.
    pub fn drop_target(&mut self, key: &SocketKey) -> Result<(), TableError> {
        let count = self.targets.get(key)?.unwrap_or(0);
        self.set_target(key, count.saturating_sub(1))
    }

    /// Says how many endpoints have an address.
    ///
    /// # Errors
    /// If the map is full or cannot be written.
    pub fn set_target(&mut self, key: &SocketKey, count: u32) -> Result<(), TableError> {
        self.writes += 1;
        if count == 0 {
            self.targets.remove(key)
        } else {
            self.targets.put(key, &count)
        }
    }

    fn cell(&self, cell: u32) -> Cell {
        let first = cell as usize * WORDS_PER_CELL;
        Cell(std::array::from_fn(|offset| self.endpoints.load(first + offset)))
    }

    fn write_cell(&mut self, cell: u32, content: Cell) {
        let first = cell as usize * WORDS_PER_CELL;
        for (at, word) in (first..).zip(content.0) {
            self.writes += 1;
            self.endpoints.store(at, word);
        }
    }
}

fn count(entries: usize) -> u32 {
    u32::try_from(entries).unwrap_or(u32::MAX)
}
