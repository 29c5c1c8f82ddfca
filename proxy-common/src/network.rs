//! Networks that decide about packets: the maps `NETWORKS`, in which the longest prefix counts.
//!
//! Two questions are answered from them. What becomes of a packet to an address of the cluster's services at which no
//! service answers: the scope [`UNANSWERED`]. And who may use the load-balancer addresses of a service that is not for
//! everybody: the scope is the service's number, and every entry admits.

use bytemuck::{Pod, Zeroable};

use crate::{
    family::{Family, FamilyKind},
    plain::plain,
};

/// The scope of addresses that packets are sent to, where no service answers. No service has this number.
pub const UNANSWERED: u32 = 0;

/// The bits of a key that are the scope's.
const SCOPE_BITS: u32 = 32;

/// An address within a scope: what a key of `NETWORKS` has behind the length of its prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct ScopedAddress<F: Family> {
    /// [`UNANSWERED`] or a service's number, network byte order: then entries of one scope lie together.
    scope: [u8; 4],
    /// The address.
    address: F::Address,
}

/// A key of `NETWORKS`, as `BPF_MAP_TYPE_LPM_TRIE` has it: a length in bits, and what so many bits are compared of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct NetworkKey<F: Family> {
    /// How many bits of the rest count.
    bits: u32,
    place: ScopedAddress<F>,
}

plain! {
    ScopedAddress: 8, 20;
    NetworkKey: 12, 24;
}

impl<F: Family> ScopedAddress<F> {
    /// How many bits an address in a scope has: what is looked up.
    pub const BITS: u32 = SCOPE_BITS
        + match F::KIND {
            FamilyKind::V4 => 32,
            FamilyKind::V6 => 128,
        };

    /// An address in a scope.
    #[inline(always)]
    pub const fn new(scope: u32, address: F::Address) -> Self {
        ScopedAddress {
            scope: scope.to_be_bytes(),
            address,
        }
    }
}

impl<F: Family> NetworkKey<F> {
    /// The key of a network whose prefix has so many bits.
    pub const fn new(scope: u32, address: F::Address, prefix: u8) -> Self {
        NetworkKey {
            bits: SCOPE_BITS + prefix as u32,
            place: ScopedAddress::new(scope, address),
        }
    }

    /// Its scope.
    pub const fn scope(&self) -> u32 {
        u32::from_be_bytes(self.place.scope)
    }

    /// The network's address.
    pub const fn address(&self) -> F::Address {
        self.place.address
    }

    /// How many bits the network's prefix has; none if the key is of no single scope.
    pub fn prefix(&self) -> Option<u8> {
        u8::try_from(self.bits.checked_sub(SCOPE_BITS)?).ok()
    }

    /// Whether an address in a scope begins as this key does.
    pub fn covers(&self, place: &ScopedAddress<F>) -> bool {
        let (own, asked) = (bytemuck::bytes_of(&self.place), bytemuck::bytes_of(place));
        let differ = |bit: u32| (own[bit as usize / 8] ^ asked[bit as usize / 8]) << (bit % 8) & 0x80 != 0;
        !(0..self.bits.min(ScopedAddress::<F>::BITS)).any(differ)
    }
}

/// What an entry of `NETWORKS` says: its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(transparent)]
pub struct Rule(pub u32);

impl Rule {
    /// A service has the address, at other ports: the sender is told that this one is unreachable.
    pub const REFUSE: Rule = Rule(1);
    /// No service has the address: the packet vanishes.
    pub const DROP: Rule = Rule(2);
    /// The sender may use the service.
    pub const ADMIT: Rule = Rule(3);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{family::V4, net::Ip4};

    #[test]
    fn a_network_covers_what_begins_as_it_does() {
        let rows = [
            ([10, 96, 0, 0], 12, [10, 111, 255, 255], true),
            ([10, 96, 0, 0], 12, [10, 112, 0, 0], false),
            ([10, 96, 0, 1], 32, [10, 96, 0, 1], true),
            ([10, 96, 0, 1], 32, [10, 96, 0, 0], false),
            ([0, 0, 0, 0], 0, [255, 255, 255, 255], true),
        ];
        for (network, prefix, address, expected) in rows {
            let key = NetworkKey::<V4>::new(7, Ip4(network), prefix);
            let covers = |scope| key.covers(&ScopedAddress::new(scope, Ip4(address)));
            assert_eq!(covers(7), expected, "{network:?}/{prefix} and {address:?}");
            assert!(!covers(8), "another scope");
            assert_eq!((key.scope(), key.prefix()), (7, Some(prefix)));
        }
    }
}
