//! Peers that are compared stand side by side.

use std::panic::resume_unwind;
use std::thread;

use anyhow::{Context, Result};
use tests::bench::host::Host;
use tests::bench::objects::{Objects, Use};
use tests::bench::peer::Peer;
use tests::bench::proof::sift;
use tests::bench::shelf::Shelf;
use tests::bench::stand::{Position, Stand, StandPlan};
use tests::cluster::{Between, PodNetwork};
use tests::peer::Transport;
use tests::plan::Ip;
use tests::servers;

#[test]
fn every_peer_that_this_machine_has_carries_the_same_traffic() -> Result<()> {
    let objects = Objects {
        services: 6,
        endpoints: 2,
        ..Objects::default()
    };
    let api = Shelf::new()?.api(objects)?;
    let plan = |peer| StandPlan {
        peer,
        host: Host::AsANode,
        network: PodNetwork::Bridge,
        between: Between::Routes,
        objects,
    };
    let present = Peer::ALL.into_iter().filter(|peer| peer.absent().is_none());
    let stands: Vec<Stand> = thread::scope(|scope| {
        let api = &api;
        let started: Vec<_> = present
            .map(|peer| scope.spawn(move || Stand::start(plan(peer), api)))
            .collect();
        let join = started
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)));
        join.collect::<Result<_>>()
    })?;
    stands.iter().try_for_each(Stand::pause)?;
    let (proved, refused) = sift(stands, &api);
    assert!(refused.is_empty(), "{refused:?}");
    for stand in &proved {
        stand.resume()?;
        everything_works(stand).with_context(|| stand.plan.peer.to_string())?;
        for position in Position::ALL {
            let found = stand.service_at(position, Ip::V6, false, true)?;
            assert_eq!(found.service, 1, "the only far service with all ports");
        }
    }
    Ok(())
}

fn everything_works(stand: &Stand) -> Result<()> {
    let node = stand.plan.peer.serves_the_node().then_some(&**stand.node());
    let last = stand.plan.objects.count() - 1;
    for ip in Ip::BOTH {
        for n in [0, 1] {
            for from in std::iter::once(&**stand.client()).chain(node) {
                let peer = from.peer()?;
                let echo = stand.target(n, Use::Echo, ip);
                peer.http(stand.target(n, Use::Http, ip))?;
                peer.http(stand.target(last, Use::Http, ip))?;
                peer.open(Transport::Tcp, echo)?.exchange(500)?;
                peer.open(Transport::Udp, echo)?.exchange(500)?;
            }
            let node_port = stand.node_port(n, Use::Echo, ip).context("a node port")?;
            let outside = stand.outside().peer()?;
            outside.open(Transport::Tcp, node_port)?.exchange(500)?;
            outside.open(Transport::Udp, node_port)?.exchange(500)?;
        }
    }
    let bytes = servers::stream(stand.client(), stand.target(1, Use::Stream, Ip::V6), 1, false)?;
    assert!(bytes > 0, "an empty stream");
    Ok(())
}
