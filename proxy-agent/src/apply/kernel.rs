//! Maps of the kernel.

use std::{
    io,
    path::{Path, PathBuf},
};

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray};
use bytemuck::Pod;
use proxy_common::schema::{self, MapSpec};

use super::{
    map::{Table, TableError, Words},
    mapped::Mapped,
    maps::{Dual, ServiceMaps},
    networks::{NetworkTables, Networks},
};

/// Plain data in the sense of both `bytemuck` and aya.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Plain<T>(T);

// SAFETY: `bytemuck::Pod` promises more than aya asks for: no padding, no pointers, every bit pattern valid.
unsafe impl<T: Pod> aya::Pod for Plain<T> {}

/// Where maps are found by name.
pub trait MapSource {
    /// A map of the schema.
    ///
    /// # Errors
    /// If there is no such map.
    fn find(&self, spec: &MapSpec) -> Result<MapData, TableError>;
}

/// The folder in which maps are pinned.
impl MapSource for Path {
    fn find(&self, spec: &MapSpec) -> Result<MapData, TableError> {
        MapData::from_pin(self.join(spec.name)).map_err(|error| failed(spec.name, error))
    }
}

impl MapSource for PathBuf {
    fn find(&self, spec: &MapSpec) -> Result<MapData, TableError> {
        self.as_path().find(spec)
    }
}

/// A hash in the kernel, or a trie: of a trie `get` finds the longest prefix.
pub struct KernelHash<K: Pod, V: Pod> {
    name: &'static str,
    map: HashMap<MapData, Plain<K>, Plain<V>>,
}

impl<K: Pod, V: Pod> KernelHash<K, V> {
    /// A hash of the schema.
    ///
    /// # Errors
    /// If there is no such map, or if it is of another kind.
    pub fn open(maps: &(impl MapSource + ?Sized), spec: &MapSpec) -> Result<Self, TableError> {
        let data = maps.find(spec)?;
        let map = HashMap::try_from(Map::HashMap(data)).map_err(|error| shape(spec.name, &error))?;
        Ok(KernelHash { name: spec.name, map })
    }
}

impl<K: Pod + Send, V: Pod + Send> Table<K, V> for KernelHash<K, V> {
    fn get(&self, key: &K) -> Result<Option<V>, TableError> {
        found(self.map.get(&Plain(*key), 0)).map_err(|error| failed(self.name, error))
    }

    fn put(&mut self, key: &K, value: &V) -> Result<(), TableError> {
        let put = self.map.insert(Plain(*key), Plain(*value), 0);
        put.map_err(|error| failed(self.name, error))
    }

    fn remove(&mut self, key: &K) -> Result<(), TableError> {
        let removed = self.map.remove(&Plain(*key));
        found(removed.map(Plain)).map_err(|error| failed(self.name, error))?;
        Ok(())
    }

    fn entries(&self) -> Result<Vec<(K, V)>, TableError> {
        let entries = self.map.iter().map(|entry| entry.map(|(key, value)| (key.0, value.0)));
        entries
            .collect::<Result<_, _>>()
            .map_err(|error| failed(self.name, error))
    }
}

/// An array in the kernel that is reached by system calls.
pub struct KernelArray<V: Pod> {
    name: &'static str,
    map: Array<MapData, Plain<V>>,
}

impl<V: Pod> KernelArray<V> {
    /// An array of the schema.
    ///
    /// # Errors
    /// If there is no such map, or if it is of another kind.
    pub fn open(maps: &(impl MapSource + ?Sized), spec: &MapSpec) -> Result<Self, TableError> {
        let data = maps.find(spec)?;
        let map = Array::try_from(Map::Array(data)).map_err(|error| shape(spec.name, &error))?;
        Ok(KernelArray { name: spec.name, map })
    }
}

impl<V: Pod + Send> Table<u32, V> for KernelArray<V> {
    fn get(&self, key: &u32) -> Result<Option<V>, TableError> {
        found(self.map.get(key, 0)).map_err(|error| failed(self.name, error))
    }

    fn put(&mut self, key: &u32, value: &V) -> Result<(), TableError> {
        let put = self.map.set(*key, Plain(*value), 0);
        put.map_err(|error| failed(self.name, error))
    }

    fn remove(&mut self, _: &u32) -> Result<(), TableError> {
        Err(TableError::Kernel {
            map: self.name,
            call: "remove from an array",
            source: io::ErrorKind::Unsupported.into(),
        })
    }

    fn entries(&self) -> Result<Vec<(u32, V)>, TableError> {
        let value = |index| {
            let value = self.map.get(&index, 0).map_err(|error| failed(self.name, error))?;
            Ok((index, value.0))
        };
        (0..self.map.len()).map(value).collect()
    }
}

/// How a map is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// By the one writer.
    Write,
    /// By whoever looks.
    Read,
}

impl ServiceMaps {
    /// Opens them all.
    ///
    /// # Errors
    /// If one is missing, or is not what the schema says.
    pub fn open(maps: &(impl MapSource + ?Sized), access: Access) -> Result<Self, TableError> {
        Ok(ServiceMaps {
            frontends: Dual {
                v4: Box::new(KernelHash::open(maps, &schema::FRONTENDS_V4)?),
                v6: Box::new(KernelHash::open(maps, &schema::FRONTENDS_V6)?),
            },
            targets: Dual {
                v4: Box::new(KernelHash::open(maps, &schema::TARGETS_V4)?),
                v6: Box::new(KernelHash::open(maps, &schema::TARGETS_V6)?),
            },
            networks: Networks::adopt(NetworkTables {
                v4: Box::new(KernelHash::open(maps, &schema::NETWORKS_V4)?),
                v6: Box::new(KernelHash::open(maps, &schema::NETWORKS_V6)?),
            })?,
            services: words(maps, &schema::SERVICES, access)?,
            endpoints: words(maps, &schema::ENDPOINTS, access)?,
            state: words(maps, &schema::STATE, access)?,
            service_names: Box::new(KernelArray::open(maps, &schema::SERVICE_NAMES)?),
            endpoint_names: Box::new(KernelArray::open(maps, &schema::ENDPOINT_NAMES)?),
            writes: 0,
        })
    }
}

/// The words of an array that can be mapped.
///
/// # Errors
/// If there is no such map, or if it cannot be mapped.
pub fn words(maps: &(impl MapSource + ?Sized), spec: &MapSpec, access: Access) -> Result<Box<dyn Words>, TableError> {
    let data = maps.find(spec)?;
    let (entries, value) = size(&data).map_err(|error| shape(spec.name, &error))?;
    if value % size_of::<u64>() != 0 {
        let why = format!("its values have {value} bytes");
        return Err(TableError::Shape { map: spec.name, why });
    }
    let count = entries * value / size_of::<u64>();
    let mapped = match access {
        Access::Write => Mapped::new(data.fd(), count),
        Access::Read => Mapped::read_only(data.fd(), count),
    };
    match mapped {
        Ok(mapped) => Ok(Box::new(mapped)),
        Err(source) => Err(TableError::Kernel {
            map: spec.name,
            call: "mmap",
            source,
        }),
    }
}

fn size(data: &MapData) -> Result<(usize, usize), MapError> {
    let info = data.info()?;
    Ok((info.max_entries() as usize, info.value_size() as usize))
}

fn found<T>(value: Result<Plain<T>, MapError>) -> Result<Option<T>, MapError> {
    match value {
        Ok(value) => Ok(Some(value.0)),
        Err(MapError::KeyNotFound | MapError::ElementNotFound | MapError::OutOfBounds { .. }) => Ok(None),
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn failed(map: &'static str, error: MapError) -> TableError {
    let MapError::SyscallError(error) = error else {
        return shape(map, &error);
    };
    if matches!(error.io_error.raw_os_error(), Some(libc::E2BIG | libc::ENOSPC)) {
        // What a hash and a trie say that have all the entries they were made for.
        return TableError::Full { map };
    }
    TableError::Kernel {
        map,
        call: error.call,
        source: error.io_error,
    }
}

fn shape(map: &'static str, error: &MapError) -> TableError {
    TableError::Shape {
        map,
        why: error.to_string(),
    }
}

/// `COUNTERS`, summed over the processors.
///
/// # Errors
/// If the map cannot be read.
pub fn counters(maps: &Path) -> Result<Vec<u64>, TableError> {
    let spec = &schema::COUNTERS;
    let data = maps.find(spec)?;
    let map = PerCpuArray::<_, u64>::try_from(Map::PerCpuArray(data)).map_err(|error| shape(spec.name, &error))?;
    let sum = |index| Ok(map.get(&index, 0)?.iter().sum());
    (0..map.len())
        .map(sum)
        .collect::<Result<_, _>>()
        .map_err(|error| failed(spec.name, error))
}
