//! The proof that a stand's traffic is carried by its peer, without which the peer does not count.
//!
//! 1. Its agents run, and nothing of another peer is in its namespaces and cgroups.
//! 2. The Services that stand are reached.
//! 3. A Service that is made for the proof is reached, and the peer's own books (counters, tables) show it.
//! 4. Once that Service is deleted it is no longer reached, while the others are.
//!
//! Where there are no services (`direct`) nothing of 2 is reached, and the pods are.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail, ensure};

use super::alone;
use super::evidence::{self, Books, From};
use super::objects::{self, Use};
use super::peer::Peer;
use super::proxy::Proxy;
use super::stand::Stand;
use crate::apiserver::ApiServer;
use crate::cluster::{Place, World};
use crate::manifests::{Backend, Protocol, Service};
use crate::peer::{Connection, Open, Opened, Transport};
use crate::plan::Ip;
use crate::wait;

/// How long a peer may take to follow one change: with the nftables back end of iptables and 10,000 Services that is
/// minutes.
const CHANGE: Duration = Duration::from_secs(600);

/// How long a Service is waited for that is there.
const ANSWER: Duration = Duration::from_secs(3);
/// How long one is waited for that should not be.
const SILENCE: Duration = Duration::from_millis(500);

/// Conversations that the books must show.
const CONVERSATIONS: usize = 5;

/// [`prove_all`] of paused stands, which then are at rest and paused again, and the refused ones apart with the reasons.
///
/// It is done once, with all of them: a stand that were paused while the Service of another's proof comes and goes would
/// write its rules, in another order, when it goes on.
pub fn sift(stands: Vec<Stand>, api: &ApiServer) -> (Vec<Stand>, Vec<(Peer, Error)>) {
    let all: Vec<&Stand> = stands.iter().collect();
    let mut verdicts: Vec<Result<()>> = all.iter().map(|stand| stand.resume()).collect();
    if verdicts.iter().all(Result::is_ok) {
        verdicts = prove_all(&all, api);
    }
    each(
        &all,
        &mut verdicts,
        |_| true,
        |stand| stand.agents.iter().try_for_each(Proxy::at_rest),
    );
    each(&all, &mut verdicts, |_| true, Stand::pause);
    drop(all);
    let (mut proved, mut refused) = (Vec::new(), Vec::new());
    for (stand, verdict) in stands.into_iter().zip(verdicts) {
        match verdict {
            Ok(()) => proved.push(stand),
            Err(error) => refused.push((stand.plan.peer, error)),
        }
    }
    (proved, refused)
}

/// [`prove_all`] of one.
///
/// # Errors
/// Why the peer does not count.
pub fn prove(stand: &Stand, api: &ApiServer) -> Result<()> {
    let mut verdicts = prove_all(&[stand], api);
    verdicts.pop().context("one verdict for one stand")?
}

/// Proves these stands, all at once and with one Service made for all; none may be paused. A verdict for each, in their
/// order.
pub fn prove_all(stands: &[&Stand], api: &ApiServer) -> Vec<Result<()>> {
    let mut verdicts: Vec<Result<()>> = stands.iter().map(|_| Ok(())).collect();
    each(stands, &mut verdicts, |_| true, stands_alone_and_answers);
    let is_left = |(stand, verdict): (&&Stand, &Result<()>)| stand.plan.peer.has_services() && verdict.is_ok();
    let Some(first) = stands.iter().zip(&verdicts).position(is_left) else {
        return verdicts;
    };
    let service = service(&stands[first].world);
    let made = api.put_service(&service);
    let has_services = |stand: &Stand| stand.plan.peer.has_services();
    if made.is_ok() {
        each(stands, &mut verdicts, has_services, carries);
    }
    let deleted = made.and_then(|()| api.delete_service(&service));
    if let Err(error) = deleted {
        let why = format!("{error:#}");
        return stands.iter().map(|_| bail!("{why}")).collect();
    }
    each(stands, &mut verdicts, has_services, loses);
    verdicts
}

/// Asks all that are of a kind and have no verdict against them yet.
fn each(
    stands: &[&Stand],
    verdicts: &mut [Result<()>],
    is_asked: impl Fn(&Stand) -> bool,
    question: impl Fn(&Stand) -> Result<()> + Sync,
) {
    thread::scope(|scope| {
        for (stand, verdict) in stands.iter().zip(verdicts) {
            if verdict.is_ok() && is_asked(stand) {
                let question = &question;
                scope.spawn(move || *verdict = question(stand));
            }
        }
    });
}

/// On the other node: answers of a pod beside the client do not come by the rules of every peer on every kind of host.
fn service(world: &World) -> Service {
    let service = Service::named(evidence::SERVICE, evidence::cluster_ip());
    let service = service.port(Protocol::Tcp, evidence::PORT, Use::Http.target());
    let node = world.node(1);
    node.pods
        .iter()
        .fold(service, |service, pod| service.backend(Backend::pod(node, pod)))
}

fn stands_alone_and_answers(stand: &Stand) -> Result<()> {
    for (agent, node) in stand.agents.iter().zip(&stand.world.nodes) {
        agent_runs(agent).with_context(|| format!("the agent of {}", node.label()))?;
    }
    alone::is_alone(stand)?;
    if stand.plan.peer.has_services() {
        return stand_services_answer(stand);
    }
    for ip in Ip::BOTH {
        let to = stand.target(1, Use::Http, ip);
        open(stand.client(), to, ANSWER).with_context(|| format!("{to} itself"))?;
        let service = objects::cluster_ip(1).at(ip, Use::Http.port());
        let answer = open(stand.client(), service, SILENCE);
        ensure!(
            answer.is_err(),
            "{service} answers, and there should be nobody who knows it"
        );
    }
    Ok(())
}

fn agent_runs(agent: &Proxy) -> Result<()> {
    let process = agent.process().context("does not run")?;
    match process.state() {
        Some('Z' | 'X') | None => bail!("does not run"),
        Some('T' | 't') => bail!("is stopped"),
        Some(_) => {}
    }
    if let Proxy::KubeProxy(proxy) = agent {
        let (said, mode) = (proxy.says_mode()?, proxy.mode());
        ensure!(said == mode.name(), "is in mode {said}, not in mode {}", mode.name());
    }
    Ok(())
}

/// The first and the last of the Services that are always there, where the client can reach it.
fn stand_services_answer(stand: &Stand) -> Result<()> {
    let count = stand.plan.objects.count();
    for n in [0, 1, count - 2, count - 1] {
        if stand.plan.impossible(n).is_some() {
            continue;
        }
        for ip in Ip::BOTH {
            let to = stand.target(n, Use::Http, ip);
            open(stand.client(), to, ANSWER).with_context(|| format!("{} at {to} is not reached", objects::name(n)))?;
        }
    }
    Ok(())
}

fn carries(stand: &Stand) -> Result<()> {
    let node = stand
        .plan
        .peer
        .serves_the_node()
        .then_some((From::Node, &**stand.node()));
    for (from, place) in std::iter::once((From::Pod, &**stand.client())).chain(node) {
        for ip in Ip::BOTH {
            let to = evidence::cluster_ip().at(ip, evidence::PORT);
            let who = || format!("a new service at {to}, dialled from {}", place.label());
            wait::until("reached", CHANGE, || {
                wait::pace(Instant::now() + SILENCE / 5);
                open(place, to, ANSWER).map(Some)
            })
            .with_context(who)?;
            let books = Books::open(stand, ip, from)?;
            let conversations = (0..CONVERSATIONS)
                .map(|_| open(place, to, ANSWER))
                .collect::<Result<Vec<_>>>()
                .with_context(who)?;
            let opened: Vec<Opened> = conversations.iter().map(|one| one.opened.clone()).collect();
            books.show(&opened).with_context(who)?;
        }
    }
    Ok(())
}

fn loses(stand: &Stand) -> Result<()> {
    for ip in Ip::BOTH {
        let to = evidence::cluster_ip().at(ip, evidence::PORT);
        wait::until_true("no longer reached", CHANGE, || {
            wait::pace(Instant::now() + SILENCE / 5);
            Ok(open(stand.client(), to, SILENCE).is_err())
        })
        .with_context(|| format!("a deleted service at {to}"))?;
    }
    stand_services_answer(stand)
}

fn open<'a>(place: &'a Place, to: SocketAddr, within: Duration) -> Result<Connection<'a>> {
    let how = Open {
        transport: Transport::Http,
        to,
        from: None,
        within,
    };
    Ok(place.peer()?.try_open(how)??)
}
