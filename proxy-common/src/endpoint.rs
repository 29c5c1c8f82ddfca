//! What the node knows of an endpoint at the moment: the map `STATE`.

use bytemuck::{Pod, Zeroable};

/// The number that names no endpoint: that of a flow which goes straight to its backend.
pub const NO_ENDPOINT: u32 = 0;

/// One endpoint of one service. The agent writes `flags`; the data path counts in the other fields, atomically.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct EndpointState {
    /// Of [`serving`].
    pub flags: u64,
    /// How many flow records name this endpoint. A number is given to another endpoint only at zero.
    pub flows: u64,
    /// How many flows were opened towards it.
    pub opened: u64,
    /// How many of them got an answer.
    pub answered: u64,
}

/// Bits of [`EndpointState::flags`].
pub mod serving {
    /// Some published block may name it: the number is in use.
    pub const IN_USE: u64 = 1;
    /// It serves: its flows may go on.
    pub const SERVING: u64 = 2;
    /// It may be chosen for new flows.
    pub const ELIGIBLE: u64 = 4;
}
