//! What is wanted against what the maps hold: a plan of the least that has to change. Pure.

use std::collections::BTreeMap;

use proxy_common::{
    block::{BlockEntry, BlockHeader},
    endpoint::serving,
    frontend::FrontendKind,
    net::{Ip6, Port, Protocol},
};

use crate::{
    address,
    desired::{DesiredEndpoint, DesiredService, Views},
    key::SocketKey,
};

/// What the maps hold for one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The block in force, if there is a sound one.
    pub block: Option<(BlockHeader, Vec<BlockEntry>)>,
    /// The addresses that lead to it, sorted.
    pub frontends: Vec<(SocketKey, FrontendKind)>,
    /// The endpoints that have a number, those included that no longer serve.
    pub endpoints: Vec<PublishedEndpoint>,
}

/// An endpoint with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedEndpoint {
    /// Its number.
    pub number: u32,
    /// Its address.
    pub address: Ip6,
    /// Its port.
    pub port: Port,
    /// The bits of [`serving`] that it has, or will have after the next grace period.
    pub marks: u8,
}

/// What has to be done to a service. Empty if the maps are right already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Endpoints whose marks change, or that need a number.
    pub marks: Vec<MarkChange>,
    /// The new block, if one is needed: entries in the order of the views.
    pub block: Option<NewBlock>,
    /// Addresses that are to lead to the service, and do not yet or as another kind.
    pub add: Vec<(SocketKey, FrontendKind)>,
    /// Addresses that are no longer to lead to it.
    pub remove: Vec<SocketKey>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.marks.is_empty() && self.block.is_none() && self.add.is_empty() && self.remove.is_empty()
    }
}

/// An endpoint whose marks are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkChange {
    /// Its address.
    pub address: Ip6,
    /// Its port.
    pub port: Port,
    /// Its number, if it has one.
    pub number: Option<u32>,
    /// The bits of [`serving`] that it should have.
    pub marks: u8,
}

/// A block to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBlock {
    /// Its header; service and generation are not set.
    pub header: BlockHeader,
    /// Its entries, as far as they do not depend on numbers.
    pub entries: Vec<(Ip6, Port)>,
}

/// The marks of an endpoint that keeps its number and nothing else.
pub const LEAVING: u8 = mark(serving::IN_USE);
const SERVING: u8 = mark(serving::IN_USE | serving::SERVING);
const ELIGIBLE: u8 = mark(serving::IN_USE | serving::SERVING | serving::ELIGIBLE);

/// What has to be done so that the maps hold `desired`, where they hold `published`.
#[must_use]
pub fn diff(desired: &DesiredService, protocol: Protocol, published: &Published) -> Plan {
    let block = new_block(desired);
    let in_force = published
        .block
        .as_ref()
        .is_some_and(|block_in_force| is_same(&block, block_in_force));
    let (add, remove) = frontends(desired, protocol, &published.frontends);
    Plan {
        marks: marks(desired, published),
        block: (!in_force).then_some(block),
        add,
        remove,
    }
}

/// The block that a service should have.
#[must_use]
pub fn new_block(desired: &DesiredService) -> NewBlock {
    let mut entries = Vec::with_capacity(desired.endpoints.len());
    let mut counts = [0_u32; 3];
    for (count, views) in counts
        .iter_mut()
        .zip([Views::LocalOnly, Views::Both, Views::ClusterOnly])
    {
        for endpoint in desired.endpoints.iter().filter(|endpoint| endpoint.views == views) {
            entries.push((address::widen(endpoint.address), Port::new(endpoint.port)));
            *count += 1;
        }
    }
    let [local_only, both, cluster_only] = counts;
    let header = BlockHeader {
        local_only,
        both,
        cluster_only,
        flags: desired.flags,
        affinity_seconds: desired.affinity_seconds,
        ..BlockHeader::default()
    };
    NewBlock { header, entries }
}

/// The marks that an endpoint should have.
#[must_use]
pub const fn marks_of(endpoint: &DesiredEndpoint) -> u8 {
    match endpoint.views {
        Views::LocalOnly | Views::Both | Views::ClusterOnly => ELIGIBLE,
        Views::Neither => SERVING,
    }
}

fn is_same(new: &NewBlock, (header, entries): &(BlockHeader, Vec<BlockEntry>)) -> bool {
    let header_in_force = BlockHeader {
        generation: 0,
        service: 0,
        ..*header
    };
    new.header == header_in_force
        && new
            .entries
            .iter()
            .copied()
            .eq(entries.iter().map(|entry| (entry.address, entry.port)))
}

/// The addresses that have to be added and those that have to be taken away, where `published`, sorted, lead to the
/// service.
#[must_use]
pub fn frontends(
    desired: &DesiredService,
    protocol: Protocol,
    published: &[(SocketKey, FrontendKind)],
) -> (Vec<(SocketKey, FrontendKind)>, Vec<SocketKey>) {
    let wanted: BTreeMap<_, _> = desired
        .frontends
        .iter()
        .map(|frontend| (SocketKey::new(frontend.address, frontend.port, protocol), frontend.kind))
        .collect();
    let remove = published.iter().map(|(key, _)| *key);
    let remove = remove.filter(|key| !wanted.contains_key(key)).collect();
    let add = wanted
        .into_iter()
        .filter(|frontend| published.binary_search(frontend).is_err());
    (add.collect(), remove)
}

fn marks(desired: &DesiredService, published: &Published) -> Vec<MarkChange> {
    let mut rest: BTreeMap<_, _> = published
        .endpoints
        .iter()
        .map(|endpoint| ((endpoint.address, endpoint.port), endpoint))
        .collect();
    let mut changes = Vec::new();
    for endpoint in &desired.endpoints {
        let (address, port) = (address::widen(endpoint.address), Port::new(endpoint.port));
        let marks = marks_of(endpoint);
        let has = rest.remove(&(address, port));
        if has.is_none_or(|has| has.marks != marks) {
            let number = has.map(|has| has.number);
            changes.push(MarkChange {
                address,
                port,
                number,
                marks,
            });
        }
    }
    let gone = rest.into_values().filter(|endpoint| endpoint.marks != LEAVING);
    changes.extend(gone.map(|endpoint| MarkChange {
        address: endpoint.address,
        port: endpoint.port,
        number: Some(endpoint.number),
        marks: LEAVING,
    }));
    changes
}

const fn mark(bits: u64) -> u8 {
    assert!(bits <= 0xff, "marks of an endpoint fit a byte in the agent's memory");
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    return bits as u8;
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proxy_common::block::policy;
    use rstest::rstest;

    use super::*;
    use crate::desired::DesiredFrontend;

    const V4: [&str; 4] = ["10.96.0.1", "10.0.1.1", "10.0.1.2", "10.0.1.3"];
    const V6: [&str; 4] = ["fd00:96::1", "fd00:1::1", "fd00:1::2", "fd00:1::3"];

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn service(addresses: [&str; 4], endpoints: &[(usize, Views)]) -> DesiredService {
        DesiredService {
            frontends: vec![DesiredFrontend {
                address: ip(addresses[0]),
                port: 80,
                kind: FrontendKind::ClusterIp,
            }],
            flags: policy::EXTERNAL_LOCAL,
            source_ranges: Vec::new(),
            affinity_seconds: 0,
            endpoints: endpoints
                .iter()
                .map(|(which, views)| DesiredEndpoint {
                    address: ip(addresses[*which]),
                    port: 8080,
                    views: *views,
                })
                .collect(),
        }
    }

    /// What the maps hold once a service is applied; its endpoints have the numbers 1, 2, ...
    fn published(desired: &DesiredService) -> Published {
        let block = new_block(desired);
        let entry = |(number, (address, port)): (u32, &(Ip6, Port))| BlockEntry::new(*address, *port, number, 7, 3);
        let entries = (1..).zip(&block.entries).map(entry).collect();
        let header = BlockHeader {
            generation: 3,
            service: 7,
            ..block.header
        };
        let endpoints = (1..)
            .zip(&desired.endpoints)
            .map(|(number, endpoint)| PublishedEndpoint {
                number,
                address: address::widen(endpoint.address),
                port: Port::new(endpoint.port),
                marks: marks_of(endpoint),
            });
        Published {
            block: Some((header, entries)),
            frontends: diff(desired, Protocol::Tcp, &Published::default()).add,
            endpoints: endpoints.collect(),
        }
    }

    #[rstest]
    #[case(V4)]
    #[case(V6)]
    fn an_unchanged_service_plans_nothing(#[case] addresses: [&str; 4]) {
        let desired = service(
            addresses,
            &[(1, Views::Both), (2, Views::LocalOnly), (3, Views::Neither)],
        );
        let plan = diff(&desired, Protocol::Tcp, &published(&desired));
        assert!(plan.is_empty(), "{plan:?}");
    }

    #[rstest]
    #[case(V4)]
    #[case(V6)]
    fn entries_stand_in_the_order_of_the_views(#[case] addresses: [&str; 4]) {
        let views = [(1, Views::ClusterOnly), (2, Views::LocalOnly), (3, Views::Both)];
        let block = new_block(&service(addresses, &views));
        let order =
            [addresses[2], addresses[3], addresses[1]].map(|address| (address::widen(ip(address)), Port::new(8080)));
        assert_eq!(block.entries, order);
        let BlockHeader {
            local_only,
            both,
            cluster_only,
            ..
        } = block.header;
        assert_eq!((local_only, both, cluster_only), (1, 1, 1));
    }

    #[rstest]
    #[case(V4)]
    #[case(V6)]
    fn an_endpoint_that_goes_is_unmarked_and_keeps_its_number(#[case] addresses: [&str; 4]) {
        let before = published(&service(addresses, &[(1, Views::Both), (2, Views::Both)]));
        let plan = diff(&service(addresses, &[(2, Views::Both)]), Protocol::Tcp, &before);
        let address = address::widen(ip(addresses[1]));
        let gone = MarkChange {
            address,
            port: Port::new(8080),
            number: Some(1),
            marks: LEAVING,
        };
        assert_eq!(plan.marks, [gone]);
        assert_eq!(plan.block.expect("a new block").entries.len(), 1);
        assert!(plan.add.is_empty() && plan.remove.is_empty());
    }

    #[test]
    fn a_terminating_endpoint_leaves_the_block_but_serves() {
        let before = published(&service(V4, &[(1, Views::Both), (2, Views::Both)]));
        let plan = diff(
            &service(V4, &[(1, Views::Neither), (2, Views::Both)]),
            Protocol::Tcp,
            &before,
        );
        let [change] = plan.marks[..] else {
            panic!("one endpoint changes: {plan:?}")
        };
        assert_eq!((change.number, change.marks), (Some(1), SERVING));
    }

    #[test]
    fn an_address_of_another_kind_is_written_again_and_not_taken_away() {
        let desired = service(V4, &[]);
        let mut before = published(&desired);
        before.frontends[0].1 = FrontendKind::External;
        let plan = diff(&desired, Protocol::Tcp, &before);
        assert_eq!((plan.add.len(), plan.remove.len()), (1, 0));
    }

    #[test]
    fn a_policy_alone_needs_a_new_block() {
        let desired = service(V4, &[(1, Views::Both)]);
        let before = published(&desired);
        let plan = diff(&DesiredService { flags: 0, ..desired }, Protocol::Tcp, &before);
        assert!(plan.block.is_some() && plan.marks.is_empty());
    }
}
