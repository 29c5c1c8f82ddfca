//! The answers: `/healthz`, `/livez`, `/readyz`; `/metrics`, `/proxyMode`; `/status`.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tokio::{
    net::{TcpListener, UnixListener},
    time::sleep,
};
use tracing::{info, warn};

use crate::watch::events::{Events, Incident, Outcome};

use super::{Health, clock::go_text, socket};

/// How long to wait after an address could not be bound (B-129).
const AGAIN: Duration = Duration::from_secs(5);

type Shared = State<Arc<Health>>;

/// Answers `/healthz`, `/livez` and `/readyz` at an address, for ever.
pub async fn healthz(health: Arc<Health>, address: SocketAddr, events: Events) -> Infallible {
    let alarm = Alarm::new(&health, events, "FailedToStartProxierHealthcheck");
    let router = Router::new()
        .route("/healthz", get(answer_healthz))
        .route("/livez", get(answer_livez))
        .route("/readyz", get(answer_readyz))
        .with_state(health);
    at(address, "healthz", router, alarm).await
}

/// Answers `/metrics`, `/proxyMode` and a `/healthz` that is always well at an address, for ever.
pub async fn metrics(health: Arc<Health>, address: SocketAddr, events: Events) -> Infallible {
    let alarm = Alarm::new(&health, events, "FailedToStartMetricServer");
    let router = Router::new()
        .route("/metrics", get(answer_metrics))
        .route("/proxyMode", get(async |State(health): Shared| health.mode_name()))
        .route("/healthz", get(async || "ok"))
        .with_state(health);
    at(address, "metrics", router, alarm).await
}

/// Answers `/status` on the socket that belongs to a folder of pins, as long as it can be made.
pub async fn status(health: Arc<Health>, state: &Path) {
    let router = Router::new().route("/status", get(answer_status)).with_state(health);
    let served = match listen(state) {
        Ok(listener) => axum::serve(listener, router).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        warn!("the socket for `fairlead status`: {error}: it sees the maps only");
    }
}

fn listen(state: &Path) -> io::Result<UnixListener> {
    let listener = std::os::unix::net::UnixListener::bind_addr(&socket::address(state)?)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Tells the cluster that something cannot be answered (B-186).
struct Alarm {
    health: Arc<Health>,
    events: Events,
    reason: &'static str,
}

impl Alarm {
    fn new(health: &Arc<Health>, events: Events, reason: &'static str) -> Self {
        Alarm {
            health: Arc::clone(health),
            events,
            reason,
        }
    }

    fn raise(&self, note: String) {
        let incident = Incident::of_node(&self.health.node, self.reason, note, true);
        if !self.events.tell(incident) {
            self.health.metrics.event(Outcome::Lost);
        }
    }
}

async fn at(address: SocketAddr, what: &str, router: Router, alarm: Alarm) -> Infallible {
    let mut told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                info!(%address, "{what} is answered");
                told = false;
                if let Err(error) = axum::serve(listener, router.clone()).await {
                    warn!("{what} at {address}: {error}");
                }
            }
            Err(error) if !told => {
                told = true;
                warn!("{what} at {address}: {error}; tried again until it can be bound");
                alarm.raise(format!("{what} at {address}: {error}"));
            }
            Err(_) => {}
        }
        sleep(AGAIN).await;
    }
}

async fn answer_healthz(State(health): Shared) -> Response {
    let now = Instant::now();
    let eligible = health.is_node_eligible();
    let status = code(health.is_healthy(now) && eligible);
    health.metrics.answered_healthz(status.as_u16());
    let body = json!({
        "lastUpdated": go_text(health.updated(now)),
        "currentTime": go_text(SystemTime::now()),
        "nodeEligible": eligible,
    });
    as_json(status, &body)
}

async fn answer_livez(State(health): Shared) -> Response {
    let now = Instant::now();
    let status = code(health.is_alive(now));
    health.metrics.answered_livez(status.as_u16());
    let body = json!({
        "lastUpdated": go_text(health.updated(now)),
        "currentTime": go_text(SystemTime::now()),
    });
    as_json(status, &body)
}

async fn answer_readyz(State(health): Shared) -> Response {
    as_json(code(health.is_ready()), &json!(health.report(Instant::now())))
}

async fn answer_status(State(health): Shared) -> Response {
    as_json(StatusCode::OK, &json!(health.report(Instant::now())))
}

async fn answer_metrics(State(health): Shared) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], health.metrics.text()).into_response()
}

const fn code(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

fn as_json(status: StatusCode, body: &serde_json::Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body.to_string()).into_response()
}
