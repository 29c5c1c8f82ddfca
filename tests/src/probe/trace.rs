//! The hops of a UDP conversation, learnt from ICMP errors, as `traceroute` does it.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc::sock_extended_err;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::SockRef;

use crate::netns::NetNs;
use crate::wait;

/// Who answered a packet with a small hop limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// A router, by "time exceeded".
    Router(IpAddr),
    /// A host, by "unreachable".
    Unreachable(IpAddr),
    /// The other end, by a datagram.
    Answer(SocketAddr),
}

/// Sends datagrams from one socket to `to` with hop limits from 1 until the other end answers, and says who did at each.
///
/// # Errors
/// When a hop stays silent for two seconds, or the end is not reached in sixteen.
pub fn trace(netns: &NetNs, to: SocketAddr) -> Result<Vec<Hop>> {
    netns.run(|| {
        let socket = open(to)?;
        let mut hops = Vec::new();
        for limit in 1..=16 {
            match to {
                SocketAddr::V4(_) => SockRef::from(&socket).set_ttl_v4(limit)?,
                SocketAddr::V6(_) => SockRef::from(&socket).set_unicast_hops_v6(limit)?,
            }
            socket.send(b"where")?;
            let what = format!("an answer from hop {limit} towards {to}, after {hops:?}");
            let hop = wait::until(&what, Duration::from_secs(2), || Ok(answer(&socket)?))?;
            hops.push(hop);
            if !matches!(hop, Hop::Router(_)) {
                return Ok(hops);
            }
        }
        anyhow::bail!("{to} is further than sixteen hops: {hops:?}")
    })?
}

fn open(to: SocketAddr) -> Result<UdpSocket> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    match to {
        SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
        SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
    }
    socket.connect(to).with_context(|| format!("{to}"))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn answer(socket: &UdpSocket) -> io::Result<Option<Hop>> {
    if let Some(hop) = error(socket)? {
        return Ok(Some(hop));
    }
    match socket.recv(&mut [0; 256]) {
        Ok(_) => Ok(Some(Hop::Answer(socket.peer_addr()?))),
        // The error itself is in the queue that was looked at, or comes there next.
        Err(_) => Ok(None),
    }
}

fn error(socket: &UdpSocket) -> io::Result<Option<Hop>> {
    let mut data = [0; 256];
    let mut parts = [IoSliceMut::new(&mut data)];
    // Room for the error and the longer of the two kinds of address.
    let mut control = nix::cmsg_space!(sock_extended_err, nix::libc::sockaddr_in6);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = match recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags) {
        Ok(message) => message,
        Err(Errno::EAGAIN) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    for message in message.cmsgs()? {
        if let Some(hop) = hop(&message) {
            return Ok(Some(hop));
        }
    }
    Ok(None)
}

fn hop(message: &ControlMessageOwned) -> Option<Hop> {
    if let ControlMessageOwned::Ipv4RecvErr(error, Some(by)) = message {
        let by = IpAddr::from(Ipv4Addr::from(by.sin_addr.s_addr.to_ne_bytes()));
        return Some(if error.ee_type == 11 {
            Hop::Router(by)
        } else {
            Hop::Unreachable(by)
        });
    }
    if let ControlMessageOwned::Ipv6RecvErr(error, Some(by)) = message {
        let by = IpAddr::from(Ipv6Addr::from(by.sin6_addr.s6_addr));
        return Some(if error.ee_type == 3 {
            Hop::Router(by)
        } else {
            Hop::Unreachable(by)
        });
    }
    None
}
