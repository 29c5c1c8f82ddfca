//! What the maps hold, as the agent remembers it: small enough for 30,000 services, and never the only copy.

use std::collections::HashMap;

use ipnet::IpNet;
use proxy_common::{
    endpoint::serving,
    frontend::FrontendKind,
    names::{EndpointName, ServiceName},
    net::{Ip6, Port, Protocol},
};

use super::{arena::Run, grace::Ticket, maps::ServiceMaps, names};
use crate::{
    desired::ServicePortId,
    diff::{Published, PublishedEndpoint},
    key::SocketKey,
};

/// Services and endpoints by number.
#[derive(Default)]
pub struct Actual {
    index: HashMap<ServicePortId, u32>,
    services: Vec<Option<Box<ServiceSlot>>>,
    endpoints: Vec<EndpointSlot>,
}

/// A service with a number.
pub struct ServiceSlot {
    /// What the number stands for.
    pub id: ServicePortId,
    /// The cells of the block in force.
    pub block: Option<Run>,
    /// The addresses that lead to it, sorted.
    pub frontends: Box<[(SocketKey, FrontendKind)]>,
    /// The networks that may use its load-balancer addresses, if not everybody may.
    pub source_ranges: Box<[IpNet]>,
    /// Its endpoints' numbers, those included that no longer serve.
    pub endpoints: Vec<u32>,
    /// Whether a change has named it since the agent started.
    pub named: bool,
    /// Whether it is wanted. If not, the number waits for the endpoints' numbers to become free.
    pub wanted: bool,
    /// The grace period after which the number may be given up.
    pub ticket: Ticket,
}

/// An endpoint number.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndpointSlot {
    /// The service that the endpoint belongs to; 0: the number is free.
    pub service: u32,
    /// The endpoint's address.
    pub address: Ip6,
    /// The endpoint's port.
    pub port: Port,
    /// The marks that it should have: those it has, or fewer until the grace period of `ticket` is over.
    pub marks: u8,
    /// Whether it is counted in `TARGETS`.
    pub counted: bool,
    /// The grace period after which the marks shrink to `marks`.
    pub ticket: Ticket,
}

impl EndpointSlot {
    /// The name that stands in the map.
    #[must_use]
    pub fn name(&self) -> EndpointName {
        EndpointName {
            service: self.service,
            port: self.port,
            zero: [0; 2],
            address: self.address,
        }
    }

    /// Whether flows may go on to it.
    #[must_use]
    pub const fn serves(&self) -> bool {
        self.marks as u64 & serving::SERVING != 0
    }
}

impl ServiceSlot {
    /// A service that has nothing but a number.
    #[must_use]
    pub fn new(id: ServicePortId) -> Self {
        ServiceSlot {
            id,
            block: None,
            frontends: Box::default(),
            source_ranges: Box::default(),
            endpoints: Vec::new(),
            named: false,
            wanted: true,
            ticket: Ticket::default(),
        }
    }

    /// The name that stands in the map.
    #[must_use]
    pub fn name(&self) -> ServiceName {
        names::of_service(&self.id)
    }

    /// The protocol of its frontends and endpoints.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.id.protocol
    }

    /// Its key in `TARGETS` for one of its endpoints.
    #[must_use]
    pub const fn target(&self, endpoint: &EndpointSlot) -> SocketKey {
        SocketKey {
            family: self.id.family,
            address: endpoint.address,
            port: endpoint.port,
            protocol: self.id.protocol,
        }
    }
}

impl Actual {
    /// The number of a service.
    #[must_use]
    pub fn number(&self, id: &ServicePortId) -> Option<u32> {
        self.index.get(id).copied()
    }

    /// The service of a number.
    #[must_use]
    pub fn service(&self, number: u32) -> Option<&ServiceSlot> {
        self.services.get(number as usize)?.as_deref()
    }

    /// The service of a number.
    pub fn service_mut(&mut self, number: u32) -> Option<&mut ServiceSlot> {
        self.services.get_mut(number as usize)?.as_deref_mut()
    }

    /// All services with their numbers, in the order of the numbers.
    pub fn services(&self) -> impl Iterator<Item = (u32, &ServiceSlot)> {
        (0..)
            .zip(&self.services)
            .filter_map(|(number, slot)| Some((number, slot.as_deref()?)))
    }

    /// Gives a number to a service.
    pub fn add_service(&mut self, number: u32, slot: ServiceSlot) {
        let at = number as usize;
        if self.services.len() <= at {
            self.services.resize_with(at + 1, || None);
        }
        self.index.insert(slot.id.clone(), number);
        self.services[at] = Some(Box::new(slot));
    }

    /// Takes its number from a service.
    pub fn remove_service(&mut self, number: u32) {
        if let Some(slot) = self.services.get_mut(number as usize).and_then(Option::take) {
            self.index.remove(&slot.id);
        }
    }

    /// Notes that a change has named a service, and shares the change's strings instead of those read from the maps.
    pub fn name(&mut self, number: u32, id: &ServicePortId) {
        let Some(slot) = self.services.get_mut(number as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        if !slot.named {
            slot.named = true;
            slot.id = id.clone();
            self.index.remove(id);
            self.index.insert(id.clone(), number);
        }
    }

    /// An endpoint number; a free one if it was never given out.
    #[must_use]
    pub fn endpoint(&self, number: u32) -> EndpointSlot {
        self.endpoints.get(number as usize).copied().unwrap_or_default()
    }

    /// An endpoint number, to be changed.
    pub fn endpoint_mut(&mut self, number: u32) -> &mut EndpointSlot {
        let at = number as usize;
        if self.endpoints.len() <= at {
            self.endpoints.resize(at + 1, EndpointSlot::default());
        }
        &mut self.endpoints[at]
    }

    /// All endpoint numbers that are given out.
    pub fn endpoints(&self) -> impl Iterator<Item = (u32, &EndpointSlot)> {
        (0..).zip(&self.endpoints).filter(|(_, slot)| slot.service != 0)
    }

    /// What the maps hold for a service: its block is read from the arena itself.
    #[must_use]
    pub fn published(&self, number: u32, maps: &ServiceMaps) -> Published {
        let Some(slot) = self.service(number) else {
            return Published::default();
        };
        let endpoints = slot.endpoints.iter().map(|number| {
            let EndpointSlot {
                address, port, marks, ..
            } = self.endpoint(*number);
            PublishedEndpoint {
                number: *number,
                address,
                port,
                marks,
            }
        });
        Published {
            block: slot.block.and_then(|run| maps.block(run.cell)),
            frontends: slot.frontends.to_vec(),
            endpoints: endpoints.collect(),
        }
    }
}
