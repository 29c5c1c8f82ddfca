//! Real servers in a place: nginx, dnsmasq, iperf3; and the clients that go with the last two.

mod dns;
mod iperf;
mod nginx;

pub use dns::{Dns, OF_CACHE, ask, dig};
pub use iperf::{Iperf, stream};
pub use nginx::Nginx;
