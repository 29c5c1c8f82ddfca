//! Floor 2: the compiled programs in one kernel, without a real network. Needs root.
//!
//! Packets are put through them by `BPF_PROG_TEST_RUN`, and through the library on the host, and both must say and do
//! the same. Socket hooks have no such test-run: they are shown on the floor of real sockets.

mod machine;
mod pair;
mod fixture;

mod verifier;
mod cost;
mod rows;
mod distribution;
mod parity;
mod twin;
mod attach;
mod maps;
mod explain;
