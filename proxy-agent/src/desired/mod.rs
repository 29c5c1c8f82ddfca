//! What the node should do, as plain ordered values: the model's services and the node, ready to be compared with
//! what the maps hold. Nothing here knows a map, a clock or a Kubernetes type.

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use ipnet::IpNet;

pub use node::{AddressRule, DesiredNode, NodePorts, PodDetector, ProxyMode};
pub use pass::Desired;
pub use proxy_common::{block::policy, family::FamilyKind, frontend::FrontendKind, net::Protocol};

mod pass;
mod claims;
mod frontends;
mod endpoints;
mod ranges;
mod node;
#[cfg(test)]
mod tests;

/// What one pass wants changed.
///
/// The first state may come in several of these. `complete` is false until all of it has been handed over; from then on
/// it is true, and what the maps hold but no `Changes` has named is not wanted. Before that nothing may be removed that
/// `services` does not name.
///
/// Over all `Changes` applied so far an address, port and protocol belongs to one service at most. Inside one of them it
/// may move from a service to another; both are then named. Only against what an earlier agent has left may the two be
/// named in different parts of the first state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The services that may have changed, with their whole new state; `None`: the service is gone.
    pub services: BTreeMap<ServicePortId, Option<DesiredService>>,
    /// ClusterIPs, and whether some Service has each: what no port of theirs answers is refused. Empty where a mode is asked
    /// for that lets it pass.
    pub addresses: BTreeMap<IpAddr, bool>,
    /// The node's facts, if they changed. The first `Changes` always has them.
    pub node: Option<DesiredNode>,
    /// Whether everything that is wanted has been named in this or an earlier `Changes`.
    pub complete: bool,
}

/// A service port of one family: what a service number stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServicePortId {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `spec.ports[].name`; empty if it has none.
    pub port: Arc<str>,
    /// `spec.ports[].protocol`.
    pub protocol: Protocol,
    /// The family of its addresses and endpoints.
    pub family: FamilyKind,
}

impl fmt::Display for ServicePortId {
    /// `namespace/name:port`, or `namespace/name` for a port without a name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)?;
        if self.port.is_empty() {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}

/// Everything the data path must know of a service port of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredService {
    /// Where clients reach it, sorted, each address and port once. May be empty: all of them belong to others.
    pub frontends: Vec<DesiredFrontend>,
    /// Bits of [`policy`].
    pub flags: u32,
    /// The networks that may use its load-balancer addresses, sorted; empty: everybody may.
    pub source_ranges: Vec<IpNet>,
    /// Session affinity by client address: its time-out in seconds; 0: none.
    pub affinity_seconds: u32,
    /// Endpoints that may get new flows or keep those they have, sorted by address and port, each once.
    pub endpoints: Vec<DesiredEndpoint>,
}

/// An address and port that lead to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DesiredFrontend {
    /// The address; the unspecified one of the family for a node port.
    pub address: IpAddr,
    /// The port, host byte order.
    pub port: u16,
    /// What kind of address it is.
    pub kind: FrontendKind,
}

/// An endpoint that serves. What is not listed neither gets new flows nor keeps old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DesiredEndpoint {
    /// The address.
    pub address: IpAddr,
    /// The port, host byte order.
    pub port: u16,
    /// Which views of the block have it.
    pub views: Views,
}

/// Which views of a service's block have an endpoint, in the order of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Views {
    /// Only the local one.
    LocalOnly,
    /// Both.
    Both,
    /// Only the cluster's.
    ClusterOnly,
    /// None: it gets no new flow and is not in the block, but its flows may go on (`SERVING`, not `ELIGIBLE`). So it is
    /// for an endpoint that terminates while others are ready, and for one that topology hints leave to other nodes.
    Neither,
}
