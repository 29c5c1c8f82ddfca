//! What deploy/ says to the API server: its manifests are objects of the API, and the role lets the agent ask what it asks
//! and nothing else.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use axum::http::Method;
use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{ConfigMap, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{sync::mpsc::channel, time::timeout};

use crate::{model::Kind, testing::NODE};

use super::{
    Feed, api,
    events::{
        Incident,
        tests::{Server, refusals},
        write,
    },
};

/// A right: group, resource and verb.
type Right = (String, String, String);

/// The rights that a request needs.
fn needed((method, path, query): &(Method, String, String)) -> Right {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    // `api/v1/...` or `apis/GROUP/v1/...`.
    let (group, rest) = match parts.as_slice() {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => panic!("{path}"),
    };
    let resource = match rest {
        ["namespaces", _, resource] | [resource] => *resource,
        _ => panic!("{path}"),
    };
    let verb = if *method == Method::POST {
        "create"
    } else if query.contains("watch=true") {
        "watch"
    } else {
        "list"
    };
    (group.to_owned(), resource.to_owned(), verb.to_owned())
}

/// The documents of a file of deploy/.
fn documents(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file);
    let text = fs::read_to_string(path).expect("the manifest");
    serde_saphyr::from_multiple(&text).expect("documents")
}

/// Everything that the ClusterRole lets.
fn granted() -> BTreeSet<Right> {
    let documents = documents("rbac.yaml");
    let role = documents.iter().find(|document| document["kind"] == "ClusterRole");
    let texts = |rule: &Value, field: &str| -> Vec<String> {
        let list = rule[field].as_array().expect("a list");
        list.iter()
            .map(|text| text.as_str().expect("a text").to_owned())
            .collect()
    };
    let mut rights = BTreeSet::new();
    for rule in role.expect("a role")["rules"].as_array().expect("rules") {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                let verbs = texts(rule, "verbs").into_iter();
                rights.extend(verbs.map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    rights
}

#[tokio::test]
async fn the_role_lets_the_agent_do_what_it_does_and_no_more() {
    let server = Server::default();
    let client = server.start().await;
    let (feed, _notices) = Feed::new();
    let (sender, incidents) = channel(16);
    let kinds = [Kind::Service, Kind::EndpointSlice, Kind::ServiceCidr];
    let mut all: Vec<Incident> = kinds.into_iter().flat_map(refusals).collect();
    all.push(Incident::of_node(NODE, "Starting", String::new(), false));
    for incident in all {
        sender.send(incident).await.expect("room");
    }
    drop(sender);
    write(client.clone(), NODE.to_owned(), incidents, |_| {}).await;
    let granted = granted();
    let asked = || server.requests().iter().map(needed).collect::<BTreeSet<_>>();
    let watched = async {
        while asked().len() < granted.len() {
            tokio::task::yield_now().await;
        }
    };
    let waited = timeout(Duration::from_secs(30), async {
        tokio::select! {
            () = api::follow(client, NODE, feed) => {}
            () = watched => {}
        }
    });
    waited.await.expect("everything is asked for in time");
    assert_eq!(asked(), granted);
}

/// Whether a document is an object of a kind, and has no field that the API does not know.
fn is_whole<T: DeserializeOwned + Serialize>(document: &Value) -> bool {
    let object: T = serde_json::from_value(document.clone()).expect("an object");
    serde_json::to_value(&object).expect("a document") == *document
}

#[test]
fn the_manifests_are_objects_of_the_api() {
    let kustomization = documents("kustomization.yaml").remove(0);
    let files = kustomization["resources"].as_array().expect("a list");
    let files = files.iter().map(|file| file.as_str().expect("a text"));
    for document in files.chain(["cleanup.yaml"]).flat_map(documents) {
        let kind = document["kind"].as_str().expect("a kind");
        let whole = match kind {
            "ServiceAccount" => is_whole::<ServiceAccount>(&document),
            "ClusterRole" => is_whole::<ClusterRole>(&document),
            "ClusterRoleBinding" => is_whole::<ClusterRoleBinding>(&document),
            "ConfigMap" => is_whole::<ConfigMap>(&document),
            "DaemonSet" => is_whole::<DaemonSet>(&document),
            _ => panic!("{kind}: a kind that nothing is deployed by"),
        };
        assert!(whole, "{kind} {}", document["metadata"]["name"]);
    }
}
