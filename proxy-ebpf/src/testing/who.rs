//! The cluster of the tests: who is in it, by role, with an address of each family. So a row is written once.

use proxy_common::{
    family::{V4, V6},
    net::{Ip4, Ip6, Peer, Port},
    schema::{self, MapSpec},
};

use super::packet::network::Build;
use crate::parse::Parse;

/// Somebody who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A pod of this node.
    Pod(u8),
    /// A pod of another node.
    FarPod(u8),
    /// The pods' gateway: this node's address at their bridge.
    Gateway,
    /// This node's primary address.
    Node,
    /// This node's other address.
    NodeAlt,
    /// A router next to this node.
    Router,
    /// Somebody outside the cluster.
    Outsider(u8),
    /// Somebody outside the cluster whose address, seen as an Ethernet header, announces a packet of its own family:
    /// the test-run of programs for devices without a link header needs it.
    LinkLike(u8),
    /// `spec.clusterIPs` of a service.
    ClusterIp(u8),
    /// `spec.externalIPs` of a service.
    ExternalIp(u8),
    /// `status.loadBalancer.ingress[].ip` of a service.
    Balancer(u8),
    /// All zeroes.
    Unspecified,
    /// The machine itself.
    Loopback,
    /// A group.
    Multicast,
    /// Everybody on the link; of IPv6 the group of all nodes.
    Broadcast,
}

/// A family as the tests use it: with addresses for everybody, and the names of its maps.
pub trait TestFamily: Parse + Build {
    /// Its name in messages.
    const NAME: &'static str;
    /// Its maps.
    const MAPS: FamilyMaps;

    /// The address of somebody.
    fn address(who: Who) -> Self::Address;
    /// The mask of a network that is as large as the pods' of one cluster.
    fn pods_mask() -> Self::Address;
}

/// The maps of one family.
#[derive(Clone, Copy, Debug)]
pub struct FamilyMaps {
    /// `FRONTENDS`.
    pub frontends: MapSpec,
    /// `NETWORKS`.
    pub networks: MapSpec,
    /// `TARGETS`.
    pub targets: MapSpec,
    /// `FLOWS`.
    pub flows: MapSpec,
    /// `RECORDS`.
    pub records: MapSpec,
    /// `FRAGMENTS`.
    pub fragments: MapSpec,
    /// `NODE`.
    pub node: MapSpec,
    /// `NODE_ADDRS`.
    pub addresses: MapSpec,
    /// `SOURCES`.
    pub sources: MapSpec,
    /// The index of `HANDS`.
    pub hand: u32,
}

impl TestFamily for V4 {
    const NAME: &'static str = "IPv4";
    const MAPS: FamilyMaps = FamilyMaps {
        frontends: schema::FRONTENDS_V4,
        networks: schema::NETWORKS_V4,
        targets: schema::TARGETS_V4,
        flows: schema::FLOWS_V4,
        records: schema::RECORDS_V4,
        fragments: schema::FRAGMENTS_V4,
        node: schema::NODE_V4,
        addresses: schema::NODE_ADDRS_V4,
        sources: schema::SOURCES_V4,
        hand: 0,
    };

    fn address(who: Who) -> Ip4 {
        Ip4(match who {
            Who::Pod(n) => [10, 244, 0, n],
            Who::FarPod(n) => [10, 244, 1, n],
            Who::Gateway => [10, 244, 0, 1],
            Who::Node => [192, 168, 0, 2],
            Who::NodeAlt => [192, 168, 1, 2],
            Who::Router => [192, 168, 0, 1],
            Who::Outsider(n) => [203, 0, 113, n],
            Who::LinkLike(n) => [8, 0, 0, n],
            Who::ClusterIp(n) => [172, 30, 0, n],
            Who::ExternalIp(n) => [192, 168, 99, n],
            Who::Balancer(n) => [198, 51, 100, n],
            Who::Unspecified => [0; 4],
            Who::Loopback => [127, 0, 0, 1],
            Who::Multicast => [224, 0, 0, 5],
            Who::Broadcast => [255; 4],
        })
    }

    fn pods_mask() -> Ip4 {
        Ip4([255, 255, 0, 0])
    }
}

impl TestFamily for V6 {
    const NAME: &'static str = "IPv6";
    const MAPS: FamilyMaps = FamilyMaps {
        frontends: schema::FRONTENDS_V6,
        networks: schema::NETWORKS_V6,
        targets: schema::TARGETS_V6,
        flows: schema::FLOWS_V6,
        records: schema::RECORDS_V6,
        fragments: schema::FRAGMENTS_V6,
        node: schema::NODE_V6,
        addresses: schema::NODE_ADDRS_V6,
        sources: schema::SOURCES_V6,
        hand: 1,
    };

    fn address(who: Who) -> Ip6 {
        let words = |words: [u16; 4], last: u8| {
            let mut bytes = [0; 16];
            for (place, word) in bytes.chunks_exact_mut(2).zip(words) {
                place.copy_from_slice(&word.to_be_bytes());
            }
            bytes[15] = last;
            bytes
        };
        Ip6(match who {
            Who::Pod(n) => words([0xfd00, 0x10, 0x244, 0], n),
            Who::FarPod(n) => words([0xfd00, 0x10, 0x244, 1], n),
            Who::Gateway => words([0xfd00, 0x10, 0x244, 0], 1),
            Who::Node => words([0x2001, 0xdb8, 0, 0], 2),
            Who::NodeAlt => words([0x2001, 0xdb8, 1, 0], 2),
            Who::Router => words([0x2001, 0xdb8, 0, 0], 1),
            Who::Outsider(n) => words([0x2001, 0xdb8, 0x113, 0], n),
            Who::LinkLike(n) => words([0x2001, 0xdb8, 0x86dd, 0], n),
            Who::ClusterIp(n) => words([0xfd00, 0x172, 0x30, 0], n),
            Who::ExternalIp(n) => words([0x2001, 0xdb8, 0x99, 0], n),
            Who::Balancer(n) => words([0x2001, 0xdb8, 0x51, 0], n),
            Who::Unspecified => [0; 16],
            Who::Loopback => words([0; 4], 1),
            Who::Multicast => words([0xff02, 0, 0, 0], 5),
            Who::Broadcast => words([0xff02, 0, 0, 0], 1),
        })
    }

    fn pods_mask() -> Ip6 {
        let mut mask = [0; 16];
        mask[..6].fill(0xff);
        Ip6(mask)
    }
}

/// An end of a flow as a test names it.
pub trait IntoPeer<F: TestFamily> {
    /// The end in this family.
    fn peer(self) -> Peer<F>;
}

impl<F: TestFamily> IntoPeer<F> for (Who, u16) {
    fn peer(self) -> Peer<F> {
        Peer::new(F::address(self.0), Port::new(self.1))
    }
}

impl<F: TestFamily> IntoPeer<F> for Peer<F> {
    fn peer(self) -> Peer<F> {
        self
    }
}
