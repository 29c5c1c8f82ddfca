//! What is counted: kube-proxy's names where they mean the same here (B-155 to B-163), and our own.

use std::{
    sync::{Mutex, PoisonError, atomic::AtomicU64},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::text::encode,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use crate::{model::Complaint, watch::events::Outcome};

use super::Pass;

/// The answers of an endpoint, by status code.
type Answers = Family<[(&'static str, String); 1], Counter>;
/// Refused fields, by kind of object and field.
type Refused = Family<[(&'static str, String); 2], Counter>;
/// Events, by what became of them.
type Events = Family<[(&'static str, &'static str); 1], Counter>;
type Seconds = Gauge<f64, AtomicU64>;

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    pass_seconds: Histogram,
    programming_seconds: Histogram,
    following_seconds: Histogram,
    last_pass: Seconds,
    last_queued: Seconds,
    services_changed: Counter,
    slices_changed: Counter,
    passes_failed: Counter,
    failures: Gauge,
    refused: Gauge,
    refusals: Refused,
    events: Events,
    healthz: Answers,
    livez: Answers,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Metrics {
            registry: Mutex::new(Registry::default()),
            pass_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            programming_seconds: Histogram::new(programming_buckets()),
            // A quarter from one to the next, from 50 microseconds to half a second.
            following_seconds: Histogram::new(exponential_buckets(0.000_05, 1.25, 42)),
            last_pass: Seconds::default(),
            last_queued: Seconds::default(),
            services_changed: Counter::default(),
            slices_changed: Counter::default(),
            passes_failed: Counter::default(),
            failures: Gauge::default(),
            refused: Gauge::default(),
            refusals: Refused::default(),
            events: Events::default(),
            healthz: Answers::default(),
            livez: Answers::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let proxy = registry.sub_registry_with_prefix("kubeproxy");
        proxy.register(
            "sync_proxy_rules_duration_seconds",
            "How long a pass took",
            self.pass_seconds.clone(),
        );
        proxy.register(
            "network_programming_duration_seconds",
            "From an endpoint's change in the cluster to the maps",
            self.programming_seconds.clone(),
        );
        let last = "When everything that is wanted was in the maps last";
        proxy.register("sync_proxy_rules_last_timestamp_seconds", last, self.last_pass.clone());
        proxy.register(
            "sync_proxy_rules_last_queued_timestamp_seconds",
            "When a change was queued last",
            self.last_queued.clone(),
        );
        let services = "Changes of Services that made a difference";
        proxy.register(
            "sync_proxy_rules_service_changes",
            services,
            self.services_changed.clone(),
        );
        let slices = "Changes of EndpointSlices that made a difference";
        proxy.register("sync_proxy_rules_endpoint_changes", slices, self.slices_changed.clone());
        proxy.register("proxy_healthz", "Answers of /healthz by status", self.healthz.clone());
        proxy.register("proxy_livez", "Answers of /livez by status", self.livez.clone());
        let own = registry.sub_registry_with_prefix("fairlead");
        own.register(
            "following_seconds",
            "From a change that was read from a source to the maps",
            self.following_seconds.clone(),
        );
        own.register(
            "passes_failed",
            "Passes after which something was missing",
            self.passes_failed.clone(),
        );
        own.register(
            "failures",
            "What cannot be written at the moment",
            self.failures.clone(),
        );
        own.register("refused", "Fields of objects that cannot be used", self.refused.clone());
        own.register(
            "refusals",
            "Fields that were found unusable, by kind of object and field",
            self.refusals.clone(),
        );
        own.register(
            "events",
            "Events for the API server, by what became of them",
            self.events.clone(),
        );
    }

    /// Adds what others count.
    pub fn add(&self, collector: Box<dyn Collector>) {
        self.registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .register_collector(collector);
    }

    /// All of it in the OpenMetrics text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a text cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }

    /// An endpoint's change, made at a time, is in the maps.
    pub(super) fn programmed(&self, since: Duration) {
        self.programming_seconds.observe(since.as_secs_f64());
    }

    /// A change is in the maps, so long after it was read.
    pub(super) fn followed(&self, after: Duration) {
        self.following_seconds.observe(after.as_secs_f64());
    }

    pub(super) fn queued(&self, now: SystemTime) {
        self.last_queued.set(since_epoch(now));
    }

    pub(super) fn passed(&self, pass: &Pass, failures: usize, now: SystemTime) {
        self.pass_seconds.observe(pass.took.as_secs_f64());
        self.services_changed.inc_by(pass.changed.services);
        self.slices_changed.inc_by(pass.changed.slices);
        self.failures(failures);
        if failures == 0 {
            self.last_pass.set(since_epoch(now));
        } else {
            self.passes_failed.inc();
        }
    }

    pub(super) fn refused(&self, refused: usize, complaints: &[Complaint]) {
        self.refused.set(number(refused));
        for complaint in complaints {
            let labels = [
                ("kind", complaint.kind.name().to_owned()),
                ("field", complaint.pattern()),
            ];
            self.refusals.get_or_create(&labels).inc();
        }
    }

    /// Something was to be told to the cluster.
    pub fn event(&self, outcome: Outcome) {
        self.events.get_or_create(&[("outcome", outcome.name())]).inc();
    }

    pub(super) fn failures(&self, failures: usize) {
        self.failures.set(number(failures));
    }

    pub(super) fn answered_healthz(&self, status: u16) {
        self.healthz.get_or_create(&[("code", status.to_string())]).inc();
    }

    pub(super) fn answered_livez(&self, status: u16) {
        self.livez.get_or_create(&[("code", status.to_string())]).inc();
    }
}

/// Of B-162.
fn programming_buckets() -> impl Iterator<Item = f64> {
    let seconds = (1..60).chain((60..120).step_by(5)).chain((120..=300).step_by(30));
    [0.25, 0.5].into_iter().chain(seconds.map(f64::from))
}

fn since_epoch(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
