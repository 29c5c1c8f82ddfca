//! Packets, written fluently: `tcp::<F>((Pod(2), 4000), (ClusterIp(1), 80)).syn()`. Everything that a receiver checks is
//! right unless a test says otherwise.

pub mod sums;
pub mod network;
pub mod transport;
pub mod icmp;
pub mod fragment;
pub mod link;

use proxy_common::net::{Peer, Protocol};

use super::who::TestFamily;
pub use icmp::{Complaint, echo, icmp_error, redirect, refusal};
pub use link::{BRIDGE_MAC, Link, PEER_MAC, PORT_MAC, Wire};
use network::Network;
pub use transport::{Body, answer, data, opening, raw, sctp, tcp, udp};

/// A packet that is being written.
#[derive(Clone, Debug)]
pub struct Draft<F: TestFamily> {
    /// Who sends it.
    pub source: Peer<F>,
    /// Who shall get it.
    pub destination: Peer<F>,
    /// What is behind the network header.
    pub body: Body,
    /// What is behind the transport header.
    pub payload: Vec<u8>,
    /// What the network header says besides.
    pub network: Network,
    /// The link header.
    pub link: Link,
}

impl<F: TestFamily> Draft<F> {
    fn new(source: Peer<F>, destination: Peer<F>, body: Body) -> Self {
        Draft {
            source,
            destination,
            body,
            payload: Vec::new(),
            network: Network::default(),
            link: Link::default(),
        }
    }

    /// With data.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// From somebody else.
    #[must_use]
    pub fn from(mut self, peer: impl super::who::IntoPeer<F>) -> Self {
        self.source = peer.peer();
        self
    }

    /// To somebody else.
    #[must_use]
    pub fn to(mut self, peer: impl super::who::IntoPeer<F>) -> Self {
        self.destination = peer.peer();
        self
    }

    /// The packet of this flow in the other direction.
    #[must_use]
    pub fn back(self) -> Self {
        let (source, destination) = (self.destination, self.source);
        Draft {
            source,
            destination,
            ..self
        }
    }

    /// The protocol's number.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        match &self.body {
            Body::Tcp(_) => Protocol::Tcp.number(),
            Body::Udp { .. } => Protocol::Udp.number(),
            Body::Sctp { .. } => Protocol::Sctp.number(),
            Body::Icmp { .. } => F::ICMP,
            Body::Raw { protocol, .. } => *protocol,
        }
    }

    /// The packet from the network header on.
    #[must_use]
    pub fn packet(&self) -> Vec<u8> {
        F::build(self, &self.message())
    }

    /// The packet with its link header.
    #[must_use]
    pub fn wire(&self) -> Wire {
        self.link.wire(F::ETHERTYPE, &self.packet())
    }
}
