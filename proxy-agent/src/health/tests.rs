use std::collections::BTreeMap;

use rstest::rstest;

use super::*;
use crate::{
    desired::{FamilyKind, Protocol, ServicePortId},
    testing::settings,
};

fn health() -> Health {
    Health::new(&settings())
}

fn pass(began: Instant, node_eligible: bool) -> Pass {
    Pass {
        began,
        took: Duration::from_millis(1),
        changed: Counts::default(),
        node_eligible,
    }
}

fn a_failure() -> BTreeMap<Subject, String> {
    let id = ServicePortId {
        namespace: "ns".into(),
        name: "svc".into(),
        port: "http".into(),
        protocol: Protocol::Tcp,
        family: FamilyKind::V4,
    };
    BTreeMap::from([(Subject::Service(id), "no room".to_owned())])
}

/// Rows 217 to 220 of the behaviour tables: seconds since a change was queued, and whether it could be written.
#[rstest]
#[case::nothing_is_queued(None, true)]
#[case::queued_a_moment_ago(Some(59), true)]
#[case::queued_long_ago(Some(61), false)]
fn health_is_lost_with_a_change_that_waits_for_a_minute(#[case] queued: Option<u64>, #[case] healthy: bool) {
    let health = health();
    let start = Instant::now();
    if queued.is_some() {
        health.pending(start);
        health.passed(&pass(start, true), &a_failure());
    }
    let now = start + Duration::from_secs(queued.unwrap_or_default());
    health.beat(now);
    assert_eq!(health.is_healthy(now), healthy);
    assert!(health.is_alive(now));
    health.passed(&pass(now, true), &BTreeMap::new());
    assert!(health.is_healthy(now));
}

#[test]
fn an_agent_that_does_not_come_round_is_not_alive() {
    let health = health();
    let start = Instant::now();
    assert!(health.is_alive(start + PATIENCE / 2));
    assert!(!health.is_alive(start + PATIENCE));
}

#[test]
fn an_agent_is_ready_when_all_is_in_the_maps_and_nothing_fails() {
    let health = health();
    let start = Instant::now();
    assert!(!health.is_ready());
    health.passed(&pass(start, true), &a_failure());
    assert!(!health.is_ready());
    health.passed(&pass(start, true), &BTreeMap::new());
    assert!(health.is_ready());
    health.failures(&a_failure());
    assert!(!health.is_ready());
    assert_eq!(
        health
            .report(start)
            .failures
            .get("service ns/svc:http")
            .map(String::as_str),
        Some("no room")
    );
}

#[test]
fn a_device_that_cannot_be_served_keeps_the_agent_from_being_ready_but_not_from_being_healthy() {
    let health = health();
    let start = Instant::now();
    let device = BTreeMap::from([(Subject::Host("device eth0".to_owned()), "busy".to_owned())]);
    health.pending(start);
    health.passed(&pass(start, true), &device);
    health.beat(start + PATIENCE);
    assert!(!health.is_ready());
    assert!(health.is_healthy(start + PATIENCE));
    health.failures(&BTreeMap::new());
    assert!(health.is_ready());
}

#[test]
fn a_node_that_is_leaving_is_healthy_but_not_eligible() {
    let health = health();
    let start = Instant::now();
    health.passed(&pass(start, false), &BTreeMap::new());
    assert!(health.is_healthy(start));
    assert!(!health.is_node_eligible());
}

#[test]
fn metrics_have_the_names_of_kube_proxy() {
    let health = health();
    health.metrics.answered_healthz(200);
    let text = health.metrics.text();
    for name in [
        "kubeproxy_sync_proxy_rules_duration_seconds_bucket",
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
        "kubeproxy_sync_proxy_rules_service_changes_total",
        "kubeproxy_network_programming_duration_seconds_count",
        "kubeproxy_proxy_healthz_total{code=\"200\"} 1",
        "fairlead_failures 0",
    ] {
        assert!(text.contains(name), "{name} is missing in:\n{text}");
    }
}

#[test]
fn a_change_is_timed_from_when_it_was_made_unless_that_was_before_the_agent() {
    let before = SystemTime::now() - Duration::from_secs(60);
    let health = health();
    health.programmed(&[before, SystemTime::now()]);
    let text = health.metrics.text();
    let count = "kubeproxy_network_programming_duration_seconds_count 1\n";
    assert!(text.contains(count), "{text}");
}

#[test]
fn a_running_agent_is_found_by_the_folder_of_its_pins() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().to_owned();
    assert_eq!(ask(&state), None);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let health = std::sync::Arc::new(health());
    let (served, at) = (std::sync::Arc::clone(&health), state.clone());
    runtime.spawn(async move { serve::status(served, &at).await });
    let deadline = Instant::now() + Duration::from_secs(20);
    let report = loop {
        if let Some(report) = ask(&state) {
            break report;
        }
        assert!(Instant::now() < deadline, "no answer in time");
        std::thread::yield_now();
    };
    assert_eq!((report.node.as_str(), report.ready), ("test-node", false));
    assert_eq!(
        ask(&state.join("..").join(state.file_name().expect("a name"))),
        Some(report)
    );
    runtime.shutdown_background();
}
