//! One proxy's two nodes, equal to the other's in all but the proxy.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::drawn::TARGETS;
use super::ends::{PODS, Server};
use super::settings::Against;
use crate::agent::{Agent, SocketLb};
use crate::apiserver::{ApiServer, Door};
use crate::bench::host::Host;
use crate::bench::kube_proxy::KubeProxy;
use crate::bench::proxy::Proxy;
use crate::cluster::{Node, World};
use crate::peer::Transport;
use crate::plan::Ip;
use crate::wait;

/// Whose nodes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of kube-proxy.
    KubeProxy(Against),
    /// Of Fairlead.
    Fairlead,
}

/// Two nodes with their pods and proxies. Dropping it removes every trace.
#[derive(Debug)]
pub struct Stand {
    whose: Whose,
    proxies: Vec<Proxy>,
    _door: Door,
    /// Its nodes and pods.
    pub world: World,
}

impl Whose {
    /// As a report names it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::KubeProxy(_) => "kube-proxy",
            Self::Fairlead => "Fairlead",
        }
    }
}

impl Stand {
    /// Makes the nodes and starts what may be an endpoint; no proxy runs yet.
    ///
    /// # Errors
    /// When a part cannot be made.
    pub fn build(whose: Whose, api: &ApiServer) -> Result<Self> {
        let mut plan = World::two_nodes().pods(PODS);
        for number in 0..2 {
            plan = plan.node(number, |node| Host::AsANode.plan(node));
        }
        let world = plan.build()?;
        Host::AsANode.finish(&world)?;
        world.nodes.iter().try_for_each(prepare)?;
        // The outside dials cluster addresses too.
        let first = world.node(0).address();
        let routes = format!(
            "route add 10.100.0.0/16 via {}\nroute add fd00:10:96::/64 via {}\n",
            first.v4, first.v6
        );
        world.router.netns().ip(&routes)?;
        for server in Server::ALL {
            let peer = server.place(&world).peer()?;
            for (ip, target) in Ip::BOTH.into_iter().flat_map(|ip| TARGETS.map(|target| (ip, target))) {
                peer.serve(server.address().at(ip, target))?;
            }
        }
        Ok(Self {
            whose,
            proxies: Vec::new(),
            _door: api.join(&world)?,
            world,
        })
    }

    /// Ends the proxies of both nodes, starts them with these settings, and waits until they have programmed what there is.
    ///
    /// # Errors
    /// When one does not get ready: then with the end of its log.
    pub fn restart(&mut self, settings: &Map<String, Value>, api: &ApiServer) -> Result<()> {
        for mut proxy in self.proxies.drain(..) {
            match &mut proxy {
                Proxy::KubeProxy(proxy) => proxy.crash()?,
                Proxy::Fairlead(agent) => agent.stop()?,
            }
        }
        for node in &self.world.nodes {
            let mut proxy = proxy(self.whose, node, settings, api)?;
            proxy.begin()?;
            self.proxies.push(proxy);
        }
        for proxy in &mut self.proxies {
            proxy.ready().with_context(|| self.whose.title())?;
        }
        Ok(())
    }

    /// Waits until both nodes carry what the API server has. `last` is a Service that was created after all others and
    /// that both nodes can reach.
    ///
    /// # Errors
    /// When one does not.
    pub fn settled(&self, last: [SocketAddr; 2]) -> Result<()> {
        for (node, proxy) in self.world.nodes.iter().zip(&self.proxies) {
            for to in last {
                wait::until("the last Service answers", wait::PATIENCE, || {
                    node.pods[0].peer()?.open(Transport::Tcp, to).map(drop).map(Some)
                })
                .with_context(|| format!("{} on {}", self.whose.title(), node.label()))?;
            }
            match proxy {
                Proxy::KubeProxy(proxy) => proxy.at_rest()?,
                Proxy::Fairlead(agent) => agent.settled()?,
            }
        }
        Ok(())
    }
}

/// The proxy of a node, not started.
fn proxy(whose: Whose, node: &Node, settings: &Map<String, Value>, api: &ApiServer) -> Result<Proxy> {
    Ok(match whose {
        Whose::KubeProxy(against) => {
            let proxy = KubeProxy::of(node, against.mode(), &api.kubeconfig())?;
            proxy.configure(settings)?;
            Proxy::KubeProxy(proxy)
        }
        Whose::Fairlead => {
            let agent = Agent::of(node, SocketLb::Auto, &[]).configured(&configuration(node, settings)?);
            Proxy::Fairlead(agent.following(api.kubeconfig()))
        }
    })
}

/// What kubelet or a CNI does for kube-proxy's sake, and what dialling this often needs.
fn prepare(node: &Node) -> Result<()> {
    for pod in &node.pods {
        // A pod that is its own backend gets its packets back from the bridge.
        node.netns()
            .ip(&format!("link set {} type bridge_slave hairpin on", pod.host_device))?;
    }
    // Refusals are limited to one a second and client otherwise.
    node.netns()
        .sysctls(&[("net/ipv4/icmp_ratelimit", "0"), ("net/ipv6/icmp/ratelimit", "0")])
}

/// The file that a Fairlead of a node gets in place of flags.
fn configuration(node: &Node, settings: &Map<String, Value>) -> Result<PathBuf> {
    let mut all = json!({ "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration" });
    if let Some(fields) = all.as_object_mut() {
        fields.extend(settings.clone());
    }
    let path = node.folder().join(format!("{}-fairlead.json", node.label()));
    fs::write(&path, all.to_string()).with_context(|| format!("{}", path.display()))?;
    Ok(path)
}
