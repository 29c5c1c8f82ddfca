//! A key of `FRONTENDS` and `TARGETS` of either family, as a value.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use proxy_common::{
    family::{Family, FamilyKind, V4, V6},
    frontend::{Frontend, FrontendKey, FrontendKind},
    net::{Address as _, Ip6, Peer, Port, Protocol},
};

use crate::address;

/// An address, a port and a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketKey {
    /// The family of the address.
    pub family: FamilyKind,
    /// The address; IPv4 stands in the first four bytes.
    pub address: Ip6,
    /// The port.
    pub port: Port,
    /// The protocol.
    pub protocol: Protocol,
}

impl SocketKey {
    /// The key of an address and a port in host byte order.
    #[must_use]
    pub fn new(address: IpAddr, port: u16, protocol: Protocol) -> Self {
        SocketKey {
            family: address::family(address),
            address: address::widen(address),
            port: Port::new(port),
            protocol,
        }
    }

    /// The value of a map's key, unless its protocol is none that services use.
    #[must_use]
    pub fn widened<F: Family>(key: &FrontendKey<F>) -> Option<Self> {
        Some(SocketKey {
            family: F::KIND,
            address: key.address.widen(),
            port: key.port,
            protocol: Protocol::from_number(key.protocol)?,
        })
    }

    /// The map's key. `F` is the key's own family.
    #[must_use]
    pub fn narrowed<F: Family>(&self) -> FrontendKey<F> {
        FrontendKey::new(Peer::new(F::Address::narrow(&self.address), self.port), self.protocol)
    }

    /// The entry of this key that leads to a service.
    #[must_use]
    pub fn frontend(&self, service: u32, kind: FrontendKind) -> Frontend {
        match self.family {
            FamilyKind::V4 => Frontend::new(&self.narrowed::<V4>(), service, kind),
            FamilyKind::V6 => Frontend::new(&self.narrowed::<V6>(), service, kind),
        }
    }

    /// Whether an entry is one that programs find under this key.
    #[must_use]
    pub fn owns(&self, frontend: &Frontend) -> bool {
        match self.family {
            FamilyKind::V4 => frontend.is_of(&self.narrowed::<V4>()),
            FamilyKind::V6 => frontend.is_of(&self.narrowed::<V6>()),
        }
    }
}

impl fmt::Display for SocketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = address::narrow(self.family, &self.address);
        SocketAddr::new(address, self.port.get()).fmt(f)
    }
}
