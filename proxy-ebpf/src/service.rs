//! 3. Address and port -> service.

use proxy_common::{
    family::Family,
    frontend::{Frontend, FrontendKey, FrontendKind},
    net::{Peer, Port, Protocol},
    node::address_flag,
};

use crate::node::Tables;

/// A service, and what kind of its addresses was dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialled {
    /// The service's number.
    pub service: u32,
    /// What kind of address it is.
    pub kind: FrontendKind,
}

/// The service that answers at an address. Cluster, external and load-balancer addresses stand before node ports, even
/// where they are addresses of this node.
#[inline(always)]
pub fn lookup<F: Family>(node: &impl Tables<F>, peer: Peer<F>, protocol: Protocol) -> Option<Dialled> {
    if let Some(frontend) = node.frontend(&FrontendKey::new(peer, protocol)) {
        return dialled(frontend);
    }
    if node.own_address(&peer.address)? & address_flag::NODE_PORTS == 0 {
        return None;
    }
    at_node_port(node, peer.port, protocol)
}

/// The service that has a node port, wherever it is dialled.
#[inline(always)]
pub fn at_node_port<F: Family>(node: &impl Tables<F>, port: Port, protocol: Protocol) -> Option<Dialled> {
    dialled(node.frontend(&FrontendKey::node_port(port, protocol))?)
}

#[inline(always)]
fn dialled(frontend: Frontend) -> Option<Dialled> {
    Some(Dialled {
        service: frontend.service,
        kind: frontend.kind()?,
    })
}
