//! The short way: a socket that connects or sends gets the backend at once, and its packets need no translation.
//!
//! What a socket was given is remembered with the socket, so that the program sees the address it dialled.

use proxy_common::{
    endpoint::serving,
    family::Family,
    frontend::FrontendKey,
    lifetime::lifetime,
    net::{Peer, Protocol},
    node::{NodeConfig, node_flag},
    phase::Phase,
    reason::Reason,
    socket::{PEERS, SocketPeer, SocketPeers},
};

use crate::{
    node::{Clock, Entropy, Tables},
    select::{self, Endpoint, policy::Sender},
    service::{self, Dialled},
    verdict::{Action, Verdict},
};

/// The socket that asks.
pub trait Socket<F: Family> {
    /// The cookie of its network namespace.
    fn netns(&self) -> u64;
    /// `COVERED`: whether that namespace's edge translates its packets.
    fn is_covered(&self) -> bool;
    /// Whether an address means this machine itself: a loopback address, or the unspecified one, which is dialled as if
    /// it were one.
    fn is_loopback(&self, address: &F::Address) -> bool;
    /// What the socket remembers, with room made if it remembers nothing yet and `create` is set.
    fn peers(&self, create: bool) -> Option<&SocketPeers<F>>;
    /// Replaces one of the peers it remembers.
    fn remember(&self, slot: usize, peer: &SocketPeer<F>);
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<F: Family> {
    /// It goes on as it is. With a [`Reason`] as a number, here and below.
    Leave(u8),
    /// It goes to the backend.
    Translate(Peer<F>),
    /// It fails as if nobody listened: `ECONNREFUSED`.
    Refuse(u8),
    /// It fails as if nobody could be reached: `EHOSTUNREACH`.
    Unreachable(u8),
}

/// `connect`, and `sendmsg` on a socket without a peer.
#[inline(always)]
pub fn dial<F: Family>(
    node: &(impl Tables<F> + Clock + Entropy),
    socket: &impl Socket<F>,
    peer: Peer<F>,
    protocol: Protocol,
) -> Answer<F> {
    let Some(config) = node.config() else {
        return Answer::Leave(Reason::NoService as u8);
    };
    let is_host = socket.netns() == config.host_netns;
    if !is_host && !serves_pods(config, socket) {
        return Answer::Leave(Reason::Covered as u8);
    }
    let Some(dialled) = lookup(node, config, socket, is_host, peer, protocol) else {
        return answer(service::unanswered(node, config, &peer.address));
    };
    let now = node.now();
    if protocol == Protocol::Udp
        && let Some((slot, known)) = recall(socket, now, peer)
        && node.is_marked(known.endpoint, serving::ELIGIBLE)
        && is_target(node, &known, protocol)
    {
        let backend = Peer::new(known.backend, known.backend_port);
        socket.remember(
            slot,
            &SocketPeer {
                last_used: now,
                ..known
            },
        );
        return Answer::Translate(backend);
    }
    match choose(node, config, is_host, dialled) {
        Ok(endpoint) => {
            remember(socket, now, peer, &endpoint);
            Answer::Translate(endpoint.peer)
        }
        Err(verdict) => answer(verdict),
    }
}

/// What becomes of a call that goes to no backend.
#[inline(always)]
fn answer<F: Family>(verdict: Verdict) -> Answer<F> {
    let reason = verdict.reason_number();
    match verdict.action() {
        Action::Reject => Answer::Refuse(reason),
        Action::Drop => Answer::Unreachable(reason),
        Action::Pass | Action::Translate => Answer::Leave(reason),
    }
}

/// `recvmsg` and `getpeername`: the address that the program dialled, if this backend is one that the socket was given. Where
/// it was for several, that which was used last.
#[inline(always)]
pub fn dialled_name<F: Family>(node: &impl Clock, socket: &impl Socket<F>, backend: Peer<F>) -> Option<Peer<F>> {
    let is_it = |known: &SocketPeer<F>| known.backend == backend.address && known.backend_port == backend.port;
    let (slot, peer) = find(socket, is_it)?;
    socket.remember(
        slot,
        &SocketPeer {
            last_used: node.now(),
            ..peer
        },
    );
    Some(Peer::new(peer.dialled, peer.dialled_port))
}

/// Whether what a socket remembers still is an endpoint's address. Sockets do not keep an endpoint's number from being
/// given to another.
#[inline(always)]
fn is_target<F: Family>(node: &impl Tables<F>, known: &SocketPeer<F>, protocol: Protocol) -> bool {
    let backend = Peer::new(known.backend, known.backend_port);
    node.is_target(&FrontendKey::new(backend, protocol))
}

#[inline(always)]
fn serves_pods<F: Family>(config: &NodeConfig<F>, socket: &impl Socket<F>) -> bool {
    config.flags & node_flag::SOCKETS_ALL != 0
        || (config.flags & node_flag::SOCKETS_UNCOVERED != 0 && !socket.is_covered())
}

#[inline(always)]
fn lookup<F: Family>(
    node: &impl Tables<F>,
    config: &NodeConfig<F>,
    socket: &impl Socket<F>,
    is_host: bool,
    peer: Peer<F>,
    protocol: Protocol,
) -> Option<Dialled> {
    if !socket.is_loopback(&peer.address) {
        return service::lookup(node, peer, protocol);
    }
    if !is_host || config.flags & node_flag::LOOPBACK_NODE_PORTS == 0 {
        return None;
    }
    service::at_node_port(node, peer.port, protocol)
}

#[inline(always)]
fn choose<F: Family>(
    node: &(impl Tables<F> + Entropy),
    config: &NodeConfig<F>,
    is_host: bool,
    dialled: Dialled,
) -> Result<Endpoint<F>, Verdict> {
    let detects = config.flags & (node_flag::DETECT_NETWORK | node_flag::DETECT_DEVICE) != 0;
    let sender = match (is_host, detects) {
        (true, _) => Sender::Host,
        (false, true) => Sender::Pod,
        (false, false) => Sender::Other,
    };
    let decision = select::decide(node, config, dialled, sender, None)?;
    decision.candidates.endpoint(node, 0)
}

/// The latest used of those that a socket remembers.
#[inline(always)]
fn find<F: Family>(socket: &impl Socket<F>, is_it: impl Fn(&SocketPeer<F>) -> bool) -> Option<(usize, SocketPeer<F>)> {
    let peers = socket.peers(false)?;
    let (mut slot, mut best, mut last_used) = (0, PEERS, 0);
    while slot < PEERS {
        let peer = &peers.peers[slot];
        if peer.last_used > last_used && is_it(peer) {
            best = slot;
            last_used = peer.last_used;
        }
        slot += 1;
    }
    Some((best, *peers.peers.get(best)?))
}

/// The translation of an address that was dialled, if it is as young as a conversation of datagrams may be.
#[inline(always)]
fn recall<F: Family>(socket: &impl Socket<F>, now: u64, dialled: Peer<F>) -> Option<(usize, SocketPeer<F>)> {
    let age = lifetime(Protocol::Udp, Phase::Answered);
    find(socket, |known| {
        let is_it = known.dialled == dialled.address && known.dialled_port == dialled.port;
        is_it && now.saturating_sub(known.last_used) < age
    })
}

/// Remembers a translation in place of an older one to the same address, or of the oldest.
#[inline(always)]
fn remember<F: Family>(socket: &impl Socket<F>, now: u64, dialled: Peer<F>, endpoint: &Endpoint<F>) {
    let Some(peers) = socket.peers(true) else { return };
    let (mut slot, mut best, mut best_age) = (0, 0, u64::MAX);
    while slot < PEERS {
        let peer = &peers.peers[slot];
        let same = peer.dialled == dialled.address && peer.dialled_port == dialled.port;
        let age = if same { 0 } else { peer.last_used };
        if age < best_age {
            best = slot;
            best_age = age;
        }
        slot += 1;
    }
    socket.remember(
        best,
        &SocketPeer {
            last_used: now,
            dialled: dialled.address,
            backend: endpoint.peer.address,
            dialled_port: dialled.port,
            backend_port: endpoint.peer.port,
            endpoint: endpoint.number,
        },
    );
}
