//! The configurations under which both proxies are run, in the words of a `KubeProxyConfiguration`.

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::bench::kube_proxy::{Mode, Tools};

/// Which kube-proxy Fairlead is to agree with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Against {
    /// Mode nftables
    Nftables,
    /// Mode iptables, with the tools that write rules of nftables
    Iptables,
}

impl Against {
    /// How kube-proxy is run.
    pub const fn mode(self) -> Mode {
        match self {
            Self::Nftables => Mode::Nftables,
            Self::Iptables => Mode::Iptables(Tools::Nft),
        }
    }

    /// What may be configured, each with its name; the first is kube-proxy as it is mostly run.
    pub fn settings(self) -> Vec<(&'static str, Map<String, Value>)> {
        let section = self.mode().name();
        let all = [
            ("detection by cluster CIDR", json!({})),
            ("masqueradeAll", json!({ section: { "masqueradeAll": true } })),
            ("detection by node CIDR", json!({ "detectLocalMode": "NodeCIDR" })),
            (
                "detection by bridge",
                json!({ "detectLocalMode": "BridgeInterface", "detectLocal": { "bridgeInterface": "cni0" } }),
            ),
            (
                "detection by name of device",
                json!({ "detectLocalMode": "InterfaceNamePrefix", "detectLocal": { "interfaceNamePrefix": "cni" } }),
            ),
            ("no detection", json!({ "clusterCIDR": "" })),
            (
                "node ports at no address",
                json!({ "nodePortAddresses": ["192.0.2.0/24", "2001:db8:ffff::/48"] }),
            ),
            (
                "node ports at all addresses",
                json!({ "nodePortAddresses": ["0.0.0.0/0", "::/0"] }),
            ),
        ];
        all.into_iter()
            .map(|(name, fields)| {
                let mut map = Map::from_iter([
                    ("mode".to_owned(), section.into()),
                    ("clusterCIDR".to_owned(), "10.244.0.0/16,fd00:10:244::/48".into()),
                ]);
                map.extend(fields.as_object().cloned().unwrap_or_default());
                (name, map)
            })
            .collect()
    }
}
