//! What a packet costs: nanoseconds of the programs, and how many look-ups of a 16-byte key in a hash that is.
//!
//! [`packets`] runs the loaded programs over one packet again and again, by the kernel's test-run, and takes off
//! what putting the packet back costs. [`traffic`] takes the kernel's own statistics while real sockets talk. [`look_ups`] counts how often maps are asked, [`parts`] prices
//! the kernel's helpers, [`verified`] says how many instructions the verifier looked at. Rounds go over all
//! cases in turn, the yardstick among them, and medians are taken: on a shared machine only the ratios mean something.

mod code;
mod timer;
mod yardstick;
mod restore;
mod counters;
mod flow;
mod stage;
mod cases;
pub mod packets;
pub mod traffic;
pub mod look_ups;
pub mod parts;
pub mod verified;
pub mod figures;
mod table;

pub use figures::Figures;
