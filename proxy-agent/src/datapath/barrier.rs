//! The kernel's own way of waiting for the programs that run: an update of an array of maps returns after an RCU grace
//! period (`maybe_wait_bpf_programs` in kernel/bpf/syscall.c).

use std::io;

use aya::maps::{ArrayOfMaps, Map, MapData, MapError};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY;

use super::syscall;

/// An array of maps that nobody reads.
pub struct Barrier {
    outer: ArrayOfMaps<MapData>,
    inner: MapData,
}

impl Barrier {
    /// Makes the maps.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new() -> io::Result<Self> {
        let inner = aya_obj::Map::new_from_params(BPF_MAP_TYPE_ARRAY as u32, 4, 4, 1, 0);
        let inner = MapData::create(inner, "fairlead_inner", None).map_err(io::Error::other)?;
        let outer = syscall::array_of_maps(inner.fd())?;
        let outer = MapData::from_fd(outer)
            .map(Map::ArrayOfMaps)
            .and_then(ArrayOfMaps::try_from);
        Ok(Barrier {
            outer: outer.map_err(io::Error::other)?,
            inner,
        })
    }

    /// Waits until every program that is running now has ended: 8 to 16 ms.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&mut self) -> io::Result<()> {
        self.outer
            .set(0, &self.inner, 0)
            .map_err(|error: MapError| io::Error::other(error))
    }
}
