//! Connections that are begun and never answered.

use std::io;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, bail};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::checksum::sum;
use crate::netns::NetNs;

/// The protocol number that says "I bring the IP header myself".
const RAW: i32 = 255;
const TCP: u8 = 6;

/// Sends one SYN from each of `count` made-up clients: addresses that differ from `like` in the last byte, and all ports.
///
/// # Errors
/// When raw sockets are not permitted, or `like` and `to` are of different families.
pub fn flood(netns: &NetNs, like: IpAddr, to: SocketAddr, count: u32) -> Result<()> {
    netns.run(|| {
        let socket = Socket::new(Domain::for_address(to), Type::RAW, Some(Protocol::from(RAW)))?;
        // The port is in the packet; a raw socket takes none.
        let target = SockAddr::from(SocketAddr::new(to.ip(), 0));
        for number in 0..count {
            // 100 addresses that the plan gives to nobody, then the next port.
            let [.., last] = (100 + number % 100).to_be_bytes();
            let [.., high, low] = (1024 + number / 100).to_be_bytes();
            let packet = syn(with_last(like, last), u16::from_be_bytes([high, low]), to)?;
            send(&socket, &packet, &target)?;
        }
        Ok(())
    })?
}

/// A full queue is waited for.
fn send(socket: &Socket, packet: &[u8], to: &SockAddr) -> Result<()> {
    loop {
        match socket.send_to(packet, to) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => std::thread::yield_now(),
            Err(error) => return Err(error).context("raw socket"),
        }
    }
}

fn with_last(like: IpAddr, last: u8) -> IpAddr {
    match like {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::from([a, b, c, last])
        }
        IpAddr::V6(v6) => {
            let mut octets = v6.octets();
            octets[15] = last;
            IpAddr::from(octets)
        }
    }
}

fn syn(from: IpAddr, port: u16, to: SocketAddr) -> Result<Vec<u8>> {
    let mut segment = [port.to_be_bytes(), to.port().to_be_bytes()].concat();
    // Sequence 1, no acknowledgement; five words, SYN; a window; checksum and urgent pointer zero.
    segment.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    let (addresses, header) = match (from, to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let addresses = [from.octets(), to.octets()].concat();
            // The kernel fills in identification and checksum.
            let header = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, TCP, 0, 0];
            (addresses, header)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let addresses = [from.octets(), to.octets()].concat();
            let header = vec![0x60, 0, 0, 0, 0, 20, TCP, 64];
            (addresses, header)
        }
        _ => bail!("{from} cannot send to {to}"),
    };
    let pseudo = [&addresses[..], &[0, 0, 0, 20, 0, 0, 0, TCP]].concat();
    let checksum = !sum(&[&pseudo, &segment]);
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
    Ok([header, addresses, segment].concat())
}
