//! Maps as the kernel keeps them: bytes by bytes. What is written for [`Maps`] works on a node in memory and on the maps
//! of loaded programs alike.

use std::{cell::RefCell, collections::BTreeMap};

use bytemuck::{AnyBitPattern, NoUninit};
use proxy_common::{
    flow::{FlowKey, FlowRecord, FlowRef},
    schema::{MapKind, MapSpec},
};

use super::who::TestFamily;

/// Entries of a map, by key.
pub type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// A set of maps.
pub trait Maps {
    /// Writes an entry, whether it exists or not.
    fn put(&self, map: &MapSpec, key: &[u8], value: &[u8]);
    /// Reads an entry. Of an array, one that was never written is nothing, too.
    fn get(&self, map: &MapSpec, key: &[u8]) -> Option<Vec<u8>>;
    /// Deletes an entry of a hash.
    fn delete(&self, map: &MapSpec, key: &[u8]);
    /// All entries; of an array those that are not zero.
    fn entries(&self, map: &MapSpec) -> Entries;
}

/// [`Maps`] with types.
pub trait TypedMaps: Maps {
    /// Writes an entry.
    fn put_value<K: NoUninit, V: NoUninit>(&self, map: &MapSpec, key: &K, value: &V) {
        self.put(map, bytemuck::bytes_of(key), bytemuck::bytes_of(value));
    }

    /// Reads an entry.
    fn value<K: NoUninit, V: AnyBitPattern>(&self, map: &MapSpec, key: &K) -> Option<V> {
        Some(bytemuck::pod_read_unaligned(&self.get(map, bytemuck::bytes_of(key))?))
    }

    /// The record that a key refers to, if the key is known and the record still is its flow's.
    fn flow_of<F: TestFamily>(&self, key: &FlowKey<F>) -> Option<FlowRecord<F>> {
        let at: FlowRef = self.value(&F::MAPS.flows, key)?;
        let record: FlowRecord<F> = self.value(&F::MAPS.records, &at.index)?;
        (record.life.sequence() == at.sequence).then_some(record)
    }

    /// The records that belong to flows.
    fn live_records<F: TestFamily>(&self) -> Vec<FlowRecord<F>> {
        let records = self.entries(&F::MAPS.records);
        let records = records.values().map(|bytes| bytemuck::pod_read_unaligned(bytes));
        records.filter(|record: &FlowRecord<F>| record.life.is_live()).collect()
    }

    /// How many keys there are.
    fn flow_keys<F: TestFamily>(&self) -> usize {
        self.entries(&F::MAPS.flows).len()
    }
}

impl<M: Maps + ?Sized> TypedMaps for M {}

/// Maps in memory. They hold what they are given: how much that may be is said to each write that may fail.
#[derive(Clone, Debug, Default)]
pub struct MemoryMaps {
    maps: RefCell<BTreeMap<&'static str, Entries>>,
}

impl MemoryMaps {
    /// Writes an entry that must not exist; whether it did not.
    pub fn insert(&self, map: &MapSpec, key: &[u8], value: &[u8]) -> bool {
        let mut maps = self.maps.borrow_mut();
        let entries = maps.entry(map.name).or_default();
        if entries.contains_key(key) {
            return false;
        }
        entries.insert(key.to_vec(), value.to_vec());
        true
    }

    /// How many entries a map has.
    pub fn len(&self, map: &MapSpec) -> usize {
        self.maps.borrow().get(map.name).map_or(0, BTreeMap::len)
    }
}

impl Maps for MemoryMaps {
    fn put(&self, map: &MapSpec, key: &[u8], value: &[u8]) {
        let mut maps = self.maps.borrow_mut();
        maps.entry(map.name).or_default().insert(key.to_vec(), value.to_vec());
    }

    fn get(&self, map: &MapSpec, key: &[u8]) -> Option<Vec<u8>> {
        self.maps.borrow().get(map.name)?.get(key).cloned()
    }

    fn delete(&self, map: &MapSpec, key: &[u8]) {
        if let Some(entries) = self.maps.borrow_mut().get_mut(map.name) {
            entries.remove(key);
        }
    }

    fn entries(&self, map: &MapSpec) -> Entries {
        let mut entries = self.maps.borrow().get(map.name).cloned().unwrap_or_default();
        if !matches!(map.kind, MapKind::Hash | MapKind::LruHash | MapKind::Trie) {
            entries.retain(|_, value| value.iter().any(|byte| *byte != 0));
        }
        entries
    }
}
