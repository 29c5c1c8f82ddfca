//! 3. Address and port -> service.

use proxy_common::{
    family::Family,
    frontend::{Frontend, FrontendKey, FrontendKind},
    net::{Peer, Port, Protocol},
    network::{Rule, UNANSWERED},
    node::{NodeConfig, address_flag, node_flag},
    reason::Reason,
};

use crate::{node::Tables, verdict::Verdict};

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

/// What becomes of a packet to an address at which no service answers. One that is this node's own is the node's affair.
#[inline(always)]
pub fn unanswered<F: Family>(node: &impl Tables<F>, config: &NodeConfig<F>, address: &F::Address) -> Verdict {
    let pass = Verdict::pass(Reason::NoService);
    if config.flags & node_flag::REFUSES_UNANSWERED == 0 {
        return pass;
    }
    let verdict = match node.rule(UNANSWERED, address) {
        Some(Rule::REFUSE) => Verdict::reject(Reason::UnknownPort),
        Some(Rule::DROP) => Verdict::drop(Reason::UnknownAddress),
        Some(_) | None => return pass,
    };
    if node.own_address(address).is_some() {
        pass
    } else {
        verdict
    }
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
