//! From an address and a port to a service: the maps `FRONTENDS` and `TARGETS`.

use bytemuck::{Pod, Zeroable};

use crate::{
    family::Family,
    net::{Peer, Port, Protocol},
    plain::plain,
};

/// An address, a port and a protocol. As a key of `FRONTENDS`: what a client dials; a node port has the unspecified
/// address, so that one entry serves every address of the node that takes node ports. As a key of `TARGETS`: an
/// endpoint of some service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct FrontendKey<F: Family> {
    /// The address.
    pub address: F::Address,
    /// The port.
    pub port: Port,
    /// The protocol's number.
    pub protocol: u8,
    zero: u8,
}

plain! { FrontendKey: 8, 20; }

impl<F: Family> FrontendKey<F> {
    /// The key of one address and port.
    #[inline(always)]
    pub const fn new(peer: Peer<F>, protocol: Protocol) -> Self {
        FrontendKey {
            address: peer.address,
            port: peer.port,
            protocol: protocol.number(),
            zero: 0,
        }
    }

    /// The key of a node port.
    #[inline(always)]
    pub fn node_port(port: Port, protocol: Protocol) -> Self {
        Self::new(Peer::new(F::Address::default(), port), protocol)
    }
}

/// Which service answers at an address, and what kind of address it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Frontend {
    /// The service's number: an index of `SERVICES`.
    pub service: u32,
    /// A [`FrontendKind`] as a number.
    pub kind: u8,
    zero: [u8; 3],
}

impl Frontend {
    /// A frontend of the given kind.
    #[must_use]
    pub const fn new(service: u32, kind: FrontendKind) -> Self {
        Frontend {
            service,
            kind: kind as u8,
            zero: [0; 3],
        }
    }

    /// The kind, if the number names one.
    #[inline(always)]
    #[must_use]
    pub const fn kind(&self) -> Option<FrontendKind> {
        FrontendKind::from_number(self.kind)
    }
}

/// What kind of address a client has dialled. It decides which traffic policy applies and who is masqueraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FrontendKind {
    /// `spec.clusterIPs`: the internal traffic policy applies.
    ClusterIp = 1,
    /// `spec.externalIPs`: the external traffic policy applies.
    External = 2,
    /// `status.loadBalancer.ingress[].ip`: the external traffic policy applies.
    LoadBalancer = 3,
    /// `spec.ports[].nodePort` at an address of this node: the external traffic policy applies.
    NodePort = 4,
}

impl FrontendKind {
    /// The kind that a number names.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(FrontendKind::ClusterIp),
            2 => Some(FrontendKind::External),
            3 => Some(FrontendKind::LoadBalancer),
            4 => Some(FrontendKind::NodePort),
            _ => None,
        }
    }
}
