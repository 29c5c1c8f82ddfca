//! The compiled programs in this kernel, without a real network: loaded, filled and put to work by test-run. Needs root.

pub mod bpf;
pub mod programs;
pub mod place;
