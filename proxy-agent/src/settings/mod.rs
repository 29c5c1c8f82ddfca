//! Checked settings: flags over the configuration file over defaults. Nothing else reads flags or the environment.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{
    cli::{CapacityArgs, SocketLb},
    desired::ProxyMode,
};

/// What `fairlead run` was asked to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the API objects come from.
    pub source: Source,
    /// How the node behaves.
    pub node: NodeSettings,
    /// How the data path is set up.
    pub data_path: DataPathSettings,
    /// Where `/healthz`, `/livez` and `/readyz` are answered.
    pub healthz: Option<SocketAddr>,
    /// Where `/metrics` and `/proxyMode` are answered.
    pub metrics: Option<SocketAddr>,
}

/// Where API objects come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The API server that this file names.
    Kubeconfig(PathBuf),
    /// The API server of the cluster that this runs in.
    InCluster,
    /// The manifests in this folder.
    Manifests(PathBuf),
}

/// How the data path is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPathSettings {
    /// The folder of a BPF file system in which everything is pinned.
    pub state: PathBuf,
    /// Which sockets are translated where they connect.
    pub socket_lb: SocketLb,
    /// The cgroup v2 folder for that; `None`: the root of the cgroup v2 mount.
    pub cgroup: Option<PathBuf>,
    /// How large the maps are.
    pub capacities: CapacityArgs,
}

/// How the node behaves, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// The name of this node's Node object.
    pub name: String,
    /// The mode whose behaviour is asked for.
    pub mode: ProxyMode,
    /// This node's address where the Node object gives none of its family.
    pub bind_address: Option<IpAddr>,
    /// How pods are recognised.
    pub detect: DetectSettings,
    /// Which addresses take node ports.
    pub node_ports: NodePortSettings,
    /// Masquerade everything that goes to a ClusterIP.
    pub masquerade_all: bool,
}

/// How pods are recognised as senders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DetectSettings {
    /// By the cluster's pod networks. A family without one has no detector.
    ClusterCidr {
        /// The IPv4 network.
        v4: Option<Ipv4Net>,
        /// The IPv6 network.
        v6: Option<Ipv6Net>,
    },
    /// By the pod networks of the Node object.
    NodeCidr,
    /// By the bridge they are behind.
    Bridge(String),
    /// By the beginning of their devices' names.
    InterfacePrefix(String),
}

/// `nodePortAddresses`, sorted into its words and networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
