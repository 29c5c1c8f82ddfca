//! A world with an agent in every node and Services programmed.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, ensure};

use crate::agent::{Agent, SocketLb};
use crate::cluster::{Node, Place, Pod, World};
use crate::manifests::{Folder, Service};
use crate::peer::{Opened, Transport};
use crate::plan::{Dual, Ip};

/// The port on which every server of [`Programmed`] listens.
pub const TARGET: u16 = 8000;

/// Conversations that make it all but certain that each of four endpoints was chosen: one is missed by all of them once
/// in forty million runs.
const MANY: usize = 60;

/// Agents, manifests and the world they are for.
#[derive(Debug)]
pub struct Programmed {
    /// The agents by node.
    pub agents: Vec<Agent>,
    /// The manifests of all nodes.
    pub manifests: Folder,
    /// The world.
    pub world: World,
}

impl Programmed {
    /// Writes the Services' manifests, starts an agent in every node and waits until all is programmed.
    ///
    /// # Errors
    /// When an agent does not get ready.
    pub fn start(world: World, socket_lb: SocketLb, services: &[Service]) -> Result<Self> {
        Self::start_with(world, socket_lb, services, &[])
    }

    /// As [`Programmed::start`], with more flags for the agents.
    ///
    /// # Errors
    /// When an agent does not get ready.
    pub fn start_with(world: World, socket_lb: SocketLb, services: &[Service], flags: &[&str]) -> Result<Self> {
        let manifests = Folder::of(&world)?;
        services.iter().try_for_each(|service| manifests.put(service))?;
        let agents = world
            .nodes
            .iter()
            .map(|node| Agent::start_with(node, socket_lb, flags))
            .collect::<Result<_>>()?;
        Ok(Self {
            agents,
            manifests,
            world,
        })
    }

    /// Creates or replaces a Service and waits until every node has it.
    ///
    /// # Errors
    /// When a node does not follow.
    pub fn put(&self, service: &Service) -> Result<()> {
        self.manifests.put(service)?;
        self.settled()
    }

    /// Deletes a Service and waits until no node has it.
    ///
    /// # Errors
    /// When a node does not follow.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.manifests.delete(name)?;
        self.settled()
    }

    /// Waits until every node's maps are what the manifests say.
    ///
    /// # Errors
    /// With the differences that are left.
    pub fn settled(&self) -> Result<()> {
        self.agents.iter().try_for_each(Agent::settled)
    }
}

/// Starts a server on [`TARGET`] in both families of every pod, whether it is an endpoint or not.
///
/// # Errors
/// When one cannot listen.
pub fn serve_everywhere(world: &World) -> Result<()> {
    let pods = world.nodes.iter().flat_map(|node| &node.pods);
    pods.into_iter().try_for_each(serve)
}

/// Starts a server on [`TARGET`] in both families of a pod.
///
/// # Errors
/// When it cannot listen.
pub fn serve(pod: &Pod) -> Result<()> {
    serve_at(pod, pod.address)
}

/// Starts a server on [`TARGET`] of a place's addresses.
///
/// # Errors
/// When it cannot listen.
pub fn serve_at(place: &Place, address: Dual) -> Result<()> {
    Ip::BOTH
        .into_iter()
        .try_for_each(|ip| place.peer()?.serve(address.at(ip, TARGET)))
}

/// Opens many conversations, checks each with `right`, and returns how often each server answered.
///
/// # Errors
/// When one fails, or is not right.
pub fn spread(
    from: &Place,
    transport: Transport,
    to: SocketAddr,
    right: impl Fn(&Opened) -> Result<()>,
) -> Result<BTreeMap<String, usize>> {
    let mut answered = BTreeMap::new();
    let peer = from.peer()?;
    for _ in 0..MANY {
        let connection = peer.open(transport, to)?;
        ensure!(
            connection.opened.remote == to,
            "{} instead of {to} is the other end",
            connection.opened.remote
        );
        right(&connection.opened)?;
        connection.exchange(500)?;
        *answered.entry(connection.opened.server.clone()).or_default() += 1;
    }
    Ok(answered)
}

/// [`spread`] over servers that must be exactly these, each of them chosen.
///
/// # Errors
/// When one was never chosen, or another was.
pub fn spreads_over(
    servers: &[&str],
    from: &Place,
    transport: Transport,
    to: SocketAddr,
    right: impl Fn(&Opened) -> Result<()>,
) -> Result<()> {
    let answered = spread(from, transport, to, right)?;
    ensure!(
        answered.keys().eq(servers),
        "{} to {to} over {transport:?}: {answered:?}, not {servers:?}",
        from.label()
    );
    Ok(())
}

/// Right for [`spread`]: the server sees the client's own address and port.
///
/// # Errors
/// When it does not.
pub fn sees_the_client(opened: &Opened) -> Result<()> {
    ensure!(
        opened.seen == opened.local,
        "the client {} is seen as {}",
        opened.local,
        opened.seen
    );
    Ok(())
}

/// Right for [`spread`]: the server sees an address of `node` instead of the client.
///
/// # Errors
/// When it does not.
pub fn sees(node: &Node) -> impl Fn(&Opened) -> Result<()> {
    let own: Vec<IpAddr> = Ip::BOTH
        .into_iter()
        .flat_map(|ip| node.own_addresses().map(|own| own.of(ip)))
        .collect();
    let label = node.label().to_owned();
    move |opened| {
        ensure!(
            own.contains(&opened.seen.ip()),
            "{} is seen, not an address of {label}",
            opened.seen
        );
        Ok(())
    }
}
