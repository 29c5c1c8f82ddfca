//! What is no longer used, until it may be used again: cells after a grace period, numbers when no flow names them
//! either.

use super::{Applier, arena::Run, grace::Ticket, map::TableError};
use crate::diff::LEAVING;

/// Something that a program may still be looking at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retired {
    /// The cells of a block that no flip word refers to any longer.
    Block(Run),
    /// An endpoint that no block has any longer, or that loses marks.
    Endpoint(u32),
    /// Networks that may no longer use a service.
    SourceRanges(u32),
    /// A service without addresses and without a block.
    Service(u32),
}

impl Applier {
    /// Puts what was just replaced aside until a grace period is over.
    pub(super) fn retire(&mut self, retired: Vec<Retired>) {
        if retired.is_empty() {
            return;
        }
        let ticket = self.grace.request();
        for item in &retired {
            match item {
                Retired::Block(_) | Retired::SourceRanges(_) => {}
                Retired::Endpoint(number) => self.actual.endpoint_mut(*number).ticket = ticket,
                Retired::Service(number) => {
                    if let Some(slot) = self.actual.service_mut(*number) {
                        slot.ticket = ticket;
                    }
                }
            }
        }
        self.retired.push_back((ticket, retired));
    }

    /// Frees what waited for a grace period that is over.
    pub(super) fn reclaim(&mut self) {
        let completed = self.grace.completed();
        while let Some((ticket, items)) = self.retired.pop_front_if(|(ticket, _)| *ticket <= completed) {
            for item in items {
                self.release(ticket, item);
            }
        }
    }

    fn release(&mut self, ticket: Ticket, item: Retired) {
        match item {
            Retired::Block(run) => self.arena.give_back(run),
            Retired::Endpoint(number) => self.shrink(ticket, number),
            Retired::SourceRanges(number) => self.forget_source_ranges(number),
            Retired::Service(number) => self.free_service(number),
        }
    }

    /// Takes from an endpoint the marks that it is not to keep, unless a later change has said otherwise.
    fn shrink(&mut self, ticket: Ticket, number: u32) {
        let slot = self.actual.endpoint(number);
        if slot.service == 0 || slot.ticket != ticket {
            return;
        }
        self.maps.mark(number, u64::from(slot.marks));
        if slot.marks == LEAVING {
            self.discount_target(number);
            self.lingering.insert(number);
        }
    }

    /// Removes the networks that the service does not list any more. What fails here is done when the service changes
    /// again, or is freed.
    fn forget_source_ranges(&mut self, number: u32) {
        let wanted = self.actual.service(number).map(|slot| slot.source_ranges.clone());
        let wanted = wanted.unwrap_or_default();
        let kept = self.maps.networks.keep(number, |network, _| wanted.contains(&network));
        if let Err(error) = kept {
            tracing::warn!(number, %error, "a source range that was taken from a service still admits");
        }
    }

    /// What fails here is done when the number is freed.
    fn discount_target(&mut self, number: u32) {
        let slot = self.actual.endpoint(number);
        let Some(service) = self.actual.service(slot.service).filter(|_| slot.counted) else {
            return;
        };
        match self.maps.drop_target(&service.target(&slot)) {
            Ok(()) => self.actual.endpoint_mut(number).counted = false,
            Err(error) => tracing::warn!(number, %error, "an endpoint's address is still counted"),
        }
    }

    /// Frees the numbers of endpoints that no flow names any longer.
    pub(super) fn free_lingering(&mut self) {
        let lingering = self.lingering.iter().copied();
        let free: Vec<u32> = lingering.filter(|number| self.maps.state(*number).flows == 0).collect();
        for number in free {
            match self.free_endpoint(number) {
                Ok(()) => {
                    self.lingering.remove(&number);
                }
                Err(error) => tracing::warn!(number, %error, "an endpoint number could not be freed"),
            }
        }
    }

    fn free_endpoint(&mut self, number: u32) -> Result<(), TableError> {
        self.discount_target(number);
        let slot = self.actual.endpoint(number);
        self.maps.mark(number, 0);
        self.maps.name_endpoint(number, None)?;
        *self.actual.endpoint_mut(number) = Default::default();
        self.endpoint_numbers.give_back(number);
        if let Some(service) = self.actual.service_mut(slot.service) {
            service.endpoints.retain(|endpoint| *endpoint != number);
        }
        self.free_service(slot.service);
        Ok(())
    }

    /// Frees a service's number if it is not wanted, its grace period is over and it has no endpoint number left.
    fn free_service(&mut self, number: u32) {
        let completed = self.grace.completed();
        let may_go = self.actual.service(number).is_some_and(|slot| {
            !slot.wanted && slot.ticket <= completed && slot.block.is_none() && slot.endpoints.is_empty()
        });
        if !may_go {
            return;
        }
        let freed = self.maps.networks.keep(number, |_, _| false);
        match freed.and_then(|()| self.maps.name_service(number, None)) {
            Ok(()) => {
                self.actual.remove_service(number);
                self.service_numbers.give_back(number);
            }
            Err(error) => tracing::warn!(number, %error, "a service number could not be freed"),
        }
    }
}
