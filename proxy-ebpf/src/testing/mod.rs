//! A node and its packets in memory, for the tests of this crate and of others.
//!
//! The modules stand in the order in which a test is written: who is in the cluster, what the node's maps hold, the
//! packet that is sent, the frame it travels in, the node that it meets, and the check of what comes out.
//! What cannot be done panics with the reason: only tests call this.

pub mod who;
pub mod maps;
pub mod fixture;
pub mod packet;
pub mod frame;
pub mod node;
pub mod machine;
pub mod check;
