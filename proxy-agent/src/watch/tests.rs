use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use futures::StreamExt as _;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::mpsc::{Receiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

use super::*;
use crate::{
    agent::Objects,
    desired::{Changes, FamilyKind},
    testing::{NODE, cluster_ip, endpoint, service, settings, slice},
};

/// What the server has, and who watches it. Paths are those of the API.
#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Vec<Value>>,
    watchers: BTreeMap<String, Vec<UnboundedSender<Bytes>>>,
    requests: Vec<String>,
    version: u64,
    /// Everything that has happened since: path, version, line.
    events: Vec<(String, u64, Bytes)>,
    /// Whether it says of what it does not have that it may not be seen.
    forbidding: bool,
}

type Shared = Arc<Mutex<Store>>;

const SERVICES: &str = "/api/v1/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
const NODES: &str = "/api/v1/nodes";
const CIDRS: &str = "/apis/networking.k8s.io/v1/servicecidrs";

/// A server that speaks as much of the API as a watch needs.
struct Server {
    store: Shared,
    address: SocketAddr,
    /// Its connections end with it.
    runtime: Option<Runtime>,
}

impl Server {
    fn start(paths: &[&str]) -> Self {
        let store = Shared::default();
        for path in paths {
            store
                .lock()
                .expect("unpoisoned")
                .objects
                .insert((*path).to_owned(), Vec::new());
        }
        let mut server = Server {
            store,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            runtime: None,
        };
        server.go_on();
        server
    }

    /// Serves, at the same address as before.
    fn go_on(&mut self) {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = std::net::TcpListener::bind(self.address).expect("bound");
        listener.set_nonblocking(true).expect("set");
        self.address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(answer).with_state(Arc::clone(&self.store));
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, router).await.expect("served");
        });
        self.runtime = Some(runtime);
    }

    /// The server goes, with all its connections.
    fn stop(&mut self) {
        let runtime = self.runtime.take().expect("it was there");
        std::thread::spawn(|| drop(runtime)).join().expect("gone");
        self.store.lock().expect("unpoisoned").watchers.clear();
    }

    /// An object comes into being, changes or goes, and watchers are told.
    fn tell(&self, path: &str, kind: &str, object: &Value) {
        let mut store = self.store.lock().expect("unpoisoned");
        store.version += 1;
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = json!(store.version.to_string());
        let name = object["metadata"]["name"].clone();
        let objects = store.objects.entry(path.to_owned()).or_default();
        objects.retain(|known| known["metadata"]["name"] != name);
        if kind != "DELETED" {
            objects.push(object.clone());
        }
        let line = Bytes::from(format!("{}\n", json!({"type": kind, "object": object})));
        let version = store.version;
        store.events.push((path.to_owned(), version, line.clone()));
        store.send(path, &line);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Store {
    fn send(&mut self, path: &str, line: &Bytes) {
        self.watchers
            .entry(path.to_owned())
            .or_default()
            .retain(|watcher| watcher.send(line.clone()).is_ok());
    }
}

async fn answer(State(store): State<Shared>, request: Request) -> Response {
    let mut store = store.lock().expect("unpoisoned");
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    store.requests.push(format!("{path}?{query}"));
    let Some(objects) = store.objects.get(&path) else {
        let (code, reason) = match store.forbidding {
            false => (StatusCode::NOT_FOUND, "NotFound"),
            true => (StatusCode::FORBIDDEN, "Forbidden"),
        };
        let status =
            json!({"kind": "Status", "status": "Failure", "code": code.as_u16(), "reason": reason, "message": "no"});
        return (code, status.to_string()).into_response();
    };
    if query.contains("watch=true") {
        let (sender, receiver) = unbounded_channel();
        let since = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("resourceVersion=")?.parse().ok())
            .unwrap_or(0);
        for (_, _, line) in store
            .events
            .iter()
            .filter(|(of, version, _)| *of == path && *version > since)
        {
            sender.send(line.clone()).expect("there is a receiver");
        }
        store.watchers.entry(path).or_default().push(sender);
        let lines = futures::stream::unfold(receiver, async |mut receiver| {
            let line = receiver.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(line), receiver))
        });
        return Body::from_stream(lines.boxed()).into_response();
    }
    let list = json!({"metadata": {"resourceVersion": store.version.to_string()}, "items": objects});
    list.to_string().into_response()
}

/// A follower and what it makes of what it hears.
struct Follower {
    objects: Objects,
    notices: Receiver<Notice>,
    troubles: BTreeMap<&'static str, String>,
    services: BTreeMap<String, usize>,
}

impl Follower {
    fn new(address: SocketAddr) -> Self {
        let config = kube::Config::new(format!("http://{address}").parse().expect("a URL"));
        let client = kube::Client::try_from(config).expect("a client");
        let (feed, notices) = Feed::new();
        tokio::spawn(async move { api::follow(client, NODE, feed).await });
        Follower {
            objects: Objects::new(&settings()),
            notices,
            troubles: BTreeMap::new(),
            services: BTreeMap::new(),
        }
    }

    fn take_in(&mut self, changes: Changes) {
        for (id, service) in changes.services {
            match service {
                Some(service) => self.services.insert(id.to_string(), service.endpoints.len()),
                None => self.services.remove(&id.to_string()),
            };
        }
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let waited = timeout(Duration::from_secs(30), async {
            while !holds(self) {
                match self.notices.recv().await.expect("a follower that goes on") {
                    Notice::Changes { changes, .. } => changes.into_iter().for_each(|change| self.objects.take(change)),
                    Notice::Trouble {
                        source,
                        reason: Some(reason),
                    } => {
                        self.troubles.insert(source, reason);
                    }
                    Notice::Trouble { source, reason: None } => {
                        self.troubles.remove(source);
                    }
                }
                if let Some(changes) = self.objects.wanted() {
                    self.take_in(changes);
                }
            }
        });
        assert!(
            waited.await.is_ok(),
            "{what}: not in time; {:?} {:?}",
            self.services,
            self.troubles
        );
    }

    async fn until_services(&mut self, expected: &[(&str, usize)]) {
        let expected: BTreeMap<String, usize> = expected.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        self.until("services", |follower| follower.services == expected).await;
    }
}

fn a_service(name: &str, n: u16) -> Value {
    service(name, &cluster_ip(FamilyKind::V4, n), &json!({}))
}

fn a_slice(of: &str, count: u16) -> Value {
    let endpoints: Vec<Value> = (1..=count)
        .map(|n| json!({"addresses": [endpoint(FamilyKind::V4, n)]}))
        .collect();
    slice(&format!("{of}-1"), of, FamilyKind::V4, &endpoints)
}

#[tokio::test]
async fn lists_are_followed_by_changes() {
    let server = Server::start(&[SERVICES, SLICES, NODES, CIDRS]);
    server.tell(SERVICES, "ADDED", &a_service("a", 1));
    server.tell(SLICES, "ADDED", &a_slice("a", 2));
    let mut follower = Follower::new(server.address);
    follower.until_services(&[("ns/a", 2)]).await;
    server.tell(SERVICES, "ADDED", &a_service("b", 2));
    server.tell(SLICES, "MODIFIED", &a_slice("a", 3));
    follower.until_services(&[("ns/a", 3), ("ns/b", 0)]).await;
    server.tell(SERVICES, "DELETED", &a_service("a", 1));
    follower.until_services(&[("ns/b", 0)]).await;
}

#[tokio::test]
async fn only_what_is_ours_is_asked_for() {
    let server = Server::start(&[SERVICES, SLICES, NODES, CIDRS]);
    Follower::new(server.address)
        .until("complete", |follower| follower.objects.is_complete())
        .await;
    let requests = server.store.lock().expect("unpoisoned").requests.join("\n");
    let without = "labelSelector=%21service.kubernetes.io%2F";
    for wanted in [
        format!("{SERVICES}?&{without}service-proxy-name"),
        format!("{SLICES}?&{without}headless"),
        format!("{NODES}?&fieldSelector=metadata.name%3D{NODE}"),
    ] {
        assert!(requests.contains(&wanted), "{wanted} is not among\n{requests}");
    }
}

#[rstest]
#[case::not_there(false)]
#[case::not_shown(true)]
#[tokio::test]
async fn a_kind_that_the_server_does_not_have_is_not_waited_for(#[case] forbidding: bool) {
    let server = Server::start(&[SERVICES, SLICES]);
    server.store.lock().expect("unpoisoned").forbidding = forbidding;
    server.tell(SERVICES, "ADDED", &a_service("a", 1));
    let mut follower = Follower::new(server.address);
    follower.until_services(&[("ns/a", 0)]).await;
    assert_eq!(follower.troubles.get("nodes"), None);
    assert_eq!(follower.troubles.get("servicecidrs"), None);
}

#[tokio::test]
async fn services_that_cannot_be_listed_are_waited_for() {
    let server = Server::start(&[SLICES, NODES, CIDRS]);
    let mut follower = Follower::new(server.address);
    follower
        .until("trouble", |follower| follower.troubles.contains_key("services"))
        .await;
    assert!(!follower.objects.is_complete());
    server.tell(SERVICES, "ADDED", &a_service("a", 1));
    follower.until_services(&[("ns/a", 0)]).await;
    assert!(!follower.troubles.contains_key("services"));
}

/// While the server is away nothing changes; what happened meanwhile is a difference when it is back.
#[rstest]
#[case::from_where_it_was(false)]
#[case::by_a_new_list(true)]
#[tokio::test]
async fn a_server_that_was_away_is_caught_up_with(#[case] forgetful: bool) {
    let mut server = Server::start(&[SERVICES, SLICES, NODES, CIDRS]);
    server.tell(SERVICES, "ADDED", &a_service("stays", 1));
    server.tell(SERVICES, "ADDED", &a_service("goes", 2));
    let mut follower = Follower::new(server.address);
    follower.until_services(&[("ns/goes", 0), ("ns/stays", 0)]).await;
    server.stop();
    server.tell(SERVICES, "DELETED", &a_service("goes", 2));
    server.tell(SERVICES, "ADDED", &a_service("comes", 3));
    follower
        .until("trouble", |follower| follower.troubles.contains_key("services"))
        .await;
    follower.until_services(&[("ns/goes", 0), ("ns/stays", 0)]).await;
    if forgetful {
        // What follows the version that the follower knows cannot be told any more: it has to list again.
        let status = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "old", "status": "Failure"});
        let line = Bytes::from(format!("{}\n", json!({"type": "ERROR", "object": status})));
        let events = &mut server.store.lock().expect("unpoisoned").events;
        events.clear();
        events.push((SERVICES.to_owned(), 4, line));
    }
    server.go_on();
    follower.until_services(&[("ns/comes", 0), ("ns/stays", 0)]).await;
}
