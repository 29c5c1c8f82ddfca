//! What the agent tells `fairlead status`.

use std::{collections::BTreeMap, time::Instant};

use serde::{Deserialize, Serialize};

use crate::desired::ProxyMode;

use super::{Health, clock};

/// How a running agent is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The agent's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The node that it serves.
    pub node: String,
    /// Whose behaviour it shows.
    pub mode: String,
    /// When it began (RFC 3339).
    pub began: String,
    /// Since when everything that is wanted has been in the maps (RFC 3339); absent: not yet.
    pub complete: Option<String>,
    /// Whether everything is in the maps and nothing fails.
    pub ready: bool,
    /// Whether every change older than a minute is in the maps.
    pub healthy: bool,
    /// What is wrong with sources of objects, by source.
    pub troubles: BTreeMap<String, String>,
    /// What cannot be written, and why.
    pub failures: BTreeMap<String, String>,
    /// How many fields of objects cannot be used.
    pub refused: usize,
    /// How many writes to maps there have been since it began.
    pub writes: u64,
}

impl Health {
    /// How the agent is now.
    #[must_use]
    pub fn report(&self, now: Instant) -> Report {
        let (ready, healthy) = (self.is_ready(), self.is_healthy(now));
        let state = self.state();
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            node: self.node.clone(),
            mode: mode_name(self.mode).to_owned(),
            began: clock::rfc3339(state.began),
            complete: state.complete.map(clock::rfc3339),
            ready,
            healthy,
            troubles: state
                .troubles
                .iter()
                .map(|(source, reason)| ((*source).to_owned(), reason.clone()))
                .collect(),
            failures: state.failures.clone(),
            refused: state.refused,
            writes: state.writes,
        }
    }

    /// The answer of `/proxyMode`.
    pub(super) const fn mode_name(&self) -> &'static str {
        mode_name(self.mode)
    }
}

const fn mode_name(mode: ProxyMode) -> &'static str {
    match mode {
        ProxyMode::Nftables => "nftables",
        ProxyMode::Iptables => "iptables",
        ProxyMode::Ipvs => "ipvs",
    }
}
