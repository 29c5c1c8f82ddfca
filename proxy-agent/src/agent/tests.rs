use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::json;

use super::*;
use crate::{
    desired::{DesiredService, FamilyKind},
    health::Health,
    model::Kind,
    testing::{cluster_ip, node_in, service, service_gone, set_node, set_service, settings},
    watch::{Change, Event},
};

/// Maps in memory, of which some writes fail.
#[derive(Debug, Default)]
struct Memory {
    services: BTreeMap<ServicePortId, DesiredService>,
    passes: Vec<Vec<String>>,
    nodes: usize,
    failing: BTreeSet<&'static str>,
    addresses: BTreeSet<IpAddr>,
    device: Option<&'static str>,
}

/// What the host may tell.
#[derive(Debug)]
enum News {
    Addresses(BTreeSet<IpAddr>),
    Device(Option<&'static str>),
}

impl Memory {
    fn host(&self) -> Vec<Failure> {
        let failure = |reason: &&str| Failure {
            of: Subject::Host("device eth0".to_owned()),
            reason: (*reason).to_owned(),
        };
        self.device.iter().map(failure).collect()
    }
}

impl DataPath for Memory {
    type News = News;

    fn host_changed(&mut self, news: News) -> Vec<Failure> {
        match news {
            News::Addresses(addresses) => self.addresses = addresses,
            News::Device(reason) => self.device = reason,
        }
        self.host()
    }

    fn addresses(&self) -> BTreeSet<IpAddr> {
        self.addresses.clone()
    }

    fn apply(&mut self, changes: &Changes) -> Vec<Failure> {
        assert!(changes.complete);
        self.nodes += usize::from(changes.node.is_some());
        self.passes
            .push(changes.services.keys().map(|id| id.name.to_string()).collect());
        let mut failures = Vec::new();
        for (id, service) in &changes.services {
            if self.failing.contains(&*id.name) {
                failures.push(Failure {
                    of: Subject::Service(id.clone()),
                    reason: "no room".to_owned(),
                });
                continue;
            }
            match service {
                Some(service) => self.services.insert(id.clone(), service.clone()),
                None => self.services.remove(id),
            };
        }
        failures
    }

    fn idle(&mut self) -> Vec<Failure> {
        self.host()
    }

    fn writes(&self) -> u64 {
        self.passes.len() as u64
    }
}

fn agent() -> Agent<Memory> {
    let settings = settings();
    Agent::new(&settings, Memory::default(), Arc::new(Health::new(&settings)))
}

fn everything_listed() -> Notice {
    Notice::changes(vec![
        Change::Service(Event::End),
        Change::Slice(Event::End),
        Change::Node(Event::End),
        Change::ServiceCidr(Event::Unavailable),
    ])
}

fn a_service(name: &str, n: u16) -> Notice {
    Notice::changes(vec![set_service(&service(
        name,
        &cluster_ip(FamilyKind::V4, n),
        &json!({}),
    ))])
}

#[test]
fn nothing_is_written_before_everything_is_known_and_then_all_of_it_at_once() {
    let mut agent = agent();
    let now = Instant::now();
    agent.notice(Notice::changes(vec![
        Change::Service(Event::End),
        Change::Node(Event::End),
    ]));
    agent.notice(a_service("a", 1));
    agent.notice(a_service("b", 2));
    agent.pass(now);
    assert!(agent.data_path.passes.is_empty());
    assert!(!agent.health.report(now).ready);
    agent.notice(Notice::changes(vec![
        Change::ServiceCidr(Event::Unavailable),
        Change::Slice(Event::End),
    ]));
    agent.pass(now);
    assert_eq!(agent.data_path.passes, [["a", "b"]]);
    assert!(agent.health.report(now).ready);
    agent.pass(now);
    assert_eq!(agent.data_path.passes.len(), 1);
}

#[test]
fn a_service_that_cannot_be_written_is_tried_again_and_stops_no_other() {
    let mut agent = agent();
    let mut now = Instant::now();
    agent.data_path.failing.insert("a");
    agent.notice(everything_listed());
    agent.notice(a_service("a", 1));
    agent.notice(a_service("b", 2));
    agent.pass(now);
    assert_eq!(agent.data_path.services.len(), 1);
    assert_eq!(agent.health.report(now).failures.len(), 1);

    agent.notice(a_service("c", 3));
    agent.pass(now);
    assert_eq!(agent.data_path.passes.last().map(Vec::len), Some(1));
    assert_eq!(agent.health.report(now).failures.len(), 1);

    now += agent.retry.wait(now).expect("a next try");
    agent.pass(now);
    assert_eq!(agent.data_path.passes.last(), Some(&vec!["a".to_owned()]));
    agent.data_path.failing.clear();
    now += agent.retry.wait(now).expect("a next try");
    agent.pass(now);
    assert_eq!(agent.data_path.services.len(), 3);
    let report = agent.health.report(now);
    assert!(report.ready && report.failures.is_empty());
    assert_eq!(agent.retry.wait(now), None);
}

/// A service that goes while it cannot be written needs no further try.
#[test]
fn a_failure_is_forgotten_with_its_service() {
    let mut agent = agent();
    let now = Instant::now();
    agent.data_path.failing.insert("a");
    agent.notice(everything_listed());
    agent.notice(a_service("a", 1));
    agent.pass(now);
    agent.data_path.failing.clear();
    agent.notice(Notice::changes(vec![
        Change::Service(Event::Begin),
        Change::Service(Event::End),
    ]));
    agent.pass(now);
    assert!(agent.health.report(now).failures.is_empty());
    assert_eq!(agent.retry.wait(now), None);
}

#[test]
fn what_the_host_cannot_do_is_shown_until_it_can() {
    let mut agent = agent();
    let now = Instant::now();
    agent.notice(everything_listed());
    agent.pass(now);
    agent.news(News::Device(Some("busy")));
    agent.pass(now);
    assert_eq!(
        agent.health.report(now).failures.get("device eth0").map(String::as_str),
        Some("busy")
    );
    assert_eq!(agent.retry.wait(now), None);
    agent.news(News::Device(None));
    assert!(agent.health.report(now).failures.is_empty());
}

#[test]
fn an_address_that_comes_to_the_node_reaches_the_services() {
    let mut agent = agent();
    let now = Instant::now();
    agent.notice(everything_listed());
    agent.notice(a_service("a", 1));
    agent.pass(now);
    let frontends = |agent: &Agent<Memory>| {
        agent
            .data_path
            .services
            .values()
            .map(|s| s.frontends.len())
            .sum::<usize>()
    };
    assert_eq!(frontends(&agent), 1);
    let address = cluster_ip(FamilyKind::V4, 1).parse().expect("an address");
    agent.news(News::Addresses(BTreeSet::from([address])));
    agent.pass(now);
    assert_eq!(frontends(&agent), 0);
}

#[test]
fn the_node_is_handed_over_at_first_and_when_it_changes() {
    let mut agent = agent();
    let now = Instant::now();
    agent.notice(everything_listed());
    agent.pass(now);
    assert_eq!(agent.data_path.nodes, 1);
    agent.notice(a_service("a", 1));
    agent.pass(now);
    assert_eq!(agent.data_path.nodes, 1);
    agent.notice(Notice::changes(vec![set_node(&node_in(Some("zone-a")))]));
    agent.pass(now);
    assert_eq!(agent.data_path.nodes, 2);
}

/// What is refused makes no change of what is wanted, so it must not wait for one.
#[test]
fn a_refused_field_is_told_by_log_metric_and_event_as_soon_as_it_is_read() {
    let (events, mut incidents) = Events::new();
    let mut agent = agent().telling(events);
    let now = Instant::now();
    agent.notice(everything_listed());
    agent.pass(now);
    let bad = service("a", "10.96.0.300", &json!({}));
    agent.notice(Notice::changes(vec![set_service(&bad)]));
    agent.pass(now);
    assert_eq!(agent.health.report(now).refused, 1);
    let line = "fairlead_refusals_total{kind=\"Service\",field=\"spec.clusterIPs[]\"} 1";
    let text = agent.health.metrics.text();
    assert!(text.contains(line), "{text}");
    let incident = incidents.try_recv().expect("an incident");
    assert_eq!(
        (incident.kind, incident.name.to_string()),
        (Kind::Service, "ns/a".to_owned())
    );
    assert_eq!(incident.note, "spec.clusterIPs[0]: \"10.96.0.300\": not an IP address");
    agent.notice(Notice::changes(vec![service_gone(&bad)]));
    agent.pass(now);
    assert_eq!(agent.health.report(now).refused, 0);
    incidents.try_recv().expect_err("nothing more is told");
}

#[test]
fn a_service_that_cannot_be_written_is_told_to_the_cluster_once() {
    let (events, mut incidents) = Events::new();
    let mut agent = agent().telling(events);
    let mut now = Instant::now();
    agent.data_path.failing.insert("a");
    agent.notice(everything_listed());
    agent.notice(a_service("a", 1));
    for _ in 0..3 {
        agent.pass(now);
        now += agent.retry.wait(now).expect("a next try");
    }
    let incident = incidents.try_recv().expect("an incident");
    assert_eq!(
        (incident.reason, incident.name.to_string()),
        ("NotProgrammed", "ns/a".to_owned())
    );
    incidents.try_recv().expect_err("it is told once");
}

#[test]
fn trouble_with_a_source_is_reported_and_changes_nothing() {
    let mut agent = agent();
    let now = Instant::now();
    agent.notice(everything_listed());
    agent.notice(a_service("a", 1));
    agent.pass(now);
    let trouble = |reason: Option<&str>| Notice::Trouble {
        source: "services",
        reason: reason.map(str::to_owned),
    };
    agent.notice(trouble(Some("connection refused")));
    agent.pass(now);
    let report = agent.health.report(now);
    assert_eq!(
        report.troubles.get("services").map(String::as_str),
        Some("connection refused")
    );
    assert!(report.ready && report.healthy);
    assert_eq!(agent.data_path.services.len(), 1);
    agent.notice(trouble(None));
    assert!(agent.health.report(now).troubles.is_empty());
}

#[test]
fn the_agent_takes_in_what_is_queued_and_ends_when_it_is_told_to() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (notices, notices_end) = tokio::sync::mpsc::channel(16);
    let (_news, news_end) = tokio::sync::mpsc::channel(16);
    let (stop, stop_end) = tokio::sync::mpsc::channel(1);
    let mut inbox = Inbox::new(runtime.handle().clone(), notices_end, news_end, stop_end);
    let (mut agent, health) = {
        let agent = agent();
        let health = Arc::clone(&agent.health);
        (agent, health)
    };
    for notice in [everything_listed(), a_service("a", 1), a_service("b", 2)] {
        notices.blocking_send(notice).expect("room");
    }
    let thread = std::thread::spawn(move || {
        agent.run(&mut inbox);
        agent.data_path.passes
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    while !health.report(Instant::now()).ready {
        assert!(Instant::now() < deadline, "not ready in time");
        std::thread::yield_now();
    }
    stop.blocking_send(()).expect("room");
    assert_eq!(thread.join().expect("ended"), [["a", "b"]]);
}
