//! kube-proxy in a node, one process as in a cluster.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::apiserver;
use crate::cluster::{Node, Place};
use crate::http::get;
use crate::process::{Process, tail};
use crate::{tool, wait};

/// How long it may take to write the rules of all Services for the first time: with the nftables back end of iptables
/// and 10,000 Services three minutes are usual.
pub const SYNCED: Duration = Duration::from_secs(1_200);

/// How often it is asked whether it has; it must not be kept from its work.
const PAUSE: Duration = Duration::from_millis(100);

const HEALTH: &str = "127.0.0.1:10256";
const METRICS: &str = "127.0.0.1:10249";
/// When the rules of a family were written last, in seconds; 0 until the first time.
const WRITTEN: &str = "kubeproxy_sync_proxy_rules_last_timestamp_seconds";
/// When that was asked for last.
const ASKED: &str = "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds";

/// How kube-proxy is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `iptables`, with one of the two sets of tools.
    Iptables(Tools),
    /// `nftables`.
    Nftables,
    /// `ipvs`.
    Ipvs,
}

/// The tools that are called `iptables`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tools {
    /// Those that write rules of nftables.
    Nft,
    /// Those that write rules of the kernel's own iptables.
    Legacy,
}

/// kube-proxy of one node. Dropping it kills the process and leaves its rules.
#[derive(Debug)]
pub struct KubeProxy {
    place: Arc<Place>,
    mode: Mode,
    config: PathBuf,
    tools: PathBuf,
    process: Option<Process>,
}

impl Tools {
    /// As Debian calls them.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Legacy => "legacy",
        }
    }
}

impl Mode {
    /// As kube-proxy's configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iptables(_) => "iptables",
            Self::Nftables => "nftables",
            Self::Ipvs => "ipvs",
        }
    }

    /// Whether packets meet its Services one after the other.
    pub const fn has_list(self) -> bool {
        matches!(self, Self::Iptables(_))
    }

    /// The programs that it starts: what it calls them, and what they are called here.
    fn programs(self) -> Vec<(String, String)> {
        let same = |name: &str| (name.to_owned(), name.to_owned());
        let iptables = |tools: Tools| {
            ["iptables", "ip6tables"].into_iter().flat_map(move |family| {
                ["", "-save", "-restore"]
                    .map(|end| (format!("{family}{end}"), format!("{family}-{}{end}", tools.name())))
            })
        };
        match self {
            Self::Iptables(tools) => iptables(tools).collect(),
            // With iptables in its reach it would remove rules of another mode, and create the tables to look into.
            Self::Nftables => vec![same("nft")],
            Self::Ipvs => iptables(Tools::Nft).chain([same("ipset"), same("modprobe")]).collect(),
        }
    }

    /// Why this machine cannot run it, if it cannot.
    pub fn absent(self) -> Option<String> {
        if self == Self::Ipvs && !kernel_has_ipvs() {
            return Some("kernel has no IPVS".to_owned());
        }
        let missing = self.programs().into_iter().find(|(_, program)| find(program).is_err());
        missing.map(|(_, program)| format!("{program} is not installed"))
    }
}

fn kernel_has_ipvs() -> bool {
    let is_there = || Path::new("/proc/net/ip_vs").exists();
    // What it says does not matter: a kernel may have it built in.
    is_there() || (tool::run("modprobe", &["ip_vs"]).is_ok() && is_there())
}

fn find(program: &str) -> Result<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let mut places = folders.iter().map(|folder| Path::new(folder).join(program));
    let found = places.find(|path| path.exists());
    found.with_context(|| format!("{program}: not installed"))
}

impl KubeProxy {
    /// kube-proxy of a node, not started.
    ///
    /// # Errors
    /// When its files cannot be written, or a program that it needs is missing.
    pub fn of(node: &Node, mode: Mode, kubeconfig: &Path) -> Result<Self> {
        let place = node.shared();
        let config = place.folder().join(format!("{}-kube-proxy.json", place.label()));
        fs::write(&config, configuration(&place, mode, kubeconfig)).with_context(|| format!("{}", config.display()))?;
        let tools = place.folder().join(format!("{}-kube-proxy-tools", place.label()));
        if !tools.exists() {
            fs::create_dir(&tools).with_context(|| format!("{}", tools.display()))?;
            for (name, program) in mode.programs() {
                symlink(find(&program)?, tools.join(name))?;
            }
        }
        Ok(Self {
            place,
            mode,
            config,
            tools,
            process: None,
        })
    }

    /// Gives its configuration more fields, or other values; for the next [`KubeProxy::begin`].
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, fields: &Map<String, Value>) -> Result<()> {
        let mut all: Map<String, Value> = serde_json::from_str(&fs::read_to_string(&self.config)?)?;
        all.extend(fields.clone());
        fs::write(&self.config, serde_json::to_string(&all)?).with_context(|| format!("{}", self.config.display()))
    }

    /// Starts it and waits for nothing.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn begin(&mut self) -> Result<()> {
        let mut command = Command::new(apiserver::binary("kube-proxy")?);
        command
            .arg("--config")
            .arg(&self.config)
            .env("PATH", &self.tools)
            // The lock of iptables is the machine's by default; rules are a namespace's.
            .env("XTABLES_LOCKFILE", self.tools.join("lock"));
        self.process = Some(self.place.start("kube-proxy", &mut command)?);
        Ok(())
    }

    /// Waits until it has written the rules of both families once and calls itself healthy.
    ///
    /// # Errors
    /// When it ends or does not in time: then with the end of its log.
    pub fn synced(&mut self) -> Result<()> {
        let place = &self.place;
        let process = self.process.as_mut().context("kube-proxy does not run")?;
        let synced = wait::until("kube-proxy has written its rules", SYNCED, || {
            if let Some(status) = process.ended() {
                // No further waiting: the outer result ends it.
                return Ok(Some(Err(anyhow::anyhow!("kube-proxy ended with {status}"))));
            }
            wait::pace(Instant::now() + PAUSE);
            place.netns().run(is_synced)??;
            Ok(Some(Ok(())))
        });
        synced
            .and_then(|ended| ended)
            .with_context(|| format!("the end of its log: {}", tail(&process.log(), 20)))
    }

    /// How it is run.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Waits until it has written all that it was told to.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn at_rest(&self) -> Result<()> {
        wait::until("kube-proxy is at rest", SYNCED, || {
            wait::pace(Instant::now() + PAUSE);
            self.place.netns().run(is_at_rest)?.map(Some)
        })
    }

    /// The mode that it says it is in.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn says_mode(&self) -> Result<String> {
        let answer = self.place.netns().run(|| get(METRICS, "/proxyMode"))??;
        Ok(answer.rsplit("\r\n").next().unwrap_or_default().trim().to_owned())
    }

    /// The process, while it runs.
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Kills it with SIGKILL; its rules stay.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub fn crash(&mut self) -> Result<()> {
        self.process.take().context("kube-proxy does not run")?.crash()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }
}

/// The version of the program, as it says it itself; none where it is not there.
pub fn version() -> Option<String> {
    let program = apiserver::binary("kube-proxy").ok()?;
    let said = tool::output(Command::new(program).arg("--version"), "").ok()?;
    Some(said.trim().to_owned())
}

fn configuration(place: &Place, mode: Mode, kubeconfig: &Path) -> String {
    // Every JSON document is a YAML document.
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": mode.name(),
        "hostnameOverride": place.label(),
        "clusterCIDR": "10.244.0.0/16,fd00:10:244::/48",
        "clientConnection": { "kubeconfig": kubeconfig },
        "healthzBindAddress": HEALTH,
        "metricsBindAddress": METRICS,
        // Zeros: the kernel's limits are the machine's and stay as they are.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    })
    .to_string()
}

/// Asked in its namespace.
fn is_synced() -> Result<()> {
    let health = get(HEALTH, "/healthz")?;
    ensure!(health.contains(" 200 OK"), "healthz: {}", tail(&health, 1));
    let metrics = get(METRICS, "/metrics")?;
    for family in ["IPv4", "IPv6"] {
        ensure!(gauge(&metrics, WRITTEN, family) > 0.0, "no rules of {family} yet");
    }
    Ok(())
}

/// Asked in its namespace.
fn is_at_rest() -> Result<()> {
    let metrics = get(METRICS, "/metrics")?;
    for family in ["IPv4", "IPv6"] {
        let [asked, written] = [ASKED, WRITTEN].map(|name| gauge(&metrics, name, family));
        ensure!(asked <= written, "rules of {family} are still to be written");
    }
    Ok(())
}

fn gauge(metrics: &str, name: &str, family: &str) -> f64 {
    let line = metrics
        .lines()
        .find(|line| line.starts_with(name) && line.contains(family));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.unwrap_or(0.0)
}
