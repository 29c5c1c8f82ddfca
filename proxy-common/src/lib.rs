//! What Fairlead's kernel programs and its agent must agree on.
//!
//! The modules stand in the order in which a packet meets them: an address family, addresses and ports, the service
//! behind an address, its endpoints, the flow that is made of it, how that flow ages, what the node itself is, and at
//! the end the list of maps in which all of this lives.
#![cfg_attr(not(any(test, feature = "user")), no_std)]
#![warn(missing_docs)]

pub mod family;
pub mod net;
pub mod frontend;
pub mod network;
pub mod block;
pub mod endpoint;
pub mod flow;
pub mod phase;
pub mod lifetime;
pub mod fragment;
pub mod node;
pub mod socket;
pub mod explain;
pub mod reason;
pub mod names;
pub mod schema;

mod plain;

/// The layout of everything pinned. A change of any type here that is a map's key or value raises it.
pub const ABI_VERSION: u32 = 2;
