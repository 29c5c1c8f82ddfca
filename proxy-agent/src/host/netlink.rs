//! The kernel's lists of devices and addresses, and the news of them. Only the attributes that are needed are read: an
//! unknown one, or a known one of a newer shape, is nothing to stumble over.

use std::{io, os::fd::AsFd as _};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtnetlink::{
    packet_core::NlasIterator,
    sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE},
};

/// A message: its type, and what follows the netlink header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `RTM_...`.
    pub kind: u16,
    /// The family's own header and the attributes.
    pub payload: Vec<u8>,
}

/// A netlink socket in the thread's network namespace.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
}

const HEADER: usize = 16;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const DUMP: u16 = 0x300;
/// The list has changed while it was read.
const DUMP_INTERRUPTED: u16 = 0x10;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// How often a list that changes while it is read is read again before it is taken as it is: the news of the change is
/// on its way.
const ATTEMPTS: u32 = 4;
/// Room for a burst of news; more than that is a reason to look at everything, which is what happens anyway.
const RECEIVE_BUFFER: usize = 1 << 20;

impl Netlink {
    /// Opens a socket of `NETLINK_ROUTE` that hears of the given groups (`RTMGRP_...`).
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(groups: u32) -> io::Result<Self> {
        Self::of(NETLINK_ROUTE, groups)
    }

    /// The same of another part of the kernel.
    ///
    /// # Errors
    /// The kernel's.
    pub fn of(protocol: isize, groups: u32) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        if groups != 0 {
            // Without the privilege for more, the default size stays.
            socket.set_rx_buf_sz(RECEIVE_BUFFER).unwrap_or_default();
        }
        socket.bind(&SocketAddr::new(0, groups))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    /// Everything that a list holds. `request` is the family's own header, with attributes if need be.
    ///
    /// # Errors
    /// The kernel's.
    pub fn dump(&mut self, kind: u16, request: &[u8]) -> io::Result<Vec<Message>> {
        for _ in 1..ATTEMPTS {
            let (messages, interrupted) = self.ask(kind, REQUEST | DUMP, request)?;
            if !interrupted {
                return Ok(messages);
            }
        }
        Ok(self.ask(kind, REQUEST | DUMP, request)?.0)
    }

    /// The answer to one question.
    ///
    /// # Errors
    /// The kernel's.
    pub fn get(&mut self, kind: u16, request: &[u8]) -> io::Result<Message> {
        let (messages, _) = self.ask(kind, REQUEST, request)?;
        messages
            .into_iter()
            .next()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Has something done.
    ///
    /// # Errors
    /// The kernel's.
    pub fn change(&mut self, kind: u16, request: &[u8]) -> io::Result<()> {
        self.ask(kind, REQUEST | ACKNOWLEDGE, request).map(drop)
    }

    /// Waits for news and throws them away; whether there were any before the time was over. News that were lost for
    /// want of room count as news.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&mut self, timeout: PollTimeout) -> io::Result<bool> {
        if poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], timeout)? == 0 {
            return Ok(false);
        }
        let mut buffer = Vec::with_capacity(1 << 16);
        loop {
            buffer.clear();
            match self.socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn ask(&mut self, kind: u16, flags: u16, request: &[u8]) -> io::Result<(Vec<Message>, bool)> {
        self.sequence += 1;
        let len = u32::try_from(HEADER + request.len()).map_err(io::Error::other)?;
        let mut message = Vec::with_capacity(HEADER + request.len());
        message.extend(len.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend(0_u32.to_ne_bytes());
        message.extend(request);
        self.socket.send_to(&message, &SocketAddr::new(0, 0), 0)?;
        let (mut found, mut interrupted) = (Vec::new(), false);
        loop {
            let (bytes, _) = self.socket.recv_from_full()?;
            let mut rest = &bytes[..];
            while let Some((head, payload, after)) = split(rest) {
                rest = after;
                if head.sequence != self.sequence {
                    continue;
                }
                interrupted |= head.flags & DUMP_INTERRUPTED != 0;
                match head.kind {
                    DONE => return Ok((found, interrupted)),
                    ERROR => return failure(payload).map(|()| (found, interrupted)),
                    kind => found.push(Message {
                        kind,
                        payload: payload.to_vec(),
                    }),
                }
                if flags & DUMP == 0 {
                    return Ok((found, interrupted));
                }
            }
        }
    }
}

struct Head {
    kind: u16,
    flags: u16,
    sequence: u32,
}

fn split(bytes: &[u8]) -> Option<(Head, &[u8], &[u8])> {
    let len = word(bytes, 0)? as usize;
    let payload = bytes.get(HEADER..len)?;
    let head = Head {
        kind: half(bytes, 4)?,
        flags: half(bytes, 6)?,
        sequence: word(bytes, 8)?,
    };
    Some((head, payload, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// An error message holds a negative error number; 0 is an acknowledgement.
fn failure(payload: &[u8]) -> io::Result<()> {
    match word(payload, 0).map(u32::cast_signed) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The attributes behind a family's own header of `header` bytes.
pub fn attributes(payload: &[u8], header: usize) -> impl Iterator<Item = (u16, &[u8])> {
    pairs(payload.get(header..).unwrap_or_default())
}

/// The attributes inside an attribute.
pub fn pairs(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).map(|attribute| {
        let value = attribute.into_inner();
        let len = half(value, 0).map_or(0, usize::from);
        (
            half(value, 2).unwrap_or(0) & 0x3fff,
            value.get(4..len).unwrap_or_default(),
        )
    })
}

/// An attribute of one 32-bit number.
#[must_use]
pub fn number_attribute(kind: u16, value: u32) -> [u8; 8] {
    let [a, b] = 8_u16.to_ne_bytes();
    let [c, d] = kind.to_ne_bytes();
    let [e, f, g, h] = value.to_ne_bytes();
    [a, b, c, d, e, f, g, h]
}

/// A 16-bit number of the host's byte order.
#[must_use]
pub fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A 32-bit number of the host's byte order.
#[must_use]
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
