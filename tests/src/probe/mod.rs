//! Looking at single packets, and making them: captures, traceroute, ping, conversations of made-up ends.

mod capture;
mod checksum;
mod conversations;
mod flood;
mod ping;
mod segment;
mod trace;
mod tun;

pub use capture::Capture;
pub use checksum::{is_for, wrong_checksum, wrong_in_packet};
pub use conversations::{Conversations, Side, hardware_address};
pub use flood::flood;
pub use ping::answers_ping;
pub use segment::Mac;
pub use trace::{Hop, trace};
pub use tun::{Passed, TunWire};
