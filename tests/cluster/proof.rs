//! A peer that does not carry its traffic itself does not count.

use std::panic::resume_unwind;
use std::thread;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use proxy_agent::datapath::{Pins, attach};
use tests::apiserver::ApiServer;
use tests::bench::host::Host;
use tests::bench::kube_proxy::Mode;
use tests::bench::objects::{Objects, Scale};
use tests::bench::peer::Peer;
use tests::bench::proof::{prove, prove_all};
use tests::bench::stand::{Stand, StandPlan};
use tests::cluster::{Between, Node, PodNetwork};
use tests::foreign::{Foreign, Order, Side, Verdict};
use tests::wait;

const OBJECTS: Objects = Objects {
    services: 4,
    endpoints: 2,
    scale: Scale::Services,
};

/// What translates as a proxy would, and is nobody's.
const BY_HAND: &str = "table ip by-hand { chain prerouting { type nat hook prerouting priority dstnat; \
    ip daddr 10.100.0.0/16 tcp dport 80 dnat to 10.244.2.2:8080; }; }";

/// One of each of these, started at once.
fn start(peers: &[Peer], api: &ApiServer) -> Result<Vec<Stand>> {
    let plan = |peer| StandPlan {
        peer,
        host: Host::Bare,
        network: PodNetwork::Routed,
        between: Between::Routes,
        objects: OBJECTS,
    };
    thread::scope(|scope| {
        let start = |peer: &Peer| {
            let plan = plan(*peer);
            scope.spawn(move || Stand::start(plan, api))
        };
        let started: Vec<_> = peers.iter().map(start).collect();
        let join = started
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)));
        join.collect()
    })
}

/// The proof must refuse the stand and say this.
fn is_refused(stand: &Stand, api: &ApiServer, why: &str) -> Result<()> {
    let peer = stand.plan.peer;
    let error = prove(stand, api)
        .err()
        .with_context(|| format!("{peer}: is not refused"))?;
    ensure!(
        format!("{error:#}").contains(why),
        "{peer}: refused, but for another reason than {why:?}: {error:#}"
    );
    Ok(())
}

/// Stops an agent, then ends it, and leaves what carries its traffic.
fn killed(stand: &Stand, api: &ApiServer) -> Result<()> {
    stand.agents[0].hold(true)?;
    is_refused(stand, api, "the agent of node-a: is stopped")?;
    let process = stand.agents[0].process().context("an agent")?;
    process.signal(Signal::SIGKILL)?;
    wait::until_true("its end", wait::PATIENCE, || Ok(process.state() == Some('Z')))?;
    is_refused(stand, api, "the agent of node-a: does not run")
}

/// Takes the rules from under a running kube-proxy.
fn without_rules(node: &Node, mode: Mode) -> Result<()> {
    match mode {
        Mode::Iptables(tools) => {
            for family in ["iptables", "ip6tables"] {
                let program = format!("{family}-{}", tools.name());
                node.tool(&program, &["-t", "nat", "-F"])?;
            }
            Ok(())
        }
        Mode::Nftables => node
            .tool("nft", &["delete table ip kube-proxy; delete table ip6 kube-proxy"])
            .map(drop),
        Mode::Ipvs => anyhow::bail!("the kernels that this was written on have no IPVS"),
    }
}

fn kube_proxy_is_refused(stand: &mut Stand, mode: Mode, api: &ApiServer) -> Result<()> {
    killed(stand, api)?;
    stand.begin(api)?;
    stand.complete()?;
    let foreign = Foreign::attach(stand.node().netns(), "eth0", Side::Ingress, Order::Last, Verdict::Next)?;
    is_refused(stand, api, "node-a: 1 programs at ingress of eth0")?;
    drop(foreign);
    without_rules(stand.node(), mode)?;
    is_refused(stand, api, "is not reached")?;
    stand.node().tool("nft", &[BY_HAND])?;
    is_refused(stand, api, "nftables tables that are not the peer's: ip by-hand")
}

fn fairlead_is_refused(stand: &Stand, api: &ApiServer) -> Result<()> {
    attach::take_all_away(&Pins::new(&stand.node().state_dir()))?;
    is_refused(stand, api, "is not reached")?;
    stand.node().tool("iptables-legacy", &["-t", "nat", "-S"])?;
    is_refused(stand, api, "tables of iptables-legacy that are not the peer's: nat")?;
    killed(stand, api)
}

fn direct_is_refused(stand: &Stand, api: &ApiServer) -> Result<()> {
    // In the client's own namespace, where no proxy of a node would be.
    stand.client().tool("nft", &[BY_HAND])?;
    is_refused(
        stand,
        api,
        "pod-a-0: nftables tables that are not the peer's: ip by-hand",
    )
}

#[test]
fn whoever_does_not_carry_its_traffic_itself_is_refused() -> Result<()> {
    let api = ApiServer::shared()?;
    OBJECTS.create(&api, 0)?;
    let peers = [
        Peer::Direct,
        Peer::IptablesNft,
        Peer::IptablesLegacy,
        Peer::Nftables,
        Peer::FairleadStack,
        Peer::FairleadSocket,
    ];
    let mut stands = start(&peers, &api)?;
    let verdicts = prove_all(&stands.iter().collect::<Vec<_>>(), &api);
    for (peer, verdict) in peers.iter().zip(verdicts) {
        verdict.with_context(|| format!("{peer}: is refused"))?;
    }
    for stand in &mut stands {
        match stand.plan.peer.kube_proxy() {
            Some(mode) => kube_proxy_is_refused(stand, mode, &api)?,
            None if stand.plan.peer.has_services() => fairlead_is_refused(stand, &api)?,
            None => direct_is_refused(stand, &api)?,
        }
    }
    Ok(())
}
