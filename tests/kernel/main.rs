//! Floor 2: one kernel, no real network.

mod fixture;
mod attach;
mod maps;
mod explain;
