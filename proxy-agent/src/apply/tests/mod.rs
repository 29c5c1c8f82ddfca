//! Services in imagined maps: published, changed, taken away, and taken over after a kill at any write.

use std::{collections::BTreeMap, net::IpAddr};

use proptest::{collection::vec, prelude::*};
use proxy_common::{
    block::{BlockEntry, BlockHeader, FlipWord},
    endpoint::serving,
    family::{FamilyKind, V4, V6},
    frontend::{Frontend, FrontendKey, FrontendKind},
    names::{EndpointName, ServiceName},
    net::Protocol,
    network::{NetworkKey, Rule},
};

use super::{
    grace::Hand,
    maps::Dual,
    memory::{MemoryTable, MemoryWords, Power},
    networks::{NetworkTables, Networks},
    *,
};
use crate::{
    desired::{DesiredEndpoint, DesiredFrontend, Views},
    key::SocketKey,
};

mod networks;
mod services;

/// Maps that outlive the applier, as the kernel's do.
#[derive(Clone)]
struct World {
    power: Power,
    frontends: (
        MemoryTable<FrontendKey<V4>, Frontend>,
        MemoryTable<FrontendKey<V6>, Frontend>,
    ),
    targets: (MemoryTable<FrontendKey<V4>, u32>, MemoryTable<FrontendKey<V6>, u32>),
    networks: (MemoryTable<NetworkKey<V4>, Rule>, MemoryTable<NetworkKey<V6>, Rule>),
    services: MemoryWords,
    endpoints: MemoryWords,
    state: MemoryWords,
    service_names: MemoryTable<u32, ServiceName>,
    endpoint_names: MemoryTable<u32, EndpointName>,
}

const SERVICES: usize = 16;
const CELLS: usize = 96;
const ENDPOINTS: usize = 48;

impl World {
    fn new() -> Self {
        Self::sized(SERVICES, CELLS, ENDPOINTS, 64)
    }

    fn sized(services: usize, cells: usize, endpoints: usize, frontends: usize) -> Self {
        let power = &Power::default();
        World {
            frontends: (
                MemoryTable::new("FRONTENDS_V4", frontends, power),
                MemoryTable::new("FRONTENDS_V6", frontends, power),
            ),
            targets: (
                MemoryTable::new("TARGETS_V4", 64, power),
                MemoryTable::new("TARGETS_V6", 64, power),
            ),
            networks: (
                MemoryTable::new("NETWORKS_V4", 64, power),
                MemoryTable::new("NETWORKS_V6", 64, power),
            ),
            services: MemoryWords::new(services, power),
            endpoints: MemoryWords::new(cells * 4, power),
            state: MemoryWords::new(endpoints * 4, power),
            service_names: MemoryTable::new("SERVICE_NAMES", services, power),
            endpoint_names: MemoryTable::new("ENDPOINT_NAMES", endpoints, power),
            power: power.clone(),
        }
    }

    fn maps(&self) -> ServiceMaps {
        let world = self.clone();
        ServiceMaps {
            frontends: Dual {
                v4: Box::new(world.frontends.0),
                v6: Box::new(world.frontends.1),
            },
            targets: Dual {
                v4: Box::new(world.targets.0),
                v6: Box::new(world.targets.1),
            },
            networks: Networks::adopt(NetworkTables {
                v4: Box::new(world.networks.0),
                v6: Box::new(world.networks.1),
            })
            .expect("memory"),
            services: Box::new(world.services),
            endpoints: Box::new(world.endpoints),
            state: Box::new(world.state),
            service_names: Box::new(world.service_names),
            endpoint_names: Box::new(world.endpoint_names),
            writes: 0,
        }
    }

    fn agent(&self) -> (Applier, Hand) {
        let (grace, hand) = Grace::by_hand();
        (Applier::adopt(self.maps(), grace).expect("the maps can be read"), hand)
    }

    /// What the data path would find at an address: the endpoints of the cluster's view.
    fn lookup(&self, key: &SocketKey) -> Option<Result<Vec<SocketKey>, String>> {
        let maps = self.maps();
        let frontend = maps.frontend(key).expect("memory")?;
        let word = maps.flip_word(frontend.service);
        Some(read_set(&maps, key, frontend.service, word))
    }

    fn flows(&mut self, endpoint: u32, flows: u64) {
        use super::map::Words as _;
        self.state.store(endpoint as usize * 4 + 1, flows);
    }
}

fn read_set(maps: &ServiceMaps, key: &SocketKey, service: u32, word: FlipWord) -> Result<Vec<SocketKey>, String> {
    if !word.is_some() {
        return Err(format!("{key}: service {service} has no block"));
    }
    let (header, entries): (BlockHeader, Vec<BlockEntry>) = maps
        .block(word.cell())
        .ok_or_else(|| format!("{key}: cell {} is no block", word.cell()))?;
    if (header.generation, header.service) != (word.generation(), service) {
        return Err(format!("{key}: the word says {word:?}, the block {header:?}"));
    }
    entries
        .iter()
        .map(|entry| {
            if (entry.generation, entry.service) != (word.generation(), service) {
                return Err(format!("{key}: the word says {word:?}, an entry {entry:?}"));
            }
            let marks = maps.state(entry.endpoint).flags;
            if marks & serving::ELIGIBLE == 0 {
                return Err(format!(
                    "{key}: endpoint {} is chosen and has marks {marks}",
                    entry.endpoint
                ));
            }
            Ok(SocketKey {
                address: entry.address,
                port: entry.port,
                ..*key
            })
        })
        .collect()
}

fn id(number: u8, family: FamilyKind) -> ServicePortId {
    ServicePortId {
        namespace: "shop".into(),
        name: format!("web-{number}").into(),
        port: "http".into(),
        protocol: Protocol::Tcp,
        family,
    }
}

fn ip(family: FamilyKind, net: u8, host: u8) -> IpAddr {
    let text = match family {
        FamilyKind::V4 => format!("10.{net}.0.{host}"),
        FamilyKind::V6 => format!("fd00:{net}::{host}"),
    };
    text.parse().expect("an address")
}

fn service(family: FamilyKind, frontends: &[u8], endpoints: &[(u8, Views)]) -> DesiredService {
    let kind = FrontendKind::ClusterIp;
    let frontend = |host: &u8| DesiredFrontend {
        address: ip(family, 96, *host),
        port: 80,
        kind,
    };
    let endpoint = |(host, views): &(u8, Views)| DesiredEndpoint {
        address: ip(family, 1, *host),
        port: 8080,
        views: *views,
    };
    DesiredService {
        frontends: frontends.iter().map(frontend).collect(),
        flags: 0,
        source_ranges: Vec::new(),
        affinity_seconds: 0,
        endpoints: endpoints.iter().map(endpoint).collect(),
    }
}

fn both(endpoints: &[u8]) -> Vec<(u8, Views)> {
    endpoints.iter().map(|host| (*host, Views::Both)).collect()
}

fn key(family: FamilyKind, host: u8) -> SocketKey {
    SocketKey::new(ip(family, 96, host), 80, Protocol::Tcp)
}

fn targets(family: FamilyKind, hosts: &[u8]) -> Vec<SocketKey> {
    hosts
        .iter()
        .map(|host| SocketKey::new(ip(family, 1, *host), 8080, Protocol::Tcp))
        .collect()
}

type State = BTreeMap<ServicePortId, DesiredService>;

fn changes(services: impl IntoIterator<Item = (ServicePortId, Option<DesiredService>)>) -> Changes {
    Changes {
        services: services.into_iter().collect(),
        complete: true,
        ..Changes::default()
    }
}

fn everything(state: &State) -> Changes {
    changes(state.iter().map(|(id, desired)| (id.clone(), Some(desired.clone()))))
}

/// What leads from one state to the next.
fn step(from: &State, to: &State) -> Changes {
    let gone = from
        .keys()
        .filter(|id| !to.contains_key(id))
        .map(|id| (id.clone(), None));
    let changed = to.iter().filter(|(id, desired)| from.get(id) != Some(desired));
    changes(gone.chain(changed.map(|(id, desired)| (id.clone(), Some(desired.clone())))))
}

/// The maps hold exactly this state, and nothing is used that is not needed.
fn check(world: &World, applier: &mut Applier, hand: &Hand, state: &State) {
    hand.pass();
    applier.settle();
    let mut frontends = BTreeMap::new();
    let mut counted: BTreeMap<SocketKey, u32> = BTreeMap::new();
    for (id, desired) in state {
        let eligible = desired
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.views != Views::Neither);
        let set: Vec<_> = eligible
            .map(|e| SocketKey::new(e.address, e.port, id.protocol))
            .collect();
        for frontend in &desired.frontends {
            frontends.insert(
                SocketKey::new(frontend.address, frontend.port, id.protocol),
                set.clone(),
            );
        }
        for endpoint in &desired.endpoints {
            *counted
                .entry(SocketKey::new(endpoint.address, endpoint.port, id.protocol))
                .or_default() += 1;
        }
    }
    let maps = world.maps();
    let found: BTreeMap<_, _> = maps.all_frontends().expect("memory").into_iter().collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), frontends.keys().collect::<Vec<_>>());
    for (key, set) in frontends {
        assert_eq!(world.lookup(&key), Some(Ok(set)));
    }
    assert_eq!(
        maps.all_targets()
            .expect("memory")
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
        counted
    );
    let usage = applier.usage();
    let endpoints: usize = state.values().map(|desired| desired.endpoints.len()).sum();
    let eligible =
        |desired: &DesiredService| desired.endpoints.iter().filter(|e| e.views != Views::Neither).count() + 1;
    let cells: usize = state.values().map(eligible).sum::<usize>() + 1;
    assert_eq!(
        (usage.services as usize, usage.endpoints as usize),
        (state.len(), endpoints)
    );
    assert_eq!(usage.cells as usize, cells);
    assert_eq!((usage.waiting, usage.lingering), (0, 0));
    let adopted = adopt::read(&maps).expect("memory");
    assert_eq!(adopted.findings, []);
    assert_eq!(adopted.actual.endpoints().count(), endpoints);
}

fn state(services: &[(u8, FamilyKind, DesiredService)]) -> State {
    services
        .iter()
        .map(|(number, family, desired)| (id(*number, *family), desired.clone()))
        .collect()
}

const FAMILIES: [FamilyKind; 2] = [FamilyKind::V4, FamilyKind::V6];
