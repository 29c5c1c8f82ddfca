//! ICMP echo.

use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::netns::NetNs;

/// An echo request; the kernel fills in identifier and checksum for this kind of socket.
const ECHO_V4: [u8; 8] = [8, 0, 0, 0, 0, 0, 0, 1];
const ECHO_V6: [u8; 8] = [128, 0, 0, 0, 0, 0, 0, 1];

/// Whether an address answers an echo request within `within`.
///
/// # Errors
/// When the request cannot be sent for another reason than that nobody is there.
pub fn answers_ping(netns: &NetNs, to: IpAddr, within: Duration) -> Result<bool> {
    netns.run(|| ping(to, within))?.with_context(|| format!("ping {to}"))
}

fn ping(to: IpAddr, within: Duration) -> io::Result<bool> {
    let (domain, protocol, echo) = match to {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, ECHO_V4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, ECHO_V6),
    };
    let mut socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_read_timeout(Some(within))?;
    socket.connect(&SockAddr::from(SocketAddr::new(to, 0)))?;
    let nobody = [
        ErrorKind::WouldBlock,
        ErrorKind::TimedOut,
        ErrorKind::HostUnreachable,
        ErrorKind::NetworkUnreachable,
        ErrorKind::ConnectionRefused,
    ];
    match socket.send(&echo).and_then(|_| socket.read(&mut [0; 64])) {
        Ok(_) => Ok(true),
        Err(error) if nobody.contains(&error.kind()) => Ok(false),
        Err(error) => Err(error),
    }
}
