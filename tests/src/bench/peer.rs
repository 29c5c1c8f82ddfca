//! Who is compared.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::kube_proxy::{Mode, Tools};
use crate::agent::SocketLb;

/// One row of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// Pod to pod, no services: the ceiling of the stack
    Direct,
    /// The same once more: what two equal rows differ by
    Control,
    /// kube-proxy in mode iptables, whose rules the kernel keeps as nftables
    IptablesNft,
    /// kube-proxy in mode iptables with the kernel's own iptables
    IptablesLegacy,
    /// kube-proxy in mode nftables
    Nftables,
    /// kube-proxy in mode ipvs
    Ipvs,
    /// Fairlead, everything translated at the devices
    FairleadStack,
    /// Fairlead, every socket translated where it connects
    FairleadSocket,
    /// Fairlead as it comes
    Fairlead,
}

impl Peer {
    /// All, in the order of the report.
    pub const ALL: [Self; 9] = [
        Self::Direct,
        Self::Control,
        Self::IptablesNft,
        Self::IptablesLegacy,
        Self::Nftables,
        Self::Ipvs,
        Self::FairleadStack,
        Self::FairleadSocket,
        Self::Fairlead,
    ];

    /// Its name on the command line and in the results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Control => "control",
            Self::IptablesNft => "iptables-nft",
            Self::IptablesLegacy => "iptables-legacy",
            Self::Nftables => "nftables",
            Self::Ipvs => "ipvs",
            Self::FairleadStack => "fairlead-stack",
            Self::FairleadSocket => "fairlead-socket",
            Self::Fairlead => "fairlead",
        }
    }

    /// How kube-proxy is run, if it is kube-proxy.
    pub const fn kube_proxy(self) -> Option<Mode> {
        match self {
            Self::IptablesNft => Some(Mode::Iptables(Tools::Nft)),
            Self::IptablesLegacy => Some(Mode::Iptables(Tools::Legacy)),
            Self::Nftables => Some(Mode::Nftables),
            Self::Ipvs => Some(Mode::Ipvs),
            Self::Direct | Self::Control | Self::FairleadStack | Self::FairleadSocket | Self::Fairlead => None,
        }
    }

    /// Whether it is kube-proxy.
    pub const fn is_kube_proxy(self) -> bool {
        self.kube_proxy().is_some()
    }

    /// How Fairlead is run, if it is Fairlead.
    pub const fn fairlead(self) -> Option<SocketLb> {
        match self {
            Self::FairleadStack => Some(SocketLb::Off),
            Self::FairleadSocket => Some(SocketLb::All),
            Self::Fairlead => Some(SocketLb::Auto),
            Self::Direct | Self::Control | Self::IptablesNft | Self::IptablesLegacy | Self::Nftables | Self::Ipvs => {
                None
            }
        }
    }

    /// Whether it serves the node's own sockets, too: what is left to the devices has left the node when it is translated.
    pub fn serves_the_node(self) -> bool {
        self.has_services() && self.fairlead() != Some(SocketLb::Off)
    }

    /// Whether it translates service addresses; the others are dialled at the pods' own.
    pub const fn has_services(self) -> bool {
        self.is_kube_proxy() || self.fairlead().is_some()
    }

    /// Why this machine cannot have it, if it cannot.
    pub fn absent(self) -> Option<String> {
        self.kube_proxy().and_then(Mode::absent)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Peer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some(peer) = Self::ALL.into_iter().find(|peer| peer.name() == text) else {
            bail!(
                "{text}: no such peer; there are {}",
                Self::ALL.map(Self::name).join(", ")
            );
        };
        Ok(peer)
    }
}

#[cfg(test)]
mod tests {
    use proxy_agent::cli;

    use super::*;

    /// The rows in which a mode of the agent is measured. A new mode does not compile before it has one.
    fn rows(mode: cli::SocketLb) -> &'static [Peer] {
        match mode {
            cli::SocketLb::Auto => &[Peer::Fairlead],
            cli::SocketLb::All => &[Peer::FairleadSocket],
            cli::SocketLb::Off => &[Peer::FairleadStack],
            // Its pods' packets go as those of `off`, its host's sockets as those of `all`.
            cli::SocketLb::Host => &[Peer::FairleadStack, Peer::FairleadSocket],
        }
    }

    #[test]
    fn every_mode_of_the_agent_has_a_row() {
        for mode in cli::SocketLb::value_variants() {
            assert!(!rows(*mode).is_empty(), "{mode:?}");
            assert!(rows(*mode).iter().all(|peer| peer.fairlead().is_some()), "{mode:?}");
        }
    }

    #[test]
    fn a_peer_is_known_by_its_name_everywhere() {
        assert_eq!(Peer::value_variants(), Peer::ALL);
        for peer in Peer::ALL {
            assert_eq!(peer.name().parse::<Peer>().ok(), Some(peer));
            assert_eq!(serde_json::to_value(peer).ok(), Some(peer.name().into()));
            let on_command_line = peer.to_possible_value().map(|value| value.get_name().to_owned());
            assert_eq!(on_command_line.as_deref(), Some(peer.name()));
        }
    }

    #[test]
    fn an_unknown_peer_is_answered_with_the_known_ones() {
        let error = "iptabels".parse::<Peer>().map_err(|error| error.to_string());
        let known = "iptabels: no such peer; there are direct, control, iptables-nft, iptables-legacy, nftables, ipvs, \
            fairlead-stack, fairlead-socket, fairlead";
        assert_eq!(error, Err(known.to_owned()));
    }
}
