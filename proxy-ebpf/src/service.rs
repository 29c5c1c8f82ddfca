//! 3. Address and port -> service.

use proxy_common::{
    family::Family,
    frontend::{Frontend, FrontendKey, FrontendKind},
    net::{Peer, Protocol},
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
    dialled(node.frontend(&FrontendKey::node_port(peer.port, protocol))?)
}

#[inline(always)]
fn dialled(frontend: Frontend) -> Option<Dialled> {
    Some(Dialled {
        service: frontend.service,
        kind: frontend.kind()?,
    })
}
