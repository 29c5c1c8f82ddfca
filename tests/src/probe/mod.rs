//! Looking at single packets: captures, traceroute, ping.

mod capture;
mod checksum;
mod flood;
mod ping;
mod trace;
mod tun;

pub use capture::Capture;
pub use checksum::{is_for, wrong_checksum, wrong_in_packet};
pub use flood::flood;
pub use ping::answers_ping;
pub use trace::{Hop, trace};
pub use tun::{Passed, TunWire};
