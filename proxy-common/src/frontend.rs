//! From an address and a port to a service: the maps `FRONTENDS` and `TARGETS`.

use bytemuck::{Pod, Zeroable};

use crate::{
    family::Family,
    net::{Address as _, Peer, Port, Protocol},
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

    /// 24 bits in which different keys rarely agree.
    #[inline(always)]
    fn digest(&self) -> [u8; 3] {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let (high, low) = self.address.widen().to_halves();
        let rest = u64::from(self.port.get()) << 8 | u64::from(self.protocol);
        let mixed = (high ^ low.rotate_left(29) ^ rest).wrapping_mul(ODD);
        let [.., a, b, c] = mixed.to_le_bytes();
        [a, b, c]
    }

    /// The key of a node port.
    #[inline(always)]
    pub fn node_port(port: Port, protocol: Protocol) -> Self {
        Self::new(Peer::new(F::Address::default(), port), protocol)
    }
}

/// Which service answers at an address, and what kind of address it is. One word, read by one load: the kernel may give a
/// removed entry's memory to another key while a program still reads it, so an entry also says whose it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct Frontend {
    /// The service's number: an index of `SERVICES`.
    pub service: u32,
    /// A [`FrontendKind`] as a number.
    pub kind: u8,
    digest: [u8; 3],
}

impl Frontend {
    /// The frontend of a key.
    pub fn new<F: Family>(key: &FrontendKey<F>, service: u32, kind: FrontendKind) -> Self {
        Frontend {
            service,
            kind: kind as u8,
            digest: key.digest(),
        }
    }

    /// Whether it is, but for one chance in 2^24, the entry of this key.
    #[inline(always)]
    pub fn is_of<F: Family>(&self, key: &FrontendKey<F>) -> bool {
        self.digest == key.digest()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        family::{V4, V6},
        net::{Ip4, Ip6},
    };

    fn digests_differ<F: Family>(addresses: [F::Address; 2]) {
        let key = |address, port, protocol| FrontendKey::<F>::new(Peer::new(address, Port::new(port)), protocol);
        let own = key(addresses[0], 80, Protocol::Tcp);
        let frontend = Frontend::new(&own, 7, FrontendKind::ClusterIp);
        assert!(frontend.is_of(&own));
        for other in [
            key(addresses[1], 80, Protocol::Tcp),
            key(addresses[0], 81, Protocol::Tcp),
            key(addresses[0], 80, Protocol::Udp),
            FrontendKey::node_port(Port::new(80), Protocol::Tcp),
        ] {
            assert!(!frontend.is_of(&other), "{other:?}");
        }
    }

    #[test]
    fn an_entry_is_known_from_that_of_a_neighbouring_key() {
        digests_differ::<V4>([Ip4([10, 96, 0, 1]), Ip4([10, 96, 0, 2])]);
        let mut second = [0xfd; 16];
        second[15] = 0xfc;
        digests_differ::<V6>([Ip6([0xfd; 16]), Ip6(second)]);
    }
}
