//! The compiled programs with maps of their own, which vanish with them: nothing is pinned.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    os::fd::{AsFd as _, BorrowedFd},
};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, MapData},
    programs::{CgroupSockAddr, Program, SchedClassifier},
};
use proxy_agent::datapath::object::ROUTER;
use proxy_common::schema::{self, MapKind, MapSpec};
use proxy_ebpf::testing::maps::{Entries, Maps};

use super::bpf;

/// How many entries each map has here: few, so that all of them are looked at quickly.
fn capacity(spec: &MapSpec) -> u32 {
    let few = match spec.name {
        "FRONTENDS_V4" | "FRONTENDS_V6" | "TARGETS_V4" | "TARGETS_V6" => 256,
        "FLOWS_V4" | "FLOWS_V6" => 512,
        // What the programs index by constants or by other maps' sizes.
        "FREE_PORTS" | "COUNTERS" => spec.capacity,
        // It must not forget before a test is over, which it does long before it is full.
        "FRAGMENTS_V4" | "FRAGMENTS_V6" => 4096,
        _ => 64,
    };
    few.min(spec.capacity)
}

/// The loaded object.
pub struct Programs {
    ebpf: Ebpf,
    sizes: BTreeMap<&'static str, (usize, usize, u32)>,
    /// Which entries tests have written.
    written: RefCell<Vec<(MapSpec, Vec<u8>)>>,
}

/// Arrays whose entries the programs write on their own account.
const WRITTEN_BY_PROGRAMS: [MapSpec; 3] = [schema::RECORDS_V4, schema::RECORDS_V6, schema::HANDS];

impl Programs {
    /// Makes the maps, of few entries each, and loads the named programs.
    ///
    /// # Errors
    /// What the kernel refuses, with the verifier's log.
    pub fn load(names: &[&str]) -> Result<Self> {
        Self::load_sized(names, capacity)
    }

    /// The same with maps of given sizes.
    ///
    /// # Errors
    /// As [`Programs::load`].
    pub fn load_sized(names: &[&str], capacity: impl Fn(&MapSpec) -> u32) -> Result<Self> {
        let mut loader = EbpfLoader::new();
        for spec in schema::ALL.iter().filter(|spec| spec.kind != MapKind::SocketStorage) {
            loader.map_max_entries(spec.name, capacity(spec));
        }
        let mut ebpf = loader.load(ROUTER).context("loading the object; it needs root")?;
        for name in names {
            load(&mut ebpf, name).with_context(|| format!("program {name}"))?;
        }
        let mut sizes = BTreeMap::new();
        for spec in schema::ALL {
            let info = data(&ebpf, spec)?.info()?;
            let (key, value) = (info.key_size() as usize, info.value_size() as usize);
            sizes.insert(spec.name, (key, value, info.max_entries()));
        }
        Ok(Programs {
            ebpf,
            sizes,
            written: RefCell::default(),
        })
    }

    /// Loads every program of the object.
    ///
    /// # Errors
    /// As [`Programs::load`].
    pub fn load_all() -> Result<Self> {
        let mut programs = Self::load(&[])?;
        let names: Vec<String> = programs.ebpf.programs().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            load(&mut programs.ebpf, &name).with_context(|| format!("program {name}"))?;
        }
        Ok(programs)
    }

    /// A program's descriptor.
    pub fn program(&self, name: &str) -> BorrowedFd<'_> {
        let program = self.ebpf.program(name).unwrap_or_else(|| panic!("no program {name}"));
        program.fd().unwrap_or_else(|error| panic!("{name}: {error}")).as_fd()
    }

    /// All programs in aya's form, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Program)> {
        self.ebpf.programs()
    }

    /// A map's descriptor.
    pub fn map(&self, spec: &MapSpec) -> BorrowedFd<'_> {
        let data = data(&self.ebpf, spec).unwrap_or_else(|error| panic!("{error:#}"));
        data.fd().as_fd()
    }

    /// Empties all maps that tests and programs have written; counters go on.
    pub fn clear(&self) {
        for (spec, key) in self.written.take() {
            if matches!(spec.kind, MapKind::Array | MapKind::MappedArray) {
                self.put(&spec, &key, &vec![0; self.sizes[spec.name].1]);
            }
        }
        self.written.take();
        for spec in schema::ALL {
            match spec.kind {
                MapKind::Hash | MapKind::LruHash | MapKind::Trie => {
                    self.keys(spec).iter().for_each(|key| self.delete(spec, key))
                }
                MapKind::Array if WRITTEN_BY_PROGRAMS.contains(spec) => self.clear_array(spec),
                MapKind::Array | MapKind::MappedArray | MapKind::PerCpuArray | MapKind::SocketStorage => {}
            }
        }
    }

    fn clear_array(&self, spec: &MapSpec) {
        let zeroes = vec![0; self.sizes[spec.name].1];
        for key in self.entries(spec).keys() {
            self.put(spec, key, &zeroes);
        }
        self.written.take();
    }

    fn keys(&self, spec: &MapSpec) -> Vec<Vec<u8>> {
        let (key, _, entries) = self.sizes[spec.name];
        if matches!(spec.kind, MapKind::Hash | MapKind::LruHash | MapKind::Trie) {
            return bpf::keys(self.map(spec), key).unwrap_or_else(|error| panic!("keys of {}: {error}", spec.name));
        }
        (0..entries).map(|index| index.to_ne_bytes().to_vec()).collect()
    }
}

/// How many processors there may be.
pub fn processors() -> usize {
    aya::util::nr_cpus().expect("the kernel says how many processors there may be")
}

fn load(ebpf: &mut Ebpf, name: &str) -> Result<()> {
    let program = ebpf.program_mut(name).context("it is not in the object")?;
    if let Ok(classifier) = <&mut SchedClassifier>::try_from(&mut *program) {
        return Ok(classifier.load()?);
    }
    Ok(<&mut CgroupSockAddr>::try_from(program)?.load()?)
}

fn data<'a>(ebpf: &'a Ebpf, spec: &MapSpec) -> Result<&'a MapData> {
    let map = ebpf.map(spec.name).with_context(|| format!("no map {}", spec.name))?;
    if let Map::Array(data)
    | Map::HashMap(data)
    | Map::LpmTrie(data)
    | Map::LruHashMap(data)
    | Map::PerCpuArray(data)
    | Map::SkStorage(data) = map
    {
        return Ok(data);
    }
    anyhow::bail!("{} is of a kind that the list does not know", spec.name)
}

impl Maps for Programs {
    fn put(&self, map: &MapSpec, key: &[u8], value: &[u8]) {
        let done = bpf::update(self.map(map), key, value);
        done.unwrap_or_else(|error| panic!("writing {} {key:02x?}: {error}", map.name));
        self.written.borrow_mut().push((*map, key.to_vec()));
    }

    fn get(&self, map: &MapSpec, key: &[u8]) -> Option<Vec<u8>> {
        let (_, value, _) = self.sizes[map.name];
        let each = if map.kind == MapKind::PerCpuArray {
            processors()
        } else {
            1
        };
        let found = bpf::look_up(self.map(map), key, value * each);
        found.unwrap_or_else(|error| panic!("reading {} {key:02x?}: {error}", map.name))
    }

    fn delete(&self, map: &MapSpec, key: &[u8]) {
        let done = bpf::delete(self.map(map), key);
        done.unwrap_or_else(|error| panic!("deleting {} {key:02x?}: {error}", map.name));
    }

    fn entries(&self, map: &MapSpec) -> Entries {
        let keys = self.keys(map).into_iter();
        let mut entries: Entries = keys
            .filter_map(|key| Some((key.clone(), self.get(map, &key)?)))
            .collect();
        if !matches!(map.kind, MapKind::Hash | MapKind::LruHash | MapKind::Trie) {
            entries.retain(|_, value| value.iter().any(|byte| *byte != 0));
        }
        entries
    }
}
