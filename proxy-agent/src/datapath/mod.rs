//! The programs, not the contents of their maps: into the kernel, to the devices and the cgroup, and out again.

pub mod object;
pub mod requirements;
pub mod pins;
pub mod load;
pub mod attach;
pub mod barrier;
pub mod probe;
pub mod twin;
pub mod cleanup;
pub mod kube_proxy;
mod clsact;
mod packet_log;
mod syscall;

pub use load::Loaded;
pub use pins::{PinLock, Pins};
pub use requirements::HostError;
