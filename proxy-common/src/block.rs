//! A service's endpoint set: the flip word of `SERVICES` and the block of `ENDPOINTS` that it points at.
//!
//! A block is a run of cells: one header, then the entries of the three views in the order local only, both, cluster
//! only. It is immutable once published. Publishing is one aligned 64-bit store of the flip word; the cells are reused
//! only after an RCU grace period.

use bytemuck::{Pod, Zeroable};

use crate::net::{Ip6, Port};

/// One cell of the arena: 32 bytes, holding a [`BlockHeader`] or a [`BlockEntry`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Cell(pub [u64; 4]);

/// Where a service's current block begins, and of which generation it is. Zero: the service has no block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlipWord(pub u64);

impl FlipWord {
    /// The word for a block that begins at a cell. Cell 0 is never part of a block.
    #[must_use]
    pub const fn new(cell: u32, generation: u32) -> Self {
        FlipWord((generation as u64) << 32 | cell as u64)
    }

    /// The index of the block's header in the arena.
    #[inline(always)]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low half of the word is the cell")]
    pub const fn cell(self) -> u32 {
        self.0 as u32
    }

    /// The generation that header and entries of the block must carry.
    #[inline(always)]
    #[must_use]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether there is a block.
    #[inline(always)]
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.cell() != 0
    }
}

/// The first cell of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockHeader {
    /// The flip word's generation: any other value proves that the cell was reused under a reader.
    pub generation: u32,
    /// The service's number.
    pub service: u32,
    /// How many entries only the local view has.
    pub local_only: u32,
    /// How many entries both views have.
    pub both: u32,
    /// How many entries only the cluster view has.
    pub cluster_only: u32,
    /// Of [`policy`].
    pub flags: u32,
    /// Session affinity's time-out in seconds; 0: no affinity.
    pub affinity_seconds: u32,
    /// How an entry is chosen; 0: uniformly at random.
    pub choice: u32,
}

/// Bits of [`BlockHeader::flags`].
pub mod policy {
    /// `internalTrafficPolicy: Local`.
    pub const INTERNAL_LOCAL: u32 = 1;
    /// `externalTrafficPolicy: Local`.
    pub const EXTERNAL_LOCAL: u32 = 2;
    /// The service has a usable endpoint on some node, even if no view holds one: an empty local view then drops
    /// instead of refusing.
    pub const ANY_ENDPOINT: u32 = 4;
    /// Not everybody may use the service's load-balancer addresses: `NETWORKS` says who may.
    pub const SOURCE_RANGES: u32 = 8;
    /// The node itself may, if not everybody may.
    pub const NODE_ADMITTED: u32 = 16;
    /// `externalTrafficPolicy: Local` is for pods and the node itself as for everybody else.
    pub const NO_EXCEPTIONS: u32 = 32;
}

/// Which endpoints a client may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Endpoints on this node.
    Local,
    /// Endpoints of the whole cluster, as far as topology hints allow.
    Cluster,
}

impl BlockHeader {
    /// A view as a range: the index of its first entry, counted behind the header, and the number of its entries.
    #[inline(always)]
    #[must_use]
    pub const fn range(&self, view: View) -> (u32, u32) {
        match view {
            View::Local => (0, self.local_only + self.both),
            View::Cluster => (self.local_only, self.both + self.cluster_only),
        }
    }

    /// How many entries follow the header.
    #[must_use]
    pub const fn entries(&self) -> u32 {
        self.local_only + self.both + self.cluster_only
    }
}

/// One endpoint of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockEntry {
    /// The endpoint's address; IPv4 stands in the first four bytes.
    pub address: Ip6,
    /// The endpoint's port.
    pub port: Port,
    zero: u16,
    /// The endpoint's number: an index of `STATE`.
    pub endpoint: u32,
    /// The service's number, as in the header.
    pub service: u32,
    /// The generation, as in the header.
    pub generation: u32,
}

impl BlockEntry {
    /// An entry of a block.
    #[must_use]
    pub const fn new(address: Ip6, port: Port, endpoint: u32, service: u32, generation: u32) -> Self {
        BlockEntry {
            address,
            port,
            zero: 0,
            endpoint,
            service,
            generation,
        }
    }
}

const _: () = {
    assert!(size_of::<BlockHeader>() == size_of::<Cell>());
    assert!(size_of::<BlockEntry>() == size_of::<Cell>());
};
