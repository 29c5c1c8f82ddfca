//! Fairlead's data path, as a library that knows neither the kernel nor aya.
//!
//! The modules stand in the order in which a packet meets them. [`pipeline`] calls them, [`explain`] asks them, and [`socket`]
//! does both for sockets; everything below sees the packet through [`frame::Frame`] and the node through [`node::Node`].
#![cfg_attr(not(any(test, feature = "testing")), no_std)]
#![warn(missing_docs)]

pub mod frame;
pub mod node;
pub mod verdict;
pub mod work;
pub mod pipeline;
pub mod explain;
pub mod parse;
pub mod fragments;
pub mod track;
pub mod service;
pub mod select;
pub mod rewrite;
pub mod reject;
pub mod socket;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
