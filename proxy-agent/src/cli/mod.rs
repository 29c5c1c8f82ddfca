//! What the user typed: commands and flags, and nothing that they mean. `settings` checks them.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub mod log;
pub mod output;
pub mod proxy_flags;
pub mod run;
pub mod table;
pub mod usage;
pub mod status;
pub mod get;
pub mod explain;
pub mod verify;
pub mod cleanup;
#[cfg(test)]
mod deployed;

use std::process::ExitCode;

use proxy_flags::ProxyFlags;

use crate::{apply::KernelPath, error::Error};

/// Where maps, programs and links are pinned unless `--state` says otherwise.
pub const DEFAULT_STATE: &str = "/sys/fs/bpf/fairlead";

/// A service router for Kubernetes nodes.
#[derive(Debug, Parser)]
#[command(name = "fairlead", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What is logged, as `level` or `target=level,...`; `RUST_LOG` where it is not given.
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// How log lines look.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// Does what was asked for.
///
/// # Errors
/// Whatever keeps it from being done, on one line.
pub fn execute(cli: &Cli) -> Result<ExitCode, Error> {
    log::start(cli)?;
    match &cli.command {
        Command::Run(args) => run::run(args, |settings, health, news| {
            let tell = move |facts| news.blocking_send(facts).is_ok();
            let path = KernelPath::open(&settings.data_path, tell).map_err(Error::Host)?;
            health.metrics.add(Box::new(path.metrics()));
            Ok(path)
        }),
        Command::Status(args) => status::status(args),
        Command::Get(args) => get::get(args),
        Command::Explain(args) => explain::explain(args),
        Command::Verify(args) => verify::verify(args),
        Command::Cleanup(args) => cleanup::cleanup(args),
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Route this node's service traffic, and follow the API server or a folder of manifests.
    Run(Box<RunArgs>),
    /// What is attached, programmed and healthy.
    Status(StatusArgs),
    /// What the maps hold.
    Get(GetArgs),
    /// What happens to a packet from SRC to DST, and why.
    Explain(Box<ExplainArgs>),
    /// Compare what the maps hold with the API objects; exit with 1 and the differences if there are any.
    Verify(Box<VerifyArgs>),
    /// Detach and remove everything that `run` left on this node.
    Cleanup(CleanupArgs),
}

/// `fairlead run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where the API objects come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How the node behaves.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Where state is pinned.
    #[command(flatten)]
    pub state: StateArgs,
    /// Which sockets are translated where they connect instead of at their device.
    #[arg(long, value_enum, default_value_t = SocketLb::Auto, value_name = "WHO")]
    pub socket_lb: SocketLb,
    /// The cgroup v2 folder below which sockets are translated; without it the root of the cgroup v2 mount.
    #[arg(long, value_name = "DIR")]
    pub cgroup: Option<PathBuf>,
    /// How large the maps are.
    #[command(flatten)]
    pub capacities: CapacityArgs,
    /// Log what became of each packet on a device, under its reason: for a short look, for every packet costs a line.
    #[arg(long)]
    pub log_packets: bool,
    /// Use memory again while programs may still be reading it. For the test that shows what waiting is for.
    #[arg(long, hide = true)]
    pub unsafe_no_grace: bool,
}

/// Where API objects come from.
#[derive(Clone, Debug, Args)]
#[group(required = false, multiple = false)]
pub struct SourceArgs {
    /// Follow the API server that this file names; without it and without --manifests, the one of the cluster that this
    /// runs in.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Follow the manifests in this folder instead of an API server.
    #[arg(long, value_name = "DIR")]
    pub manifests: Option<PathBuf>,
}

/// How the node behaves: the configuration file, and what overrides it.
#[derive(Clone, Debug, Default, Args)]
pub struct NodeArgs {
    /// A KubeProxyConfiguration.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The name of this node's Node object; without it, the host's name.
    #[arg(long, visible_alias = "hostname-override", value_name = "NAME")]
    pub node_name: Option<String>,
    /// kube-proxy's own flags.
    #[command(flatten)]
    pub flags: ProxyFlags,
}

/// Where state is pinned.
#[derive(Clone, Debug, Args)]
pub struct StateArgs {
    /// The folder of a BPF file system in which maps, programs and links are pinned.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
    pub state: PathBuf,
}

/// How large the maps are; without a value, as the list of maps says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
pub struct CapacityArgs {
    /// Addresses and ports that lead to services, each family.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(16..=16_777_216), help_heading = "Map sizes")]
    pub max_frontends: Option<u32>,
    /// Service ports.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(16..=16_777_216), help_heading = "Map sizes")]
    pub max_services: Option<u32>,
    /// Endpoints of all service ports.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(16..=16_777_216), help_heading = "Map sizes")]
    pub max_endpoints: Option<u32>,
    /// Flows, each family.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(64..=16_777_216), help_heading = "Map sizes")]
    pub max_flows: Option<u32>,
}

/// Which sockets are translated where they connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SocketLb {
    /// Those of the host's network namespace.
    Host,
    /// The host's, and a pod's until its device carries the programs.
    Auto,
    /// Every one below the cgroup.
    All,
    /// None.
    Off,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `fairlead status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Where state is pinned.
    #[command(flatten)]
    pub state: StateArgs,
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t = output::Brief::Table)]
    pub output: output::Brief,
    /// Where the agent answers `/readyz`, as `run --healthz-bind-address`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub healthz: Option<SocketAddr>,
}

/// `fairlead get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// What to list.
    #[arg(value_enum)]
    pub what: Listing,
    /// Where state is pinned.
    #[command(flatten)]
    pub state: StateArgs,
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t = output::Full::Table)]
    pub output: output::Full,
    /// Only what belongs to services of this namespace.
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Only what belongs to this service: `name`, `namespace/name` or `namespace/name:port`.
    #[arg(short, long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// Only what has this address on either end.
    #[arg(short, long, value_name = "ADDRESS")]
    pub address: Option<IpAddr>,
    /// Only this protocol.
    #[arg(short, long, value_enum, value_name = "PROTOCOL")]
    pub protocol: Option<ProtocolArg>,
}

/// What `get` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// Service ports and the addresses that lead to them.
    Services,
    /// Endpoints and their state.
    Endpoints,
    /// Translated flows.
    Flows,
    /// Clients bound to an endpoint.
    Affinity,
    /// Devices that carry the programs.
    Devices,
}

/// `fairlead explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The sender: `address`, `address:port` or `[v6 address]:port`.
    #[arg(value_name = "SRC[:PORT]")]
    pub source: String,
    /// The receiver: `address:port` or `[v6 address]:port`.
    #[arg(value_name = "DST:PORT")]
    pub destination: String,
    /// The protocol.
    #[arg(short, long, value_enum, default_value_t = ProtocolArg::Tcp)]
    pub protocol: ProtocolArg,
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t = output::Text::Text)]
    pub output: output::Text,
    /// Answer from these manifests, without touching what runs on this node.
    #[arg(long, value_name = "DIR")]
    pub manifests: Option<PathBuf>,
    /// Devices and addresses of the node, instead of this machine's own.
    #[arg(long, value_name = "FILE", requires = "manifests")]
    pub node_facts: Option<PathBuf>,
    /// How the node behaves; only with `--manifests`.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Where state is pinned.
    #[command(flatten)]
    pub state: StateArgs,
}

/// `fairlead verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// What the maps are compared with.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How the node behaves.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Where state is pinned.
    #[command(flatten)]
    pub state: StateArgs,
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t = output::Brief::Table)]
    pub output: output::Brief,
}

/// `fairlead cleanup`.
#[derive(Debug, Args)]
pub struct CleanupArgs {
    /// Where state is pinned.
    #[command(flatten)]
    pub state: StateArgs,
    /// Remove kube-proxy's rules and tables too.
    #[arg(long)]
    pub kube_proxy: bool,
}

/// A protocol as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProtocolArg {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}
