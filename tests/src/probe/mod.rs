//! Looking at single packets: captures, traceroute, ping.

mod capture;
mod checksum;
mod flood;
mod ping;
mod trace;

pub use capture::Capture;
pub use checksum::{is_for, wrong_checksum};
pub use flood::flood;
pub use ping::answers_ping;
pub use trace::{Hop, trace};
