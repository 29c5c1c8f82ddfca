//! Rules of others on a node, to the effect that those of the usual tools have.

mod firewall;
mod host_port;
mod name_cache;
mod policy;

use anyhow::Result;

use crate::cluster::Place;
use crate::plan::Ip;
use crate::tool;

pub use firewall::{FIREWALL, MASQUERADE, MasqueradeWith, NO_INVALID, NOTHING_FORWARDED, Words};
pub use host_port::HostPort;
pub use name_cache::NameCache;
pub use policy::{Policy, Side};

/// The tool whose words rules are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// nft.
    Nftables,
    /// iptables and ip6tables.
    Iptables(Tables),
}

/// What becomes of the rules of iptables in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// Rules of nftables.
    Nft,
    /// Tables of their own.
    Legacy,
}

/// Rules that can be said in the words of each tool.
pub trait Rules {
    /// Both families, as `nft -f` reads them.
    fn nftables(&self) -> String;

    /// One family, as `iptables-restore` or `ip6tables-restore` reads it.
    fn iptables(&self, ip: Ip) -> String;
}

impl Engine {
    /// Adds rules to those that a place has.
    ///
    /// # Errors
    /// When the tool refuses them: then with what it said.
    pub fn load(self, place: &Place, rules: &impl Rules) -> Result<()> {
        match self {
            Self::Nftables => tool::output(place.command("nft")?.args(["-f", "-"]), &rules.nftables()).map(drop),
            Self::Iptables(tables) => Ip::BOTH
                .into_iter()
                .try_for_each(|ip| tables.restore(place, ip, &rules.iptables(ip))),
        }
    }
}

impl Tables {
    fn restore(self, place: &Place, ip: Ip, rules: &str) -> Result<()> {
        let program = match (ip, self) {
            (Ip::V4, Self::Nft) => "iptables-nft-restore",
            (Ip::V4, Self::Legacy) => "iptables-legacy-restore",
            (Ip::V6, Self::Nft) => "ip6tables-nft-restore",
            (Ip::V6, Self::Legacy) => "ip6tables-legacy-restore",
        };
        // The tables of all namespaces have one lock.
        tool::output(place.command(program)?.args(["--noflush", "--wait"]), rules).map(drop)
    }
}

/// How nft calls a family.
const fn family(ip: Ip) -> &'static str {
    match ip {
        Ip::V4 => "ip",
        Ip::V6 => "ip6",
    }
}
