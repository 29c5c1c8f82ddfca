//! Looking at single packets, and making them: captures, traceroute, ping, neighbours, conversations of made-up ends.

mod capture;
mod checksum;
mod conversations;
mod flood;
mod ping;
mod segment;
mod device;
mod neighbour;
mod answers;
mod trace;
mod tun;

pub use answers::who_answers;
pub use capture::Capture;
pub use checksum::{is_for, wrong_checksum, wrong_in_packet};
pub use conversations::{Conversations, Side, hardware_address};
pub use device::{own_hardware_address, packet_socket};
pub use flood::flood;
pub use neighbour::{ETH_P_ARP, ETH_P_IPV6, Neighbour, announcement, answer, asker};
pub use ping::answers_ping;
pub use segment::Mac;
pub use trace::{Hop, trace};
pub use tun::{Passed, TunWire};
