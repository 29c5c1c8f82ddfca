//! A process in a namespace that opens sockets for the test: what is asked of it, and what it answers.
//!
//! Sockets that are to meet the cgroup hooks of a node must be made by a process in that node's cgroup, and a cgroup
//! holds whole processes. So the test's own servers and clients live in the binary `peer`, one per place, which reads
//! one JSON [`Request`] a line and answers each with one JSON line.

mod handle;
pub mod load;
pub mod reach;
pub mod serve;
pub mod session;
pub mod speak;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use handle::{Connection, Load, Outcome, Peer, Speaker};
pub use load::{LoadKind, LoadPlan, LoadReport, Opening, monotonic};
pub use reach::{Aim, Met};

/// What can be asked of a peer.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Serve TCP and UDP on one address, until the peer ends or is asked to stop; `name` is in every answer.
    Serve {
        /// The address and port of both listeners.
        at: SocketAddr,
        /// What the server calls itself.
        name: String,
    },
    /// Serve SCTP on one address until the peer ends.
    ServeSctp {
        /// The address and port.
        at: SocketAddr,
        /// What the server calls itself.
        name: String,
    },
    /// Stop serving at an address; connections that exist go on.
    StopServing {
        /// The address it was started with.
        at: SocketAddr,
    },
    /// Open a conversation and exchange a first message.
    Open(Open),
    /// Send bytes on an open connection and wait until they come back.
    Exchange {
        /// The connection.
        id: u32,
        /// How many bytes.
        bytes: usize,
        /// How long it may take.
        within: Duration,
    },
    /// Close a connection.
    Close {
        /// The connection.
        id: u32,
        /// With a reset instead of in order.
        abort: bool,
    },
    /// Open many conversations, several at a time, and tell who answered.
    Reach(Vec<Aim>),
    /// Put a load on a server in the background.
    StartLoad(LoadPlan),
    /// How many exchanges a load has completed so far.
    LoadProgress {
        /// The load.
        id: u32,
    },
    /// Announce an address on the segment of a device and answer for it there; see [`speak`].
    Speak {
        /// The device.
        device: String,
        /// The address, which is of no device.
        address: IpAddr,
    },
    /// No longer answer for an address.
    Hush {
        /// The address.
        address: IpAddr,
    },
    /// Finish a load's open attempts and report.
    StopLoad {
        /// The load.
        id: u32,
    },
}

/// What a conversation is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// TCP with a server of [`serve`].
    Tcp,
    /// SCTP with a server of [`serve`], one association a connection; only where the kernel has it.
    Sctp,
    /// HTTP/1.1 with one [`crate::servers::Nginx`]; an exchange is a request on the same connection.
    Http,
    /// UDP from a connected socket.
    Udp,
    /// UDP from a socket that is not connected: every datagram names its destination.
    UdpUnconnected,
}

/// How to open a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Open {
    /// The protocol.
    pub transport: Transport,
    /// Where to.
    pub to: SocketAddr,
    /// The own address to bind first; an unspecified address leaves it to the kernel, port 0 too.
    pub from: Option<SocketAddr>,
    /// How long it may take.
    pub within: Duration,
}

/// What an open connection saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Its number.
    pub id: u32,
    /// The name of the server that answered.
    pub server: String,
    /// The client's address and port as the server saw them.
    pub seen: SocketAddr,
    /// The client's own address and port.
    pub local: SocketAddr,
    /// Whom the client believes to talk to: `getpeername`, or an unconnected socket's sender of the answer.
    pub remote: SocketAddr,
    /// When the other end's first packet was there, by [`monotonic`].
    pub connected: Duration,
}

/// What a peer answers when it did what it was asked to.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Nothing more to say.
    Done,
    /// A connection is open.
    Opened(Opened),
    /// What came of each aim, in their order.
    Reached(Vec<Met>),
    /// A load runs under this number.
    LoadStarted(u32),
    /// How much a load has done so far.
    LoadProgress(u64),
    /// What a load did.
    LoadReport(LoadReport),
}

/// Why a socket did not do what it was asked to, by what an application sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Why {
    /// ECONNREFUSED.
    Refused,
    /// ECONNRESET or EPIPE: there was a connection.
    Reset,
    /// Nothing came in time.
    TimedOut,
    /// EHOSTUNREACH or ENETUNREACH.
    Unreachable,
    /// EADDRINUSE or EADDRNOTAVAIL: no address or port to use.
    AddressInUse,
    /// The other end closed too early.
    Closed,
    /// The answer is not what was sent.
    Corrupt,
    /// Anything else.
    Other,
}

/// A failure with its text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub why: Why,
    /// What the operating system said.
    pub text: String,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "std may add kinds at any time; they are `Other` here"
        )]
        let why = match error.kind() {
            Kind::ConnectionRefused => Why::Refused,
            Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted => Why::Reset,
            Kind::TimedOut | Kind::WouldBlock => Why::TimedOut,
            Kind::HostUnreachable | Kind::NetworkUnreachable => Why::Unreachable,
            Kind::AddrInUse | Kind::AddrNotAvailable => Why::AddressInUse,
            Kind::UnexpectedEof => Why::Closed,
            Kind::InvalidData => Why::Corrupt,
            _ => Why::Other,
        };
        Self {
            why,
            text: error.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.why, self.text)
    }
}

impl std::error::Error for Failure {}
