//! Checked settings: flags over the configuration file over defaults. Nothing else reads flags or the environment.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use crate::{
    cli::{CapacityArgs, NodeArgs, RunArgs, SocketLb, SourceArgs, StateArgs, proxy_flags::ProxyFlags},
    desired::ProxyMode,
    error::Error,
};

pub use detect::DetectSettings;
pub use node_ports::NodePortSettings;

use detect::Given;

mod detect;
mod fields;
mod rules;
mod file;
mod node_ports;
mod values;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wrong;

/// Where `/healthz` is answered unless configured (B-129).
const HEALTHZ: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 10256);
/// Where `/metrics` is answered unless configured (B-130).
const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10249);

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
    /// Ports, host byte order, on which the agent itself will listen: none of them is a masquerade port.
    pub own_ports: Vec<u16>,
    /// Whether memory is used again without waiting for the programs that may be reading it: for a test.
    pub unsafe_no_grace: bool,
    /// Whether every packet on a device is told of in the log.
    pub log_packets: bool,
}

/// How the node behaves, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// The name of this node's Node object.
    pub name: String,
    /// The mode whose behaviour is asked for.
    pub mode: ProxyMode,
    /// This node's address where it is not what the Node object says (B-132).
    pub bind_address: Option<IpAddr>,
    /// How pods are recognised.
    pub detect: DetectSettings,
    /// Which addresses take node ports.
    pub node_ports: NodePortSettings,
    /// Masquerade everything that goes to a ClusterIP.
    pub masquerade_all: bool,
}

/// Settings, and what should be said about the fields and flags that mean nothing here, a line each.
pub type Warned<T> = (T, Vec<String>);

impl Settings {
    /// The settings of `run`.
    ///
    /// # Errors
    ///
    /// The first flag or field with a value that cannot be used, or the file that cannot be read.
    pub fn of_run(args: &RunArgs) -> Result<Warned<Self>, Error> {
        let (configuration, mut warnings) = file::read(args.node.config.as_deref())?;
        let flags = &args.node.flags;
        refuse_commands(flags)?;
        warnings.extend(ignored_flags(flags));
        let healthz = endpoint(
            flags.healthz_bind_address.as_deref(),
            configuration.healthz,
            HEALTHZ,
            "healthz",
        )?;
        let metrics = endpoint(
            flags.metrics_bind_address.as_deref(),
            configuration.metrics,
            METRICS,
            "metrics",
        )?;
        let own_ports = healthz.iter().chain(&metrics).map(SocketAddr::port).collect();
        let settings = Settings {
            source: source(&args.source, &configuration),
            healthz,
            metrics,
            data_path: data_path(args, own_ports),
            node: node(&args.node, configuration, &mut warnings)?,
        };
        settings.check_places()?;
        Ok((settings, warnings))
    }

    /// Two things cannot be answered in one place; port 0 is any that is free.
    fn check_places(&self) -> Result<(), Error> {
        let (Some(healthz), Some(metrics)) = (self.healthz, self.metrics) else {
            return Ok(());
        };
        let same = healthz.ip() == metrics.ip() || healthz.ip().is_unspecified() || metrics.ip().is_unspecified();
        if same && healthz.port() == metrics.port() && healthz.port() != 0 {
            let reason = format!("/healthz is answered at {healthz}, healthzBindAddress");
            return Err(Error::setting("metricsBindAddress", metrics.to_string(), reason));
        }
        Ok(())
    }
}

impl NodeSettings {
    /// The settings of a command that needs to know how the node behaves.
    ///
    /// # Errors
    ///
    /// As [`Settings::of_run`].
    pub fn of(args: &NodeArgs) -> Result<Warned<Self>, Error> {
        let (configuration, mut warnings) = file::read(args.config.as_deref())?;
        warnings.extend(ignored_flags(&args.flags));
        let settings = node(args, configuration, &mut warnings)?;
        Ok((settings, warnings))
    }
}

impl Source {
    /// Where API objects come from for a command that only reads them.
    ///
    /// # Errors
    ///
    /// As [`Settings::of_run`].
    pub fn of(source_args: &SourceArgs, node: &NodeArgs) -> Result<Self, Error> {
        let (configuration, _) = file::read(node.config.as_deref())?;
        Ok(source(source_args, &configuration))
    }
}

fn source(args: &SourceArgs, configuration: &file::Configuration) -> Source {
    match (&args.manifests, &args.kubeconfig, &configuration.kubeconfig) {
        (Some(folder), _, _) => Source::Manifests(folder.clone()),
        (None, Some(file), _) => Source::Kubeconfig(file.clone()),
        (None, None, Some(file)) => Source::Kubeconfig(file.into()),
        (None, None, None) => Source::InCluster,
    }
}

fn data_path(args: &RunArgs, own_ports: Vec<u16>) -> DataPathSettings {
    let StateArgs { state } = &args.state;
    DataPathSettings {
        state: state.clone(),
        socket_lb: args.socket_lb,
        cgroup: args.cgroup.clone(),
        capacities: args.capacities,
        own_ports,
        unsafe_no_grace: args.unsafe_no_grace,
        log_packets: args.log_packets,
    }
}

fn node(
    args: &NodeArgs,
    configuration: file::Configuration,
    warnings: &mut Vec<String>,
) -> Result<NodeSettings, Error> {
    let flags = &args.flags;
    let mode = match &flags.proxy_mode {
        Some(mode) => values::mode("--proxy-mode", mode, warnings)?,
        None => configuration.mode,
    };
    let masquerade_file = match mode {
        ProxyMode::Nftables => configuration.nftables_masquerade_all,
        // Mode ipvs is configured in the section of iptables, too.
        ProxyMode::Iptables | ProxyMode::Ipvs => configuration.iptables_masquerade_all,
    };
    let bind_address = match &flags.bind_address {
        Some(address) => Some(values::address("--bind-address", address)?),
        None => configuration.bind_address,
    };
    let addresses = match &flags.nodeport_addresses {
        Some(list) => ("--nodeport-addresses".to_owned(), list.clone()),
        None => configuration.node_port_addresses,
    };
    Ok(NodeSettings {
        name: node_name(args.node_name.as_deref(), &configuration.hostname_override)?,
        mode,
        bind_address: bind_address.filter(|address| !address.is_unspecified()),
        detect: detect::choose(flags, configuration.detect, warnings)?,
        node_ports: NodePortSettings::parse(
            &addresses.0,
            &addresses.1,
            flags
                .iptables_localhost_nodeports
                .or(configuration.localhost_node_ports),
        )?,
        masquerade_all: flags
            .masquerade_all
            .unwrap_or(configuration.masquerade_all || masquerade_file),
    })
}

/// The name of this node: the flag's, else the file's, else the host's, in small letters (B-131).
fn node_name(flag: Option<&str>, file: &Given) -> Result<String, Error> {
    let configured = (!file.value.is_empty()).then(|| name_of_node(&file.field, &file.value));
    let configured = configured.transpose()?;
    match (flag, configured) {
        (Some(name), _) => name_of_node("--node-name", name),
        (None, Some(name)) => Ok(name),
        (None, None) => host_name(),
    }
}

fn host_name() -> Result<String, Error> {
    const HOST_NAME: &str = "/proc/sys/kernel/hostname";
    let name = fs::read_to_string(HOST_NAME).map_err(|error| Error::file(HOST_NAME, error))?;
    let name = name.trim().to_lowercase();
    if name.is_empty() {
        return Err(Error::setting(
            "--node-name",
            name,
            "the host has no name that would do",
        ));
    }
    Ok(name)
}

fn name_of_node(field: &str, given: &str) -> Result<String, Error> {
    let name = given.trim().to_lowercase();
    if is_name(&name) {
        return Ok(name);
    }
    let reason = "no Node can have this name: up to 253 letters, digits, '-' and '.'";
    Err(Error::setting(field, given, reason))
}

/// Whether a Node may have a name (a DNS subdomain, RFC 1123).
fn is_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Where something is answered: an empty flag means nowhere.
fn endpoint(
    flag: Option<&str>,
    configured: Option<SocketAddr>,
    default: SocketAddr,
    what: &str,
) -> Result<Option<SocketAddr>, Error> {
    match flag {
        Some("") => Ok(None),
        Some(text) => values::socket_address(&format!("--{what}-bind-address"), text, default.port()).map(Some),
        None => Ok(Some(configured.unwrap_or(default))),
    }
}

/// Flags of kube-proxy that make it do something else than run.
const COMMANDS: [(&str, &str); 3] = [
    ("cleanup", "that is a command here: fairlead cleanup --kube-proxy"),
    ("init-only", "there is nothing to prepare: leave it out"),
    ("write-config-to", "there are no defaults to write: leave it out"),
];

fn refuse_commands(flags: &ProxyFlags) -> Result<(), Error> {
    match COMMANDS
        .iter()
        .find(|(name, _)| flags.without_meaning.given().any(|given| given == *name))
    {
        Some((name, reason)) => Err(Error::setting(format!("--{name}"), "", *reason)),
        None => Ok(()),
    }
}

fn ignored_flags(flags: &ProxyFlags) -> impl Iterator<Item = String> + '_ {
    flags
        .without_meaning
        .given()
        .map(|flag| format!("--{flag} has no meaning here and is ignored"))
}
