//! TCP conversations between made-up ends, by packet sockets: no kernel has a socket for them, everything on the way
//! takes them for real ones.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::libc;
use serde_json::Value;
use socket2::{SockAddr, Socket};

use super::device::packet_socket;
use super::segment::{ACK, Mac, SYN, Segment, mac};
use crate::netns::NetNs;

/// Frames that hold IPv4.
const ETH_P_IP: u16 = 0x0800;

/// Client ports of one address, from [`FIRST_PORT`] on.
const PORTS: u32 = 64_000;
const FIRST_PORT: u32 = 1024;

/// The server's first sequence number; that of a client is the conversation's number.
const ANSWER: u32 = 1_000_000_000;

/// Conversations that are opened at once: what the queues on the way hold.
const BATCH: usize = 128;
/// How long a segment may be on its way before it counts as lost.
const TURN: Duration = Duration::from_millis(50);
/// How often a segment is sent.
const TRIES: usize = 60;

/// A device that made-up ends are behind: of a namespace whose own addresses are others, so that its kernel drops what
/// comes for them without a word.
#[derive(Debug)]
pub struct Side {
    socket: Socket,
    device: SockAddr,
    own: Mac,
    next: Mac,
}

/// Conversations with numbers from 0 on.
#[derive(Debug)]
pub struct Conversations {
    /// The clients' side.
    pub client: Side,
    /// The server's side.
    pub server: Side,
    /// The address of the first clients; more follow it.
    pub first: Ipv4Addr,
    /// What clients dial.
    pub dialled: SocketAddrV4,
    /// Who is to answer.
    pub backend: SocketAddrV4,
}

impl Side {
    /// On a device of a namespace; everything leaves for the hardware address `next`.
    ///
    /// # Errors
    /// When there is no such device, or packet sockets are not permitted.
    pub fn open(netns: &NetNs, device: &str, next: Mac) -> Result<Self> {
        let own = hardware_address(netns, device)?;
        let opened = netns.run(|| {
            let (socket, address) = packet_socket(device, ETH_P_IP)?;
            socket.set_recv_buffer_size(1 << 24)?;
            socket.set_read_timeout(Some(TURN))?;
            Ok::<_, std::io::Error>((socket, address))
        })?;
        let (socket, device) = opened.with_context(|| format!("packet socket at {device} of {}", netns.name()))?;
        Ok(Self {
            socket,
            device,
            own,
            next,
        })
    }

    /// A full queue is waited for.
    fn send(&self, segment: &Segment) -> Result<()> {
        let frame = segment.frame(self.own, self.next);
        loop {
            match self.socket.send_to(&frame, &self.device) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => std::thread::yield_now(),
                Err(error) => return Err(error).context("packet socket"),
            }
        }
    }

    /// Hands on what arrives until it is enough, or nothing more comes.
    fn receive(&self, mut is_enough: impl FnMut(Segment) -> bool) -> Result<()> {
        let mut frame = [0; 256];
        loop {
            match (&self.socket).read(&mut frame) {
                Ok(got) => {
                    if Segment::read(&frame[..got]).is_some_and(&mut is_enough) {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(()),
                Err(error) => return Err(error).context("packet socket"),
            }
        }
    }
}

impl Conversations {
    /// How many addresses so many clients have.
    pub const fn addresses(clients: u32) -> u32 {
        clients.div_ceil(PORTS)
    }

    /// Opens those of these numbers: both ends see all that the other says, and the clients that it is the dialled
    /// address that answers.
    ///
    /// # Errors
    /// When a segment does not come through.
    pub fn open(&self, numbers: impl Iterator<Item = u32>) -> Result<()> {
        let numbers: Vec<u32> = numbers.collect();
        for batch in numbers.chunks(BATCH) {
            let opened = self
                .request(batch, SYN)
                .and_then(|()| self.answer(batch, SYN | ACK))
                .and_then(|()| self.request(batch, ACK));
            opened.with_context(|| format!("opening conversations with {}", self.dialled))?;
        }
        Ok(())
    }

    /// Lets the server say something in each of these; a client that does not hear it from the dialled address is one
    /// whose conversation has been forgotten on the way.
    ///
    /// # Errors
    /// How many have been.
    pub fn live(&self, numbers: impl Iterator<Item = u32>) -> Result<()> {
        let numbers: Vec<u32> = numbers.collect();
        let mut batches = numbers.chunks(BATCH);
        batches
            .try_for_each(|batch| self.answer(batch, ACK))
            .context("what lived")
    }

    /// The client of a conversation.
    fn client_of(&self, number: u32) -> SocketAddrV4 {
        let address = Ipv4Addr::from_bits(self.first.to_bits() + number / PORTS);
        let port = u16::try_from(FIRST_PORT + number % PORTS).unwrap_or(u16::MAX);
        SocketAddrV4::new(address, port)
    }

    /// The conversation that a client is of.
    fn number_of(&self, client: SocketAddrV4) -> Option<u32> {
        let address = client.ip().to_bits().checked_sub(self.first.to_bits())?;
        let port = u32::from(client.port()).checked_sub(FIRST_PORT)?;
        address.checked_mul(PORTS)?.checked_add(port)
    }

    fn request(&self, numbers: &[u32], flags: u8) -> Result<()> {
        let segment = |number| Segment {
            from: self.client_of(number),
            to: self.dialled,
            sequence: number.wrapping_add(u32::from(flags & SYN == 0)),
            acknowledged: if flags & ACK == 0 { 0 } else { ANSWER + 1 },
            flags,
        };
        let arrived = |came: Segment| {
            self.number_of(came.from)
                .filter(|_| came.to == self.backend && came.flags == flags)
        };
        say(&self.client, &self.server, numbers, segment, arrived)
    }

    fn answer(&self, numbers: &[u32], flags: u8) -> Result<()> {
        let segment = |number: u32| Segment {
            from: self.backend,
            to: self.client_of(number),
            sequence: ANSWER + u32::from(flags & SYN == 0),
            acknowledged: number.wrapping_add(1),
            flags,
        };
        let arrived = |came: Segment| {
            self.number_of(came.to)
                .filter(|_| came.from == self.dialled && came.flags == flags)
        };
        say(&self.server, &self.client, numbers, segment, arrived)
    }
}

/// Sends a segment of each conversation until it has arrived.
fn say(
    from: &Side,
    to: &Side,
    numbers: &[u32],
    segment: impl Fn(u32) -> Segment,
    arrived: impl Fn(Segment) -> Option<u32>,
) -> Result<()> {
    let mut missing: BTreeSet<u32> = numbers.iter().copied().collect();
    for _ in 0..TRIES {
        missing.iter().try_for_each(|number| from.send(&segment(*number)))?;
        to.receive(|came| {
            if let Some(number) = arrived(came) {
                missing.remove(&number);
            }
            missing.is_empty()
        })?;
        if missing.is_empty() {
            return Ok(());
        }
    }
    let first = missing.first().map(|number| segment(*number));
    bail!(
        "{} of {} segments did not come through, such as {first:?}",
        missing.len(),
        numbers.len()
    )
}

/// The address of a device.
///
/// # Errors
/// When there is no such device.
pub fn hardware_address(netns: &NetNs, device: &str) -> Result<Mac> {
    let said = netns.tool("ip", &["-j", "link", "show", "dev", device])?;
    let links: Value = serde_json::from_str(&said)?;
    let text = links[0]["address"].as_str().unwrap_or_default();
    mac(text).with_context(|| format!("{device} of {}: {text:?} is no hardware address", netns.name()))
}
