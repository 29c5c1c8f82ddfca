//! Floor 3: real sockets between namespaces. One file a topic; needs root.

mod world;
mod smoke;
mod cluster_ip;
mod node_port;
mod external;
mod answers;
mod hairpin;
mod udp;
mod dual_stack;
mod clash;
mod fragments;
mod icmp;
mod offload;
mod coexist;
mod policy;
mod host_port;
mod name_cache;
mod segment;
mod shapes;
mod devices;
mod layer3;
mod newpod;
mod restart;
mod full_table;
mod pressure;
mod publisher;
mod atomic;
mod crash;
mod cost;
mod beginnings;
mod packet_log;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use tests::cluster::{Between, Place, PodNetwork, Uplink, World};
use tests::peer::{Open, Transport, Why};

/// Whether the full figures are asked for, with nothing else on the machine: `FAIRLEAD_FIGURES=1`. Without it the same
/// tests take a part of the time and leave room for a busy machine.
fn figures() -> bool {
    std::env::var_os("FAIRLEAD_FIGURES").is_some()
}

/// Two nodes with two pods each, of one shape.
fn two_nodes(network: PodNetwork, uplink: Uplink, between: Between) -> Result<World> {
    World::two_nodes()
        .pods(2)
        .network(network)
        .between(between)
        .each(|node| node.uplink = uplink)
        .build()
}

/// Nobody answers over TCP or UDP: the node says so at once.
fn is_refused(from: &Place, to: SocketAddr) -> Result<()> {
    for transport in [Transport::Tcp, Transport::Udp] {
        assert_eq!(refused(from, transport, to)?, Why::Refused, "{transport:?}");
    }
    Ok(())
}

/// Opens a conversation that must fail within three seconds and says how it did.
///
/// Over IPv6 the kernel heeds a refusal that comes before `connect` has let go of its socket only at the second SYN, a
/// second later.
fn refused(from: &Place, transport: Transport, to: SocketAddr) -> Result<Why> {
    failure(from, transport, to, Duration::from_secs(3))
}

/// Opens a conversation that must fail within a time and says how it did.
fn failure(from: &Place, transport: Transport, to: SocketAddr, within: Duration) -> Result<Why> {
    let how = Open {
        transport,
        to,
        from: None,
        within,
    };
    match from.peer()?.try_open(how)? {
        Ok(connection) => bail!("{to} answered {}: {:?}", from.label(), connection.opened),
        Err(failure) => Ok(failure.why),
    }
}
