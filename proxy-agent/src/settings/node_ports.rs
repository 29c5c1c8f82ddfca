//! `nodePortAddresses`: B-60 to B-64.

use ipnet::IpNet;

use crate::error::Error;

use super::values;

/// `nodePortAddresses`, sorted into its words and networks. All empty: not configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePortSettings {
    /// The word `primary`.
    pub primary: bool,
    /// The word `all`.
    pub all: bool,
    /// The word `localhost`.
    pub localhost: bool,
    /// The networks.
    pub networks: Vec<IpNet>,
    /// `iptables.localhostNodePorts`: of use in mode iptables only.
    pub iptables_localhost: bool,
}

impl Default for NodePortSettings {
    fn default() -> Self {
        NodePortSettings {
            primary: false,
            all: false,
            localhost: false,
            networks: Vec::new(),
            iptables_localhost: true,
        }
    }
}

impl NodePortSettings {
    /// Sorts the list's entries. `field` names it in an error.
    pub(super) fn parse(field: &str, list: &[String], iptables_localhost: Option<bool>) -> Result<Self, Error> {
        let mut settings = NodePortSettings {
            iptables_localhost: iptables_localhost.unwrap_or(true),
            ..NodePortSettings::default()
        };
        for entry in list.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty()) {
            match entry {
                "primary" => settings.primary = true,
                "all" => settings.all = true,
                "localhost" => settings.localhost = true,
                _ => settings.networks.push(network(field, entry)?),
            }
        }
        Ok(settings)
    }

    /// Whether nothing is configured.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        !self.primary && !self.all && !self.localhost && self.networks.is_empty()
    }
}

fn network(field: &str, entry: &str) -> Result<IpNet, Error> {
    values::network(field, entry)
        .map_err(|_| Error::setting(field, entry, "neither a network nor one of primary, localhost, all"))
}
