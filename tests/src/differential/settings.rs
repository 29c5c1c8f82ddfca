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
}

/// A configuration under which both proxies are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Pods are known by the cluster's network.
    ClusterCidr,
    /// Everything is masqueraded.
    MasqueradeAll,
    /// Pods are known by the node's network.
    NodeCidr,
    /// Pods are known by the bridge.
    Bridge,
    /// Pods are known by the names of devices.
    DeviceName,
    /// Nobody is known as a pod.
    NoDetection,
    /// No address takes node ports.
    NodePortsNowhere,
    /// Every address takes node ports.
    NodePortsEverywhere,
}

impl Setting {
    /// All; the first is kube-proxy as it is mostly run.
    pub const ALL: [Self; 8] = [
        Self::ClusterCidr,
        Self::MasqueradeAll,
        Self::NodeCidr,
        Self::Bridge,
        Self::DeviceName,
        Self::NoDetection,
        Self::NodePortsNowhere,
        Self::NodePortsEverywhere,
    ];

    /// As a report names it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ClusterCidr => "detection by cluster CIDR",
            Self::MasqueradeAll => "masqueradeAll",
            Self::NodeCidr => "detection by node CIDR",
            Self::Bridge => "detection by bridge",
            Self::DeviceName => "detection by name of device",
            Self::NoDetection => "no detection",
            Self::NodePortsNowhere => "node ports at no address",
            Self::NodePortsEverywhere => "node ports at all addresses",
        }
    }

    /// The fields of the configuration.
    pub fn fields(self, against: Against) -> Map<String, Value> {
        let section = against.mode().name();
        let own = match self {
            Self::ClusterCidr => json!({}),
            Self::MasqueradeAll => json!({ section: { "masqueradeAll": true } }),
            Self::NodeCidr => json!({ "detectLocalMode": "NodeCIDR" }),
            Self::Bridge => {
                json!({ "detectLocalMode": "BridgeInterface", "detectLocal": { "bridgeInterface": "cni0" } })
            }
            Self::DeviceName => {
                json!({ "detectLocalMode": "InterfaceNamePrefix", "detectLocal": { "interfaceNamePrefix": "cni" } })
            }
            Self::NoDetection => json!({ "clusterCIDR": "" }),
            Self::NodePortsNowhere => json!({ "nodePortAddresses": ["192.0.2.0/24", "2001:db8:ffff::/48"] }),
            Self::NodePortsEverywhere => json!({ "nodePortAddresses": ["0.0.0.0/0", "::/0"] }),
        };
        let mut fields = Map::from_iter([
            ("mode".to_owned(), section.into()),
            ("clusterCIDR".to_owned(), "10.244.0.0/16,fd00:10:244::/48".into()),
        ]);
        fields.extend(own.as_object().cloned().unwrap_or_default());
        fields
    }
}
