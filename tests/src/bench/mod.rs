//! Peers side by side: the same nodes, pods and objects for each of them, and the proof that it is the peer that carries
//! the traffic.

pub mod case;
pub mod plan;
mod choice;
mod duration;
mod load;
mod ends;
mod crowd;
pub mod live;
mod tracking;
mod pin;
mod rounds;
mod profile;
mod progress;
mod control;
mod per_packet;
pub mod run;
pub mod peer;
pub mod host;
pub mod objects;
pub mod kube_proxy;
pub mod rules;
pub mod proxy;
pub mod servers;
pub mod stand;
pub mod shelf;
mod programs;
mod alone;
mod evidence;
pub mod proof;
