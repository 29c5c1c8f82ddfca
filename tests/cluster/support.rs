//! A world with an API server in it and an agent in every node that follows it.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::agent::{Agent, SocketLb};
use tests::apiserver::ApiServer;
use tests::cluster::World;
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Dual, Ip, cluster_ip};
use tests::programmed::{TARGET, serve_everywhere, spreads_over};
use tests::wait;

/// Agents, the server they follow, and the world they are for.
pub(crate) struct Cluster {
    /// The agents by node.
    pub(crate) agents: Vec<Agent>,
    /// The server.
    pub(crate) api: ApiServer,
    /// The world; every pod serves.
    pub(crate) world: World,
}

impl Cluster {
    /// Starts a server with these Services, then the agents, and waits until all is programmed.
    pub(crate) fn start(world: World, services: &[Service]) -> Result<Self> {
        serve_everywhere(&world)?;
        let api = ApiServer::start(&world)?;
        services.iter().try_for_each(|service| api.put_service(service))?;
        let mut agents = Vec::new();
        for node in &world.nodes {
            let mut agent = Agent::of(node, SocketLb::Auto, &[]).following(api.kubeconfig());
            agent.resume()?;
            agents.push(agent);
        }
        Ok(Self { agents, api, world })
    }

    /// Creates or changes a Service and its slices, and waits until every node has it.
    pub(crate) fn put(&self, service: &Service) -> Result<()> {
        self.api.put_service(service)?;
        self.settled()
    }

    /// Waits until every node's maps are what the server says.
    pub(crate) fn settled(&self) -> Result<()> {
        self.agents.iter().try_for_each(Agent::settled)
    }

    /// Whether the first node's maps have a Service of this name.
    pub(crate) fn is_programmed(&self, name: &str) -> Result<bool> {
        let rows = self.agents[0].ask(&["get", "services", "--service", &format!("default/{name}")])?;
        Ok(!rows.as_array().context("a list")?.is_empty())
    }

    /// Waits until an answer of the first node's agent is as it should be.
    pub(crate) fn until_status(&self, what: &str, right: impl Fn(&Value) -> bool) -> Result<()> {
        wait::until_true(what, wait::PATIENCE, || Ok(right(&self.status()?)))
    }

    /// What the first node's agent says of itself.
    pub(crate) fn status(&self) -> Result<Value> {
        Ok(self.agents[0].ask(&["status"])?["agent"].clone())
    }

    /// Opens many conversations from the first pod, over both families; exactly these servers must answer.
    pub(crate) fn answered_by(&self, address: Dual, servers: &[&str]) -> Result<()> {
        for ip in Ip::BOTH {
            let to = address.at(ip, 80);
            spreads_over(servers, self.world.pod(0, 0), Transport::Tcp, to, |_| Ok(()))?;
        }
        Ok(())
    }
}

/// A Service on port 80 whose endpoints are the given pods of the first node.
pub(crate) fn service(world: &World, name: &str, k: u8, pods: &[usize]) -> Service {
    let service = Service::named(name, cluster_ip(k)).ports(80, TARGET);
    let node = world.node(0);
    pods.iter().fold(service, |service, pod| {
        service.backend(tests::manifests::Backend::pod(node, &node.pods[*pod]))
    })
}

/// What names a Service.
pub(crate) fn named(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name, "namespace": "default" } })
}
