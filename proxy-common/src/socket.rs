//! What a socket remembers of its translations: the maps `SOCKETS`.

use crate::{family::Family, net::Port, plain::plain};

/// How many services one unconnected socket may use at once before the oldest is forgotten.
pub const PEERS: usize = 4;

/// One translation of a socket: the service it dialled and the backend it got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SocketPeer<F: Family> {
    /// When the socket last used it: `CLOCK_MONOTONIC`, ns; 0: unused.
    pub last_used: u64,
    /// The address that the program dialled.
    pub dialled: F::Address,
    /// The backend's address.
    pub backend: F::Address,
    /// The port that the program dialled.
    pub dialled_port: Port,
    /// The backend's port.
    pub backend_port: Port,
    /// The endpoint's number.
    pub endpoint: u32,
}

plain! { SocketPeer: 24, 48; }

/// All translations of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SocketPeers<F: Family> {
    /// In no order.
    pub peers: [SocketPeer<F>; PEERS],
}

plain! { SocketPeers: 96, 192; }
