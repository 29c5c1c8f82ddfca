//! The compiled programs. The only place that has them.

/// The object file with all programs and maps, as `build.rs` made it.
pub static ROUTER: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/router"));
