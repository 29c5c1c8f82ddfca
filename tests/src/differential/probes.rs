//! Everything that can be dialled of a Service, and what came of it with either proxy.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use super::drawn::Drawn;
use super::ends::Sender;
use crate::cluster::World;
use crate::peer::{Aim, Met, Transport, Why};
use crate::plan::{self, Ip};

/// A way to dial a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Who dials.
    pub sender: Sender,
    /// Which of the Service's addresses it is.
    pub address: Address,
    /// The protocol.
    pub transport: Transport,
    /// The family.
    pub ip: Ip,
    /// Where to.
    pub to: SocketAddr,
}

/// An address of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// Its cluster address.
    ClusterIp,
    /// A port of its cluster address that it has not.
    UnknownPort,
    /// An address that services get, and that none has.
    Unallocated,
    /// A node port of the first node.
    NodePortHere,
    /// A node port of the second node.
    NodePortThere,
    /// An external address.
    External,
    /// A load balancer's address.
    Balancer,
}

impl Address {
    const fn title(self) -> &'static str {
        match self {
            Self::ClusterIp => "the cluster address",
            Self::UnknownPort => "an unknown port of the cluster address",
            Self::Unallocated => "an address that no service has",
            Self::NodePortHere => "the first node's node port",
            Self::NodePortThere => "the second node's node port",
            Self::External => "the external address",
            Self::Balancer => "the load balancer's address",
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sender, address) = (self.sender.title(), self.address.title());
        write!(f, "{sender} to {address}, {:?} {}", self.transport, self.to)
    }
}

/// Two answers to the same probe that are not the same.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What was dialled.
    pub probe: Probe,
    /// What came of it with kube-proxy.
    pub theirs: Met,
    /// What came of it with Fairlead.
    pub ours: Met,
}

/// What tells one kind of difference from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    sender: Sender,
    address: Address,
    is_tcp: bool,
    ip: Ip,
    /// Kube-proxy's, and Fairlead's.
    failures: [BTreeSet<Why>; 2],
    /// Whether the same servers answered, and if not, whose first is the first.
    servers: Ordering,
    /// The same of the addresses that they saw.
    sees: Ordering,
}

impl Difference {
    /// What differs, without the addresses: differences of one cause have mostly the same.
    pub fn signature(&self) -> Signature {
        let Probe {
            sender,
            address,
            transport,
            ip,
            ..
        } = self.probe;
        Signature {
            sender,
            address,
            is_tcp: transport == Transport::Tcp,
            ip,
            failures: [&self.theirs, &self.ours].map(|met| met.failures.clone()),
            servers: self.theirs.servers.keys().cmp(self.ours.servers.keys()),
            sees: self.theirs.servers.values().cmp(self.ours.servers.values()),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.probe)?;
        writeln!(f, "  kube-proxy: {}", Told(&self.theirs))?;
        write!(f, "  Fairlead:   {}", Told(&self.ours))
    }
}

struct Told<'a>(&'a Met);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.0.failures.iter().map(|why| format!("{why:?}")).collect();
        for (server, seen) in &self.0.servers {
            let seen: Vec<String> = seen.iter().map(ToString::to_string).collect();
            parts.push(format!("{server} (sees {})", seen.join(", ")));
        }
        f.write_str(&parts.join("; "))
    }
}

/// Everything that is dialled of a Service.
pub fn probes(drawn: &Drawn) -> Vec<Probe> {
    let mut all = Vec::new();
    for ip in drawn.families {
        let mut add = |address, senders: &[Sender], transport, to| {
            all.extend(senders.iter().map(|sender| Probe {
                sender: *sender,
                address,
                transport,
                ip: *ip,
                to,
            }));
        };
        for transport in [Transport::Tcp, Transport::Udp] {
            let inside = &[Sender::Pod, Sender::Node];
            add(Address::UnknownPort, inside, transport, drawn.cluster_ip().at(*ip, 9));
            // It is the same for all, and waited for.
            if drawn.number.is_multiple_of(10) {
                add(
                    Address::Unallocated,
                    inside,
                    transport,
                    plan::cluster_ip(254).at(*ip, 80),
                );
            }
        }
        for (n, (transport, _)) in drawn.ports.iter().enumerate() {
            let port = Drawn::port(n);
            add(
                Address::ClusterIp,
                &Sender::ALL,
                *transport,
                drawn.cluster_ip().at(*ip, port),
            );
            if let Some(node_port) = drawn.node_port(n) {
                let nodes = [Address::NodePortHere, Address::NodePortThere];
                for (node, address) in nodes.into_iter().enumerate() {
                    add(address, &Sender::ALL, *transport, plan::node(node).at(*ip, node_port));
                }
            }
            if let Some(external) = drawn.external_address() {
                add(Address::External, &Sender::ALL, *transport, external.at(*ip, port));
            }
            if let Some(balancer) = drawn.balancer_address() {
                add(Address::Balancer, &Sender::ALL, *transport, balancer.at(*ip, port));
            }
        }
    }
    all
}

/// The ports of those who dial: what goes by the other node has its own. There a datagram straight to an endpoint could not
/// be told from one that node has translated for the same port, as the compatibility page says.
const PORTS: [&str; 2] = ["32768 46999", "47000 60999"];

/// Dials all of them in one world; what came of each stands in their order.
///
/// # Errors
/// When a sender's process is gone.
pub fn dial(world: &World, probes: &[Probe], tries: usize, within: Duration) -> Result<Vec<Met>> {
    let mut met = vec![Met::default(); probes.len()];
    for (sender, by_the_other) in Sender::ALL
        .into_iter()
        .flat_map(|sender| [(sender, false), (sender, true)])
    {
        let is_mine = |probe: &Probe| (probe.sender, probe.address == Address::NodePortThere) == (sender, by_the_other);
        let mine: Vec<usize> = (0..probes.len()).filter(|n| is_mine(&probes[*n])).collect();
        let ports = [("net/ipv4/ip_local_port_range", PORTS[usize::from(by_the_other)])];
        sender.place(world).netns().sysctls(&ports)?;
        let aims = mine.iter().map(|n| Aim {
            transport: probes[*n].transport,
            to: probes[*n].to,
            tries,
            within,
        });
        let answers = sender.place(world).peer()?.reach(aims.collect())?;
        for (n, answer) in mine.into_iter().zip(answers) {
            met[n] = answer;
        }
    }
    Ok(met)
}
