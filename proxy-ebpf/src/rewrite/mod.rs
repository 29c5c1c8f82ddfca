//! 5. Flow and direction -> what changes -> bytes.

pub mod apply;
pub mod checksum;
pub mod crc32c;
pub mod embedded;

use proxy_common::{
    family::Family,
    flow::FlowRecord,
    net::{Peer, Tuple},
    phase::Direction,
};

/// The two ends that a packet gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan<F: Family> {
    /// The sender it gets.
    pub source: Peer<F>,
    /// The receiver it gets.
    pub destination: Peer<F>,
}

impl<F: Family> Plan<F> {
    /// What a packet of a flow becomes when it enters the node: `client <-> backend`.
    #[inline(always)]
    #[must_use]
    pub const fn ingress(record: &FlowRecord<F>, direction: Direction) -> Self {
        match direction {
            Direction::Request => Plan {
                source: record.inner_client(),
                destination: record.backend(),
            },
            Direction::Reply => Plan {
                source: record.backend(),
                destination: record.inner_client(),
            },
        }
    }

    /// What a packet of a flow becomes when it leaves the node.
    #[inline(always)]
    #[must_use]
    pub const fn egress(record: &FlowRecord<F>, direction: Direction) -> Self {
        match direction {
            Direction::Request => Plan {
                source: record.seen_by_backend(),
                destination: record.backend(),
            },
            Direction::Reply => Plan {
                source: record.dialled(),
                destination: record.client(),
            },
        }
    }

    /// The plan for a packet that goes the other way.
    #[inline(always)]
    #[must_use]
    pub const fn reversed(self) -> Self {
        Plan {
            source: self.destination,
            destination: self.source,
        }
    }

    /// Whether a packet has these ends already.
    #[inline(always)]
    #[must_use]
    pub fn is_done(&self, tuple: &Tuple<F>) -> bool {
        tuple.is_between(&self.source, &self.destination)
    }
}
