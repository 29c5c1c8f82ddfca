//! The agent's maps, looked at from outside through their pins.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result};
use proxy_agent::apply::kernel::Access;
use proxy_agent::apply::maps::ServiceMaps;
use proxy_agent::datapath::Pins;
use proxy_agent::key::SocketKey;
use proxy_common::block::FlipWord;
use proxy_common::net::Protocol;

use super::objects;

/// The maps of services.
pub(super) struct Maps(ServiceMaps);

/// What is published of a service at a moment.
#[derive(Clone, Copy)]
pub(super) struct Published {
    number: u32,
    word: FlipWord,
}

impl Maps {
    pub(super) fn open(state: &Path) -> Result<Self> {
        Ok(Self(ServiceMaps::open(&Pins::new(state).maps(), Access::Read)?))
    }

    /// How many addresses lead to services.
    pub(super) fn services(&self) -> Result<usize> {
        Ok(self.0.all_frontends()?.len())
    }

    /// What is published of Service `n`.
    pub(super) fn published(&self, n: usize) -> Result<Published> {
        let address = IpAddr::V4(objects::cluster_ip(n));
        let key = SocketKey::new(address, objects::PORT, Protocol::Tcp);
        let frontend = self.0.frontend(&key)?;
        let number = frontend
            .with_context(|| format!("{address} leads to no service"))?
            .service;
        let word = self.0.flip_word(number);
        Ok(Published { number, word })
    }

    /// Whether something else is published by now.
    pub(super) fn has_changed(&self, published: Published) -> bool {
        self.0.flip_word(published.number) != published.word
    }
}
