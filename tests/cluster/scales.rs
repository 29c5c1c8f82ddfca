//! Very many endpoints and live flows, as the comparison makes them.

use anyhow::{Context, Result, ensure};
use tests::bench::host::Host;
use tests::bench::objects::{Objects, Scale, Use};
use tests::bench::peer::Peer;
use tests::bench::shelf::Shelf;
use tests::bench::stand::{Stand, StandPlan};
use tests::cluster::{Between, PodNetwork};
use tests::peer::{LoadKind, LoadPlan, Transport};
use tests::plan::Ip;

/// One service on nodes as they are.
fn plan(peer: Peer, network: PodNetwork, objects: Objects) -> StandPlan {
    StandPlan {
        peer,
        host: Host::AsANode,
        network,
        between: Between::Routes,
        objects,
    }
}

#[test]
fn live_flows_are_in_the_flow_table_of_every_kind_of_peer_and_stay() -> Result<()> {
    let objects = Objects {
        services: 1,
        endpoints: 1,
        scale: Scale::Flows(300),
    };
    let api = Shelf::new()?.api(objects)?;
    for (peer, network) in [
        (Peer::Nftables, PodNetwork::Bridge),
        (Peer::FairleadStack, PodNetwork::Routed),
    ] {
        let mut stand = Stand::start(plan(peer, network, objects), &api)?;
        for flows in [1, 300] {
            stand.fill(flows).with_context(|| peer.to_string())?;
        }
        stand.client().peer()?.http(stand.target(0, Use::Http, Ip::V4))?;
        stand.flows_live()?;
        if peer.is_kube_proxy() {
            stand.node().tool("conntrack", &["-F"])?;
            let error = stand.flows_live().err().context("forgotten flows live")?;
            ensure!(format!("{error:#}").contains("did not come through"), "{error:#}");
        }
    }
    Ok(())
}

#[test]
fn every_address_of_many_is_an_endpoint_that_answers_by_its_own_name() -> Result<()> {
    let objects = Objects {
        services: 1,
        endpoints: 150,
        scale: Scale::Endpoints,
    };
    let api = Shelf::new()?.api(objects)?;
    let stand = Stand::start(plan(Peer::Fairlead, PodNetwork::Bridge, objects), &api)?;
    for (n, ip) in [(0, Ip::V4), (1, Ip::V6)] {
        let load = stand.client().peer()?.load(LoadPlan {
            kind: LoadKind::Once,
            ..LoadPlan::short(Transport::Http, stand.target(n, Use::Http, ip))
        })?;
        // Of 150, one is missed by all of these once in a million runs.
        load.goes_on(3000)?;
        let report = load.stop()?;
        ensure!(report.failures() == 0, "{report:?}");
        let names: Vec<String> = objects.backends(n).iter().map(|one| one.of(ip).to_string()).collect();
        ensure!(
            report.answered_by.len() == names.len(),
            "{} answered",
            report.answered_by.len()
        );
        ensure!(
            names.iter().all(|name| report.answered_by.contains_key(name)),
            "{:?}",
            report.answered_by
        );
    }
    Ok(())
}
