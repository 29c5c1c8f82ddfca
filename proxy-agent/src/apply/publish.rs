//! One pass over services: sets first, then addresses, then what goes.

use std::collections::BTreeMap;

use ipnet::IpNet;
use proxy_common::{
    block::{BlockEntry, BlockHeader, FlipWord},
    frontend::FrontendKind,
    net::{Ip6, Port},
    network::Rule,
};

use super::{
    Applier, ApplyError, Report,
    actual::{EndpointSlot, ServiceSlot},
    map::TableError,
    retire::Retired,
};
use crate::{
    desired::{DesiredService, ServicePortId},
    diff::{LEAVING, MarkChange, NewBlock, diff, frontends},
    key::SocketKey,
};

/// What a pass has to do beside publishing sets.
#[derive(Default)]
struct Rest {
    add: BTreeMap<SocketKey, (u32, FrontendKind)>,
    remove: Vec<(u32, SocketKey)>,
    gone: Vec<u32>,
    retired: Vec<Retired>,
    report: Report,
}

impl Applier {
    /// Brings services to their desired state; `None`: the service goes. Addresses that go, go first: none of them shall
    /// lead to a set that it never had. One that moves is left until its new service is published.
    pub(super) fn pass(&mut self, services: &BTreeMap<&ServicePortId, Option<&DesiredService>>) -> Report {
        let mut rest = Rest::default();
        let numbers: Vec<_> = services
            .iter()
            .map(|(id, desired)| self.prepare(id, *desired, &mut rest))
            .collect();
        self.remove_frontends(&mut rest);
        for ((id, desired), number) in services.iter().zip(numbers) {
            let (Some(desired), Some(number)) = (desired, number) else {
                continue;
            };
            if let Err(error) = self.publish(number, id, desired, &mut rest) {
                rest.add.retain(|_, (owner, _)| *owner != number);
                rest.report.failures.push(((*id).clone(), error));
            }
        }
        self.add_frontends(&mut rest);
        self.remove_frontends(&mut rest);
        self.empty_the_gone(&mut rest);
        self.retire(rest.retired);
        rest.report
    }

    /// Finds the number of a service that stays or comes, and which addresses it gains and loses.
    fn prepare(&mut self, id: &ServicePortId, desired: Option<&DesiredService>, rest: &mut Rest) -> Option<u32> {
        let Some(desired) = desired else {
            self.prepare_removal(id, rest);
            return None;
        };
        let number = match self.number_of(id) {
            Ok(number) => number,
            Err(error) => {
                rest.report.failures.push((id.clone(), error));
                return None;
            }
        };
        let slot = self.actual.service(number)?;
        let (add, remove) = frontends(desired, id.protocol, &slot.frontends);
        rest.add
            .extend(add.into_iter().map(|(key, kind)| (key, (number, kind))));
        rest.remove.extend(remove.into_iter().map(|key| (number, key)));
        Some(number)
    }

    fn publish(
        &mut self,
        number: u32,
        id: &ServicePortId,
        desired: &DesiredService,
        rest: &mut Rest,
    ) -> Result<(), ApplyError> {
        let published = self.actual.published(number, &self.maps);
        let plan = diff(desired, id.protocol, &published);
        for change in plan.marks.iter().filter(|change| change.marks != LEAVING) {
            self.raise(number, change, rest)?;
        }
        let has_old_ranges = self.admit(number, &desired.source_ranges)?;
        if let Some(block) = &plan.block {
            self.replace_block(number, block, rest)?;
            rest.report.published += 1;
        }
        let gone = plan.marks.iter().filter(|change| change.marks == LEAVING);
        for endpoint in gone.filter_map(|change| change.number) {
            self.lower(endpoint, LEAVING, rest);
        }
        if has_old_ranges {
            rest.retired.push(Retired::SourceRanges(number));
        }
        Ok(())
    }

    /// Lets networks use a service, before a block says that only they may. Whether there are others that may no longer:
    /// a program may be looking at the block that was in force with them.
    fn admit(&mut self, service: u32, source_ranges: &[IpNet]) -> Result<bool, ApplyError> {
        for network in source_ranges {
            self.maps.networks.put(service, *network, Rule::ADMIT)?;
        }
        if let Some(slot) = self.actual.service_mut(service) {
            slot.source_ranges = source_ranges.into();
        }
        let mut known = self.maps.networks.of(service);
        Ok(known.any(|(network, _)| !source_ranges.contains(&network)))
    }

    /// The number of a service, named in the maps before anything refers to it.
    fn number_of(&mut self, id: &ServicePortId) -> Result<u32, ApplyError> {
        if let Some(number) = self.actual.number(id) {
            self.actual.name(number, id);
            if let Some(slot) = self.actual.service_mut(number) {
                slot.wanted = true;
            }
            return Ok(number);
        }
        let capacity = self.maps.service_capacity();
        let number = self.service_numbers.take().ok_or(ApplyError::Services(capacity))?;
        let slot = ServiceSlot {
            named: true,
            ..ServiceSlot::new(id.clone())
        };
        if let Err(error) = self.maps.name_service(number, Some(&slot.name())) {
            self.service_numbers.give_back(number);
            return Err(error.into());
        }
        self.actual.add_service(number, slot);
        Ok(number)
    }

    /// Gives an endpoint marks, and a number if it has none. Marks that it loses by this wait for a grace period.
    fn raise(&mut self, service: u32, change: &MarkChange, rest: &mut Rest) -> Result<(), ApplyError> {
        let number = match change.number {
            Some(number) => number,
            None => self.new_endpoint(service, change)?,
        };
        self.count_target(number)?;
        let marks = self.maps.state(number).flags;
        self.maps.mark(number, marks | u64::from(change.marks));
        if marks & !u64::from(change.marks) != 0 {
            self.lower(number, change.marks, rest);
        } else {
            let slot = self.actual.endpoint_mut(number);
            (slot.marks, slot.ticket) = (change.marks, Default::default());
            self.lingering.remove(&number);
        }
        Ok(())
    }

    /// Says which marks an endpoint keeps after the next grace period.
    fn lower(&mut self, number: u32, marks: u8, rest: &mut Rest) {
        self.actual.endpoint_mut(number).marks = marks;
        self.lingering.remove(&number);
        rest.retired.push(Retired::Endpoint(number));
    }

    fn new_endpoint(&mut self, service: u32, change: &MarkChange) -> Result<u32, ApplyError> {
        let capacity = self.maps.endpoint_capacity();
        let number = self.free_endpoint_number().ok_or(ApplyError::Endpoints(capacity))?;
        let slot = EndpointSlot {
            service,
            address: change.address,
            port: change.port,
            ..EndpointSlot::default()
        };
        if let Err(error) = self.maps.name_endpoint(number, Some(&slot.name())) {
            self.endpoint_numbers.give_back(number);
            return Err(error.into());
        }
        self.maps.forget_counts(number);
        *self.actual.endpoint_mut(number) = EndpointSlot { marks: LEAVING, ..slot };
        if let Some(slot) = self.actual.service_mut(service) {
            slot.endpoints.push(number);
        }
        Ok(number)
    }

    /// A number that no flow names. One that is free and named nevertheless, by records that outlived its name, is left
    /// alone until the next start.
    fn free_endpoint_number(&mut self) -> Option<u32> {
        loop {
            let number = self.endpoint_numbers.take()?;
            if self.maps.state(number).flows == 0 {
                return Some(number);
            }
        }
    }

    fn count_target(&mut self, number: u32) -> Result<(), ApplyError> {
        let slot = self.actual.endpoint(number);
        if let Some(service) = self.actual.service(slot.service).filter(|_| !slot.counted) {
            self.maps.add_target(&service.target(&slot))?;
            self.actual.endpoint_mut(number).counted = true;
        }
        Ok(())
    }

    fn replace_block(&mut self, service: u32, block: &NewBlock, rest: &mut Rest) -> Result<(), ApplyError> {
        let needed = u32::try_from(block.entries.len()).unwrap_or(u32::MAX - 1) + 1;
        let largest = self.arena.largest();
        let run = self.arena.take(needed).ok_or(ApplyError::Arena { needed, largest })?;
        let generation = self.maps.flip_word(service).generation().wrapping_add(1);
        let header = BlockHeader {
            service,
            generation,
            ..block.header
        };
        let entries = self.entries(service, generation, &block.entries);
        self.maps.write_block(run.cell, &header, &entries);
        self.maps.flip(service, FlipWord::new(run.cell, generation));
        let old = self
            .actual
            .service_mut(service)
            .and_then(|slot| slot.block.replace(run));
        rest.retired.extend(old.map(Retired::Block));
        Ok(())
    }

    /// The entries of a block whose endpoints all have numbers.
    fn entries(&self, service: u32, generation: u32, endpoints: &[(Ip6, Port)]) -> Vec<BlockEntry> {
        let own = self.actual.service(service).map_or(&[][..], |slot| &slot.endpoints);
        let numbers: BTreeMap<(Ip6, Port), u32> = own
            .iter()
            .map(|number| {
                let slot = self.actual.endpoint(*number);
                ((slot.address, slot.port), *number)
            })
            .collect();
        let entry = |(address, port): &(Ip6, Port)| {
            let number = numbers.get(&(*address, *port))?;
            Some(BlockEntry::new(*address, *port, *number, service, generation))
        };
        endpoints.iter().filter_map(entry).collect()
    }

    fn prepare_removal(&mut self, id: &ServicePortId, rest: &mut Rest) {
        let Some(number) = self.actual.number(id) else {
            return;
        };
        self.actual.name(number, id);
        let Some(slot) = self.actual.service_mut(number) else {
            return;
        };
        rest.remove.extend(slot.frontends.iter().map(|(key, _)| (number, *key)));
        if std::mem::replace(&mut slot.wanted, false) {
            rest.gone.push(number);
        }
    }

    fn add_frontends(&mut self, rest: &mut Rest) {
        for (key, (number, kind)) in std::mem::take(&mut rest.add) {
            match self.maps.put_frontend(&key, key.frontend(number, kind)) {
                Ok(()) => self.remember(number, |frontends| {
                    frontends.retain(|(known, _)| *known != key);
                    frontends.push((key, kind));
                }),
                Err(error) => rest.fail(self.actual.service(number), error.into()),
            }
        }
    }

    /// An address that is about to lead to another service is left for a second call, which comes after that.
    fn remove_frontends(&mut self, rest: &mut Rest) {
        for (number, key) in std::mem::take(&mut rest.remove) {
            if rest.add.contains_key(&key) {
                rest.remove.push((number, key));
                continue;
            }
            match self.remove_frontend(number, &key) {
                Ok(()) => self.remember(number, |frontends| frontends.retain(|(known, _)| *known != key)),
                Err(error) => rest.fail(self.actual.service(number), error.into()),
            }
        }
    }

    /// Takes an address from a service, unless another has it by now.
    fn remove_frontend(&mut self, number: u32, key: &SocketKey) -> Result<(), TableError> {
        if self
            .maps
            .frontend(key)?
            .is_some_and(|frontend| frontend.service == number)
        {
            self.maps.remove_frontend(key)?;
        }
        Ok(())
    }

    fn remember(&mut self, number: u32, change: impl FnOnce(&mut Vec<(SocketKey, FrontendKind)>)) {
        if let Some(slot) = self.actual.service_mut(number) {
            let mut frontends = std::mem::take(&mut slot.frontends).into_vec();
            change(&mut frontends);
            frontends.sort_unstable();
            slot.frontends = frontends.into();
        }
    }

    /// A service none of whose addresses is left: its block and its endpoints go.
    fn empty_the_gone(&mut self, rest: &mut Rest) {
        for number in std::mem::take(&mut rest.gone) {
            let word = self.maps.flip_word(number);
            if word.is_some() {
                // The generation stays: the number's next owner goes on counting from it.
                self.maps.flip(number, FlipWord::new(0, word.generation()));
            }
            let Some(slot) = self.actual.service_mut(number) else {
                continue;
            };
            slot.source_ranges = Box::default();
            rest.retired.extend(slot.block.take().map(Retired::Block));
            rest.retired.push(Retired::Service(number));
            for endpoint in slot.endpoints.clone() {
                if self.actual.endpoint(endpoint).marks != LEAVING {
                    self.lower(endpoint, LEAVING, rest);
                }
            }
            rest.report.removed += 1;
        }
    }
}

impl Rest {
    fn fail(&mut self, service: Option<&ServiceSlot>, error: ApplyError) {
        if let Some(service) = service {
            self.report.failures.push((service.id.clone(), error));
        }
    }
}
