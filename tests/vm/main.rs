//! Part of floor 5: what many a kernel lacks, under kernels that have it. Run by `cargo xtask test vm`; needs root.

mod sctp;
mod bond;
mod dummy;
mod tunnels;
