//! The agent's own library beside a dead agent, on the same pins: services are published from here as fast as wished, or
//! cut off in the midst of it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use proxy_agent::agent::snapshot;
use proxy_agent::apply::grace::Grace;
use proxy_agent::apply::kernel::{Access, counters};
use proxy_agent::apply::maps::ServiceMaps;
use proxy_agent::apply::{Applier, ApplyError};
use proxy_agent::cli::NodeArgs;
use proxy_agent::datapath::barrier::Barrier;
use proxy_agent::desired::Changes;
use proxy_agent::settings::{NodeSettings, Source};
use proxy_common::node::Hook;
use proxy_common::reason::Reason;
use tests::cluster::Node;
use tests::plan::Ip;
use tests::wait;

/// What publishes a node's services.
pub(crate) struct Publisher {
    applier: Applier,
    /// Cells that were the first of a block.
    first_cells: BTreeSet<u32>,
    blocks: usize,
}

/// The folder of a node's pinned maps.
pub(crate) fn maps_of(node: &Node) -> PathBuf {
    node.state_dir().join("maps")
}

/// Everything that a node's manifests want at the moment.
pub(crate) fn wanted(node: &Node) -> Result<Changes> {
    let arguments = NodeArgs {
        node_name: Some(node.label().to_owned()),
        ..NodeArgs::default()
    };
    let (settings, _) = NodeSettings::of(&arguments)?;
    let own: BTreeSet<IpAddr> = Ip::BOTH
        .into_iter()
        .flat_map(|ip| node.own_addresses().map(|own| own.of(ip)))
        .collect();
    let source = Source::Manifests(node.manifests_dir());
    let (changes, refused) = snapshot(&settings, &source, own, Duration::ZERO)?;
    ensure!(refused.is_empty(), "refused: {refused:?}");
    Ok(changes)
}

/// Real grace periods. One has passed when this returns.
pub(crate) fn grace() -> Result<Grace> {
    let mut barrier = Barrier::new()?;
    barrier.wait()?;
    Ok(Grace::start(move || barrier.wait(), || {})?)
}

/// How often a program has found a block that was used again under it.
pub(crate) fn stale_blocks(node: &Node) -> Result<u64> {
    let counters = counters(&maps_of(node))?;
    let of = |hook| counters.get(Reason::StaleBlock.counter(hook) as usize);
    Ok(Hook::ALL.into_iter().filter_map(of).sum())
}

impl Publisher {
    /// Takes over what a node's maps hold. No agent may run there.
    pub(crate) fn adopt(node: &Node, grace: Grace) -> Result<Self> {
        Self::over(ServiceMaps::open(&maps_of(node), Access::Write)?, grace)
    }

    /// Takes over what these maps hold.
    pub(crate) fn over(maps: ServiceMaps, grace: Grace) -> Result<Self> {
        Ok(Self {
            applier: Applier::adopt(maps, grace)?,
            first_cells: BTreeSet::new(),
            blocks: 0,
        })
    }

    /// Brings services to what is wanted; all of it must find room.
    pub(crate) fn publish(&mut self, changes: &Changes) -> Result<()> {
        let failures = self.try_publish(changes);
        ensure!(failures.is_empty(), "{failures:?}");
        Ok(())
    }

    /// Brings services to what is wanted, and returns what found no room.
    pub(crate) fn try_publish(&mut self, changes: &Changes) -> Vec<ApplyError> {
        let report = self.applier.apply(changes);
        for slot in self.applier.actual().services().filter_map(|(_, slot)| slot.block) {
            self.blocks += 1;
            self.first_cells.insert(slot.cell);
        }
        report.failures.into_iter().map(|(_, error)| error).collect()
    }

    /// How many blocks have begun at a cell at which another one had begun before. Every [`Publisher::publish`] must
    /// change every service for this to be right.
    pub(crate) fn reused(&self) -> usize {
        self.blocks - self.first_cells.len()
    }

    /// Waits until everything that was replaced has been given up.
    pub(crate) fn settle(&mut self) -> Result<()> {
        wait::until_true("end of all grace periods", wait::PATIENCE, || {
            self.applier.settle();
            Ok(self.applier.usage().waiting == 0)
        })
    }
}
