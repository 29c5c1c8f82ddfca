//! The agent of one node, whichever peer it is.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use proxy_common::schema;

use super::kube_proxy::KubeProxy;
use super::objects::{self, Objects};
use super::peer::Peer;
use super::rules;
use crate::agent::Agent;
use crate::apiserver::ApiServer;
use crate::cluster::Node;
use crate::plan::Ip;
use crate::process::{Process, tail};
use crate::wait;

/// kube-proxy or Fairlead in a node. Dropping it kills the process and leaves what carries its traffic.
#[derive(Debug)]
pub enum Proxy {
    /// kube-proxy.
    KubeProxy(KubeProxy),
    /// Fairlead.
    Fairlead(Agent),
}

impl Proxy {
    /// That of a peer for a node, not started; none where the peer has no agent. In its flow table there is room for
    /// `flows` more than there is by default.
    ///
    /// # Errors
    /// When its files cannot be written, or a program that it needs is missing.
    pub fn of(peer: Peer, node: &Node, api: &ApiServer, flows: u32) -> Result<Option<Self>> {
        let kubeconfig = api.kubeconfig();
        if let Some(mode) = peer.kube_proxy() {
            return Ok(Some(Self::KubeProxy(KubeProxy::of(node, mode, &kubeconfig)?)));
        }
        let fairlead = peer.fairlead();
        let room = format!("--max-flows={}", schema::FLOW_RECORDS.saturating_add(flows));
        let flags: &[&str] = if flows > 0 { &[&room] } else { &[] };
        let agent = |socket_lb| Self::Fairlead(Agent::of(node, socket_lb, flags).following(kubeconfig));
        Ok(fairlead.map(agent))
    }

    /// Starts it and waits for nothing.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn begin(&mut self) -> Result<()> {
        match self {
            Self::KubeProxy(proxy) => proxy.begin(),
            Self::Fairlead(agent) => agent.begin(),
        }
    }

    /// Waits until it says that it has programmed what there is.
    ///
    /// # Errors
    /// When it ends, or is not ready in time: with the end of its log.
    pub fn ready(&mut self) -> Result<()> {
        match self {
            Self::KubeProxy(proxy) => proxy.synced(),
            Self::Fairlead(agent) => agent.ready(),
        }
    }

    /// Waits until it is [`Proxy::ready`], and looks whether the last Service is there.
    ///
    /// # Errors
    /// When it ends, is not ready in time, or the Service is missing: with the end of its log.
    pub fn complete(&mut self, node: &Node, objects: Objects) -> Result<()> {
        self.ready()?;
        let last = objects.count() - 1;
        ensure!(
            self.lists(node, last)?,
            "{}: not programmed; the end of its log: {}",
            objects::name(last),
            tail(&self.log(), 20)
        );
        Ok(())
    }

    /// Whether a Service is in its live rules or maps, for both families.
    fn lists(&self, node: &Node, n: usize) -> Result<bool> {
        match self {
            Self::KubeProxy(proxy) => {
                let [v4, v6] = Ip::BOTH.map(|ip| rules::services(node, proxy.mode(), ip));
                Ok(v4?.contains(&n) && v6?.contains(&n))
            }
            Self::Fairlead(agent) => {
                let name = format!("default/{}", objects::name(n));
                let rows = agent.ask(&["get", "services", "--service", &name])?;
                Ok(rows.as_array().is_some_and(|rows| !rows.is_empty()))
            }
        }
    }

    /// Waits until it has nothing to write.
    ///
    /// # Errors
    /// When it has after a long time.
    pub fn at_rest(&self) -> Result<()> {
        match self {
            Self::KubeProxy(proxy) => proxy.at_rest(),
            // Every change is written when it comes.
            Self::Fairlead(_) => Ok(()),
        }
    }

    /// The process, while it runs.
    pub fn process(&self) -> Option<&Process> {
        match self {
            Self::KubeProxy(proxy) => proxy.process(),
            Self::Fairlead(agent) => agent.process(),
        }
    }

    /// Kills it with SIGKILL; what carries its traffic stays.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub fn crash(&mut self) -> Result<()> {
        match self {
            Self::KubeProxy(proxy) => proxy.crash(),
            Self::Fairlead(agent) => agent.crash(),
        }
    }

    /// Stops the process where it is, or lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn hold(&self, held: bool) -> Result<()> {
        let signal = if held { Signal::SIGSTOP } else { Signal::SIGCONT };
        let process = self.process().context("the agent does not run")?;
        process.signal(signal)?;
        // Its threads stop one by one.
        wait::until_true("the agent is stopped, or goes on", wait::PATIENCE, || {
            Ok((process.state() == Some('T')) == held)
        })
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        match self {
            Self::KubeProxy(proxy) => proxy.log(),
            Self::Fairlead(agent) => agent.log(),
        }
    }
}
