//! The node's facts as far as configuration and the Node object give them; the host's own addresses and devices are
//! the other half, and `apply` joins the two.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proxy_common::family::FamilyKind;

use crate::{
    address::family,
    model::NodeFacts,
    settings::{DetectSettings, NodePortSettings, NodeSettings},
};

/// What the data path must know of the node, before the host's devices and addresses are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredNode {
    /// Whose behaviour is asked for where the modes of kube-proxy differ.
    pub mode: ProxyMode,
    /// Which addresses take node ports, IPv4.
    pub node_ports_v4: NodePorts,
    /// The same for IPv6.
    pub node_ports_v6: NodePorts,
    /// How a pod of this node, or of the cluster, is told from other senders.
    pub detector: PodDetector,
    /// Masquerade everything that goes to a ClusterIP.
    pub masquerade_all: bool,
    /// The networks that ClusterIPs are taken from, as far as they are known; sorted.
    pub service_networks: Vec<IpNet>,
}

impl DesiredNode {
    /// The node port rule of one family.
    #[must_use]
    pub const fn node_ports(&self, family: FamilyKind) -> &NodePorts {
        match family {
            FamilyKind::V4 => &self.node_ports_v4,
            FamilyKind::V6 => &self.node_ports_v6,
        }
    }

    /// The networks in which an address that no service has is not passed on (B-85). One of a single address is left out:
    /// the address itself says whether a service has it.
    pub fn refused_networks(&self) -> impl Iterator<Item = IpNet> + '_ {
        let networks = match self.mode {
            ProxyMode::Nftables => &self.service_networks[..],
            ProxyMode::Iptables | ProxyMode::Ipvs => &[],
        };
        let is_wide = |network: &IpNet| network.prefix_len() < network.max_prefix_len();
        networks.iter().copied().filter(is_wide)
    }
}

/// A mode of kube-proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyMode {
    /// nftables: the default. What is sent to an address of services and no service answers is refused or dropped.
    #[default]
    Nftables,
    /// iptables: node ports on every local address by default, loopback included.
    Iptables,
    /// ipvs: node ports on every local address but loopback by default; a policy `Local` means the whole cluster where
    /// the node has no endpoint, and pods and the node itself are no exception from it.
    Ipvs,
}

impl ProxyMode {
    /// Whether a port that a service does not have is refused at its address (B-53).
    #[must_use]
    pub const fn refuses_unknown_ports(self) -> bool {
        match self {
            ProxyMode::Nftables | ProxyMode::Ipvs => true,
            ProxyMode::Iptables => false,
        }
    }
}

/// Which addresses of this node take node ports, for one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodePorts {
    /// Among the addresses other than loopback.
    pub addresses: AddressRule,
    /// Whether sockets of the host reach them at a loopback address too.
    pub loopback: bool,
}

impl NodePorts {
    /// Whether an address of this node takes node ports on packets. Loopback addresses never do: see `loopback`.
    #[must_use]
    pub fn accepts(&self, address: IpAddr) -> bool {
        if address.is_loopback() || address.is_unspecified() {
            return false;
        }
        match &self.addresses {
            AddressRule::All => true,
            AddressRule::Within(networks) => networks.iter().any(|network| network.contains(&address)),
            AddressRule::Only(addresses) => addresses.contains(&address),
        }
    }
}

/// A choice among the node's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressRule {
    /// Every one.
    All,
    /// Those inside one of these networks.
    Within(Vec<IpNet>),
    /// These: the Node object's primary addresses.
    Only(BTreeSet<IpAddr>),
}

impl Default for AddressRule {
    fn default() -> Self {
        AddressRule::Only(BTreeSet::new())
    }
}

/// How a pod is recognised as the sender of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodDetector {
    /// Its address lies in a network; a family without a network has no detector.
    Network {
        /// The IPv4 network.
        v4: Option<Ipv4Net>,
        /// The IPv6 network.
        v6: Option<Ipv6Net>,
    },
    /// It is behind the bridge of this name.
    Bridge(String),
    /// It is behind a device whose name begins so.
    InterfacePrefix(String),
}

/// The node's facts out of what is configured and what its object says.
pub(super) fn desired(settings: &NodeSettings, facts: &NodeFacts, service_networks: Vec<IpNet>) -> DesiredNode {
    let primary = primary_addresses(settings, facts);
    DesiredNode {
        mode: settings.mode,
        node_ports_v4: node_ports(settings.mode, &settings.node_ports, &primary, FamilyKind::V4),
        node_ports_v6: node_ports(settings.mode, &settings.node_ports, &primary, FamilyKind::V6),
        detector: detector(&settings.detect, facts),
        masquerade_all: settings.masquerade_all,
        service_networks,
    }
}

/// The configured address before the object's of the same family (B-132).
pub(super) fn primary_addresses(settings: &NodeSettings, facts: &NodeFacts) -> BTreeSet<IpAddr> {
    let configured = settings.bind_address;
    let others = facts.addresses.iter().copied();
    let others = others.filter(|address| configured.is_none_or(|configured| family(configured) != family(*address)));
    configured.into_iter().chain(others).collect()
}

/// B-59 to B-64. A family that the list names no network of takes every address, as in kube-proxy.
fn node_ports(
    mode: ProxyMode,
    settings: &NodePortSettings,
    primary: &BTreeSet<IpAddr>,
    wanted: FamilyKind,
) -> NodePorts {
    let networks: Vec<IpNet> = settings
        .networks
        .iter()
        .copied()
        .filter(|net| family(net.addr()) == wanted)
        .collect();
    let only_primary = settings.primary || (settings.is_default() && mode == ProxyMode::Nftables);
    let only_loopback = settings.localhost && settings.networks.is_empty() && !settings.primary && !settings.all;
    let primary = || primary.iter().copied().filter(|address| family(*address) == wanted);
    let every = networks.iter().any(|network| network.prefix_len() == 0);
    let addresses = if settings.all || every {
        AddressRule::All
    } else if only_loopback {
        AddressRule::Only(BTreeSet::new())
    } else if only_primary && networks.is_empty() {
        AddressRule::Only(primary().collect())
    } else if networks.is_empty() {
        AddressRule::All
    } else {
        let added = primary().filter(|_| settings.primary).map(IpNet::from);
        AddressRule::Within(networks.iter().copied().chain(added).collect())
    };
    let loopback = match mode {
        ProxyMode::Nftables => settings.all || settings.localhost || networks.iter().any(is_loopback),
        ProxyMode::Iptables => {
            wanted == FamilyKind::V4
                && settings.iptables_localhost
                && (settings.localhost || addresses == AddressRule::All || networks.iter().any(is_loopback))
        }
        ProxyMode::Ipvs => false,
    };
    NodePorts { addresses, loopback }
}

/// Whether a network names loopback addresses and no others.
fn is_loopback(network: &IpNet) -> bool {
    network.network().is_loopback() && network.broadcast().is_loopback()
}

fn detector(settings: &DetectSettings, facts: &NodeFacts) -> PodDetector {
    match settings {
        DetectSettings::ClusterCidr { v4, v6 } => PodDetector::Network { v4: *v4, v6: *v6 },
        DetectSettings::NodeCidr => PodDetector::Network {
            v4: facts.pod_networks.iter().find_map(|network| match network {
                IpNet::V4(network) => Some(*network),
                IpNet::V6(_) => None,
            }),
            v6: facts.pod_networks.iter().find_map(|network| match network {
                IpNet::V6(network) => Some(*network),
                IpNet::V4(_) => None,
            }),
        },
        DetectSettings::Bridge(name) => PodDetector::Bridge(name.clone()),
        DetectSettings::InterfacePrefix(prefix) => PodDetector::InterfacePrefix(prefix.clone()),
    }
}
