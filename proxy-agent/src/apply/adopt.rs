//! What is in the maps when an agent starts: read back, checked against itself, and never written.
//!
//! Whatever a killed agent was in the midst of is one of these: cells that no flip word refers to (free), a number that
//! no block names (given up, or used again for the same endpoint), an address still counted (counted anew). Anything
//! else is damage, and repaired by writing the service anew.

use std::collections::{BTreeMap, BTreeSet};

use proxy_common::{
    block::{BlockEntry, BlockHeader, FlipWord},
    endpoint::serving,
    frontend::{Frontend, FrontendKind},
    network::UNANSWERED,
};

use super::{
    actual::{Actual, EndpointSlot, ServiceSlot},
    arena::{Arena, Run},
    map::TableError,
    maps::ServiceMaps,
    names,
    numbers::Numbers,
};
use crate::key::SocketKey;

/// What the maps hold, and what of it contradicts itself.
pub struct Adopted {
    /// The services and endpoints.
    pub actual: Actual,
    /// The cells.
    pub arena: Arena,
    /// The service numbers.
    pub service_numbers: Numbers,
    /// The endpoint numbers.
    pub endpoint_numbers: Numbers,
    /// What must be put right before anything else is written.
    pub findings: Vec<Finding>,
}

/// Something in the maps that contradicts the rest of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// An address leads to a number that names no service.
    LostFrontend(SocketKey, Frontend),
    /// An endpoint number is marked as in use and names nothing.
    LostEndpoint(u32),
    /// An address is counted as that of so many endpoints, and is that of so many others.
    Target {
        /// The address.
        key: SocketKey,
        /// What `TARGETS` says.
        counted: u32,
        /// What is right.
        actual: u32,
    },
    /// Networks may use a service of a number that names none.
    LostNetworks(u32),
    /// A service's block is not what its flip word says, or names endpoints that are not its own.
    Block {
        /// The service's number.
        service: u32,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Finding::LostFrontend(key, frontend) => {
                write!(
                    f,
                    "address {key} leads to number {}, which is no service",
                    frontend.service
                )
            }
            Finding::LostEndpoint(number) => write!(f, "endpoint number {number} is in use and names nothing"),
            Finding::Target { key, counted, actual } => {
                write!(
                    f,
                    "address {key} is counted for {counted} endpoints and is that of {actual}"
                )
            }
            Finding::LostNetworks(number) => write!(f, "source ranges of number {number}, which is no service"),
            Finding::Block { service, why } => write!(f, "the block of service number {service} {why}"),
        }
    }
}

/// Reads the maps.
///
/// # Errors
/// If a map cannot be read.
pub fn read(maps: &ServiceMaps) -> Result<Adopted, TableError> {
    let mut actual = Actual::default();
    let mut findings = Vec::new();
    read_services(maps, &mut actual)?;
    read_endpoints(maps, &mut actual, &mut findings)?;
    let arena = read_blocks(maps, &mut actual, &mut findings);
    read_frontends(maps, &mut actual, &mut findings)?;
    check_targets(maps, &actual, &mut findings)?;
    let is_lost = |scope: &u32| *scope != UNANSWERED && actual.service(*scope).is_none();
    findings.extend(maps.networks.scopes().filter(is_lost).map(Finding::LostNetworks));
    let services = actual.services().map(|(number, _)| number).collect();
    let endpoints = actual.endpoints().map(|(number, _)| number).collect();
    Ok(Adopted {
        service_numbers: Numbers::new(maps.service_capacity(), &services),
        endpoint_numbers: Numbers::new(maps.endpoint_capacity(), &endpoints),
        actual,
        arena,
        findings,
    })
}

/// A number whose flip word is zero was never published; its name, if any, was the last thing a killed agent wrote.
fn read_services(maps: &ServiceMaps, actual: &mut Actual) -> Result<(), TableError> {
    for number in (1..maps.service_capacity()).filter(|number| maps.flip_word(*number) != FlipWord::default()) {
        let name = maps.service_name(number)?;
        let id = name.as_ref().and_then(names::service);
        if let Some(id) = id.filter(|id| actual.number(id).is_none()) {
            actual.add_service(number, ServiceSlot::new(id));
        }
    }
    Ok(())
}

fn read_endpoints(maps: &ServiceMaps, actual: &mut Actual, findings: &mut Vec<Finding>) -> Result<(), TableError> {
    for number in 1..maps.endpoint_capacity() {
        let state = maps.state(number);
        if state.flags == 0 {
            continue;
        }
        let name = maps.endpoint_name(number)?;
        let known = name.and_then(|name| Some((name, actual.service_mut(name.service)?)));
        let Some((name, service)) = known else {
            findings.push(Finding::LostEndpoint(number));
            continue;
        };
        service.endpoints.push(number);
        *actual.endpoint_mut(number) = EndpointSlot {
            service: name.service,
            address: name.address,
            port: name.port,
            marks: u8::try_from(state.flags).unwrap_or(u8::MAX),
            counted: state.flags & serving::SERVING != 0,
            ..EndpointSlot::default()
        };
    }
    Ok(())
}

fn read_blocks(maps: &ServiceMaps, actual: &mut Actual, findings: &mut Vec<Finding>) -> Arena {
    let mut runs = BTreeMap::new();
    let numbers: Vec<u32> = actual.services().map(|(number, _)| number).collect();
    for service in numbers {
        let word = maps.flip_word(service);
        if !word.is_some() {
            continue;
        }
        match sound_block(maps, actual, service, word) {
            Ok(run) => {
                runs.insert(run, service);
            }
            Err(why) => findings.push(Finding::Block { service, why }),
        }
    }
    let (arena, refused) = Arena::new(maps.cells(), runs.keys().copied());
    let refused: BTreeSet<Run> = refused.into_iter().collect();
    for (run, service) in runs {
        if refused.contains(&run) {
            let why = "lies in another service's block";
            findings.push(Finding::Block { service, why });
        } else if let Some(slot) = actual.service_mut(service) {
            slot.block = Some(run);
        }
    }
    arena
}

fn sound_block(maps: &ServiceMaps, actual: &Actual, service: u32, word: FlipWord) -> Result<Run, &'static str> {
    let (header, entries) = maps.block(word.cell()).ok_or("reaches beyond the arena")?;
    let BlockHeader { generation, .. } = header;
    if generation != word.generation() || header.service != service {
        return Err("is not of the generation or service that the flip word says");
    }
    let is_own = |entry: &BlockEntry| {
        let slot = actual.endpoint(entry.endpoint);
        (entry.generation, entry.service) == (generation, service)
            && (slot.service, slot.address, slot.port) == (service, entry.address, entry.port)
    };
    if !entries.iter().all(is_own) {
        return Err("names endpoints that are not the service's");
    }
    let (cell, cells) = (word.cell(), header.entries() + 1);
    Ok(Run { cell, cells })
}

fn read_frontends(maps: &ServiceMaps, actual: &mut Actual, findings: &mut Vec<Finding>) -> Result<(), TableError> {
    let mut by_service: BTreeMap<u32, Vec<(SocketKey, FrontendKind)>> = BTreeMap::new();
    for (key, frontend) in maps.all_frontends()? {
        match frontend.kind() {
            Some(kind)
                if key.owns(&frontend)
                    && actual
                        .service(frontend.service)
                        .is_some_and(|slot| slot.protocol() == key.protocol) =>
            {
                by_service.entry(frontend.service).or_default().push((key, kind));
            }
            _ => findings.push(Finding::LostFrontend(key, frontend)),
        }
    }
    for (service, mut frontends) in by_service {
        frontends.sort_unstable();
        if let Some(slot) = actual.service_mut(service) {
            slot.frontends = frontends.into();
        }
    }
    Ok(())
}

fn check_targets(maps: &ServiceMaps, actual: &Actual, findings: &mut Vec<Finding>) -> Result<(), TableError> {
    let mut right: BTreeMap<SocketKey, u32> = BTreeMap::new();
    for (_, endpoint) in actual.endpoints().filter(|(_, endpoint)| endpoint.counted) {
        if let Some(service) = actual.service(endpoint.service) {
            *right.entry(service.target(endpoint)).or_default() += 1;
        }
    }
    for (key, counted) in maps.all_targets()? {
        let actual = right.remove(&key).unwrap_or(0);
        if actual != counted {
            findings.push(Finding::Target { key, counted, actual });
        }
    }
    let missing = right.into_iter().map(|(key, actual)| Finding::Target {
        key,
        counted: 0,
        actual,
    });
    findings.extend(missing);
    Ok(())
}
