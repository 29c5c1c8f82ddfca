use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use futures::stream;
use kube::Client;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc::channel, time::timeout};

use super::*;
use crate::model::{Complaint, Kind, ObjectName};

/// A server that has every object, takes every event, and remembers what it was asked.
#[derive(Clone, Default)]
pub(in crate::watch) struct Server(Arc<Mutex<Store>>);

#[derive(Default)]
struct Store {
    /// Method, path and query.
    requests: Vec<(Method, String, String)>,
    events: Vec<Value>,
    /// What it answers instead.
    answer: Option<StatusCode>,
    /// Whether it has no objects at all.
    empty: bool,
}

impl Server {
    /// Starts one, and makes a client of it.
    pub(in crate::watch) async fn start(&self) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = kube::Config::new(format!("http://{address}").parse().expect("a URL"));
        Client::try_from(config).expect("a client")
    }

    /// What it was asked: method, path and query.
    pub(in crate::watch) fn requests(&self) -> Vec<(Method, String, String)> {
        self.0.lock().expect("unpoisoned").requests.clone()
    }

    fn events(&self) -> Vec<Value> {
        self.0.lock().expect("unpoisoned").events.clone()
    }
}

async fn answer(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let mut store = server.0.lock().expect("unpoisoned");
    let request = (parts.method.clone(), parts.uri.path().to_owned(), query.clone());
    store.requests.push(request);
    if let Some(code) = store.answer {
        return status(code);
    }
    if parts.method == Method::POST {
        let event: Value = serde_json::from_slice(&body).expect("an object");
        let same = |known: &&Value| known["metadata"]["name"] == event["metadata"]["name"];
        if store.events.iter().find(same).is_some() {
            return status(StatusCode::CONFLICT);
        }
        store.events.push(event);
        return (StatusCode::CREATED, body).into_response();
    }
    if query.contains("watch=true") {
        return Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()).into_response();
    }
    let object = json!({"metadata": {"name": "svc", "namespace": "ns", "uid": "u-1"}});
    let items = if store.empty || !query.contains("metadata.name%3Dsvc") {
        json!([])
    } else {
        json!([object])
    };
    json!({"metadata": {"resourceVersion": "1"}, "items": items})
        .to_string()
        .into_response()
}

fn status(code: StatusCode) -> Response {
    let status = json!({
        "kind": "Status", "status": "Failure", "code": code.as_u16(), "message": "no", "reason": "No",
    });
    (code, status.to_string()).into_response()
}

/// Two fields of one object.
pub(in crate::watch) fn refusals(kind: Kind) -> Vec<Incident> {
    let complaint = |field: &str| Complaint {
        kind,
        name: ObjectName {
            namespace: "ns".into(),
            name: "svc".into(),
        },
        field: field.to_owned(),
        reason: "wrong".to_owned(),
    };
    of_refusals(&[complaint("spec.clusterIP"), complaint("spec.ports[0].port")])
}

/// Writes incidents as a node of this name does, and says what became of them.
async fn written(server: &Server, node: &str, incidents: Vec<Incident>) -> Vec<Outcome> {
    let (sender, receiver) = channel(16);
    for incident in incidents {
        sender.send(incident).await.expect("room");
    }
    drop(sender);
    let outcomes = Mutex::new(Vec::new());
    let client = server.start().await;
    let all = write(client, node.to_owned(), receiver, |outcome| {
        outcomes.lock().expect("unpoisoned").push(outcome);
    });
    timeout(Duration::from_secs(30), all).await.expect("in time");
    outcomes.into_inner().expect("unpoisoned")
}

#[tokio::test]
async fn what_every_node_sees_is_told_by_one_of_them() {
    let server = Server::default();
    let twice = [refusals(Kind::Service), refusals(Kind::Service)].concat();
    assert_eq!(written(&server, "a", twice).await, [Outcome::Told, Outcome::Known]);
    assert_eq!(written(&server, "b", refusals(Kind::Service)).await, [Outcome::Known]);
    let events = server.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["note"], "spec.clusterIP: wrong; spec.ports[0].port: wrong");
    assert_eq!(
        events[0]["regarding"],
        json!({"apiVersion": "v1", "kind": "Service", "namespace": "ns", "name": "svc", "uid": "u-1"})
    );
    let texts = ["type", "reason", "reportingController", "reportingInstance"].map(|field| &events[0][field]);
    assert_eq!(texts, ["Warning", "FieldRefused", "fairlead", "a"]);
    let name = events[0]["metadata"]["name"].as_str().expect("a name");
    assert!(name.starts_with("svc.") && name.len() == 20, "{name}");
}

#[tokio::test]
async fn what_happens_to_a_node_is_told_by_it_each_time() {
    let server = Server::default();
    let begins = || Incident::of_node("svc", "Starting", "begins".to_owned(), false);
    let outcomes = written(&server, "svc", vec![begins(), begins()]).await;
    assert_eq!(outcomes, [Outcome::Told, Outcome::Told]);
    let event = &server.events()[0];
    assert_eq!(
        (&event["type"], &event["metadata"]["namespace"]),
        (&json!("Normal"), &json!("default"))
    );
    assert_eq!(
        event["regarding"],
        json!({"apiVersion": "v1", "kind": "Node", "name": "svc", "uid": "svc"})
    );
}

#[tokio::test]
async fn an_object_that_is_gone_needs_no_event() {
    let server = Server::default();
    server.0.lock().expect("unpoisoned").empty = true;
    assert_eq!(
        written(&server, "a", refusals(Kind::EndpointSlice)).await,
        [Outcome::Lost]
    );
    assert_eq!(server.events(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_server_that_forbids_events_is_not_asked_again_and_again() {
    let server = Server::default();
    server.0.lock().expect("unpoisoned").answer = Some(StatusCode::FORBIDDEN);
    assert_eq!(written(&server, "a", refusals(Kind::Service)).await, [Outcome::Lost]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn nobody_waits_for_an_event() {
    let (events, _incidents) = Events::new();
    let begins = || Incident::of_node("a", "Starting", "begins".to_owned(), false);
    let told = (0..10_000).filter(|_| events.tell(begins())).count();
    assert_eq!(told, WAITING);
    assert!(Events::default().tell(begins()));
}

#[test]
fn a_note_has_room_for_what_the_api_takes() {
    let complaint = |n: usize| Complaint {
        kind: Kind::EndpointSlice,
        name: ObjectName {
            namespace: "ns".into(),
            name: "svc-1".into(),
        },
        field: format!("endpoints[{n}].addresses[0]"),
        reason: "x".repeat(200),
    };
    let incidents = of_refusals(&(0..32).map(complaint).collect::<Vec<_>>());
    assert_eq!(incidents.len(), 1);
    let note = &incidents[0].note;
    assert!(note.len() <= 1024 && note.ends_with(" more"), "{note}");
}
