//! `--node-facts`: devices and addresses of a node, from a file instead of the kernel.

use std::{collections::BTreeMap, fs, net::IpAddr, path::Path};

use ipnet::IpNet;
use serde::Deserialize;

use crate::{
    error::Error,
    host::{HostFacts, addresses::NodeAddress, links::Link},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    devices: Vec<Device>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    name: String,
    #[serde(default)]
    addresses: Vec<String>,
}

/// A node as a file or the kernel tells it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct NodeFacts {
    /// Devices and addresses.
    pub(super) host: HostFacts,
    /// The networks on devices, by interface index.
    pub(super) networks: Vec<(u32, IpNet)>,
}

const ETHERNET: u16 = 1;
const LOOPBACK: u16 = 772;
const SCOPE_HOST: u8 = 254;

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<NodeFacts, Error> {
    let text = fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    parse(&text).map_err(|reason| Error::file(path, reason))
}

fn parse(text: &str) -> Result<NodeFacts, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string().replace('\n', " "))?;
    let mut facts = NodeFacts::default();
    for (index, device) in (1..).zip(file.devices) {
        let layer = if device.name == "lo" { LOOPBACK } else { ETHERNET };
        for text in &device.addresses {
            let network: IpNet = text.parse().map_err(|_| {
                format!(
                    "devices: {}: {text:?} is no address with the length of its network",
                    device.name
                )
            })?;
            let scope = if network.addr().is_loopback() { SCOPE_HOST } else { 0 };
            facts.host.addresses.push(NodeAddress {
                index,
                address: network.addr(),
                scope,
                flags: 0,
            });
            facts.networks.push((index, network));
        }
        facts.host.links.insert(
            index,
            Link {
                index,
                name: device.name,
                layer,
                ..Link::default()
            },
        );
    }
    Ok(facts)
}

impl NodeFacts {
    /// The device from which a sender's packets come: the one in whose network it is, `None` for a sender from beyond all of
    /// them.
    pub(super) fn device_of(&self, source: IpAddr) -> Option<&Link> {
        let holding = self.networks.iter().filter(|(_, network)| network.contains(&source));
        let (index, _) = holding.max_by_key(|(_, network)| network.prefix_len())?;
        self.host.links.get(index)
    }

    /// Devices that lead out of the node: the packets of a sender from beyond come from the first.
    pub(super) fn links(&self) -> &BTreeMap<u32, Link> {
        &self.host.links
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "devices:\n  - {name: lo, addresses: [127.0.0.1/8, \"::1/128\"]}\n  \
                        - {name: eth0, addresses: [192.168.0.2/24, \"2001:db8::1/64\"]}\n  \
                        - {name: cni0, addresses: [10.244.0.1/24]}\n";

    #[test]
    fn senders_are_behind_the_device_of_their_network() {
        let facts = parse(FILE).expect("a file");
        let name = |source: &str| {
            facts
                .device_of(source.parse().expect("an address"))
                .map(|link| &link.name[..])
        };
        assert_eq!(name("10.244.0.7"), Some("cni0"));
        assert_eq!(name("2001:db8::99"), Some("eth0"));
        assert_eq!(name("203.0.113.1"), None);
    }

    #[test]
    fn an_address_without_a_length_is_named() {
        let error = parse("devices: [{name: eth0, addresses: [192.168.0.2]}]").expect_err("no length");
        assert!(error.contains("eth0") && error.contains("192.168.0.2"), "{error}");
    }

    #[test]
    fn the_nodes_own_addresses_are_taken_from_the_file() {
        let facts = parse(FILE).expect("a file");
        assert_eq!(facts.host.local_addresses().len(), 5);
    }
}
