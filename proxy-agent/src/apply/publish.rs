//! One pass over services: sets first, then addresses, then what goes.

use std::collections::BTreeMap;

use proxy_common::{
    block::{BlockEntry, BlockHeader, FlipWord},
    frontend::{Frontend, FrontendKind},
    net::{Ip6, Port},
};

use super::{
    Applier, ApplyError, Report,
    actual::{EndpointSlot, ServiceSlot},
    key::SocketKey,
    retire::Retired,
};
use crate::{
    desired::{DesiredService, ServicePortId},
    diff::{LEAVING, MarkChange, NewBlock, diff},
};

/// What a pass still has to do once all sets are published.
#[derive(Default)]
struct Rest {
    add: Vec<(u32, SocketKey, FrontendKind)>,
    remove: Vec<(u32, SocketKey)>,
    gone: Vec<u32>,
    retired: Vec<Retired>,
    report: Report,
}

impl Applier {
    /// Brings services to their desired state; `None`: the service goes.
    pub(super) fn pass(&mut self, services: &BTreeMap<&ServicePortId, Option<&DesiredService>>) -> Report {
        let mut rest = Rest::default();
        for (id, desired) in services {
            match desired {
                Some(desired) => {
                    if let Err(error) = self.publish(id, desired, &mut rest) {
                        rest.report.failures.push(((*id).clone(), error));
                    }
                }
                None => self.prepare_removal(id, &mut rest),
            }
        }
        self.add_frontends(&mut rest);
        self.remove_frontends(&mut rest);
        self.empty_the_gone(&mut rest);
        self.retire(rest.retired);
        rest.report
    }

    fn publish(&mut self, id: &ServicePortId, desired: &DesiredService, rest: &mut Rest) -> Result<(), ApplyError> {
        let number = self.number_of(id)?;
        let published = self.actual.published(number, &self.maps);
        let plan = diff(desired, id.protocol, &published);
        rest.remove.extend(plan.remove.iter().map(|key| (number, *key)));
        if plan.is_empty() {
            return Ok(());
        }
        for change in plan.marks.iter().filter(|change| change.marks != LEAVING) {
            self.raise(number, change, rest)?;
        }
        if let Some(block) = &plan.block {
            self.replace_block(number, block, rest)?;
            rest.report.published += 1;
        }
        for endpoint in plan
            .marks
            .iter()
            .filter(|change| change.marks == LEAVING)
            .filter_map(|change| change.number)
        {
            self.lower(endpoint, LEAVING, rest);
        }
        rest.add
            .extend(plan.add.iter().map(|(key, kind)| (number, *key, *kind)));
        Ok(())
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
        let number = self.endpoint_numbers.take().ok_or(ApplyError::Endpoints(capacity))?;
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
        for (number, key, kind) in std::mem::take(&mut rest.add) {
            match self.maps.put_frontend(&key, Frontend::new(number, kind)) {
                Ok(()) => self.remember(number, |frontends| {
                    frontends.retain(|(known, _)| *known != key);
                    frontends.push((key, kind));
                }),
                Err(error) => rest.fail(self.actual.service(number), error.into()),
            }
        }
    }

    /// An address that another service has taken over by now is left to it.
    fn remove_frontends(&mut self, rest: &mut Rest) {
        for (number, key) in std::mem::take(&mut rest.remove) {
            let removed = self.maps.frontend(&key).and_then(|frontend| {
                if frontend.is_some_and(|frontend| frontend.service == number) {
                    self.maps.remove_frontend(&key)?;
                }
                Ok(())
            });
            match removed {
                Ok(()) => self.remember(number, |frontends| frontends.retain(|(known, _)| *known != key)),
                Err(error) => rest.fail(self.actual.service(number), error.into()),
            }
        }
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
