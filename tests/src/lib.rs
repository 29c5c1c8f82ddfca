//! Support of the test floors and of the demonstration, in the order of the floors.

pub mod wait;
pub mod tool;
pub mod process;
pub mod interrupt;
pub mod cgroup;
pub mod netns;
pub mod plan;
pub mod cluster;
pub mod peer;
pub mod servers;
pub mod manifests;
#[cfg(feature = "cluster")]
mod http;
#[cfg(feature = "cluster")]
pub mod apiserver;
pub mod agent;
pub mod probe;
pub mod foreign;
pub mod rules;
pub mod programmed;
pub mod packets;
pub mod measure;
#[cfg(feature = "cluster")]
pub mod kernel;
#[cfg(feature = "cluster")]
pub mod cost;
#[cfg(feature = "cluster")]
pub mod scale;
#[cfg(feature = "cluster")]
pub mod bench;
#[cfg(feature = "cluster")]
pub mod differential;
pub mod demo;
