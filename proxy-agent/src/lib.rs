//! Fairlead's agent. The modules stand in the order of an object's way: from the API to the maps.
#![warn(missing_docs)]

pub mod cli;
pub mod settings;
pub mod agent;
pub mod watch;
pub mod model;
pub mod desired;
pub mod diff;
pub mod apply;
pub mod datapath;
pub mod host;
pub mod address;
pub mod key;
mod hash;
pub mod health;
pub mod error;
#[cfg(test)]
mod testing;
