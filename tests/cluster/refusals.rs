//! What the API server takes and no proxy can use is refused alone.

use anyhow::Result;
use serde_json::json;
use tests::cluster::World;
use tests::plan::cluster_ip;
use tests::wait;

use crate::support::{Cluster, service};

#[test]
fn what_cannot_be_used_is_named_and_the_rest_is_used() -> Result<()> {
    let world = World::one_node().pods(3).build()?;
    let good = service(&world, "good", 10, &[1]);
    let mixed = service(&world, "mixed", 11, &[2]);
    let mixed_v4 = mixed.objects()[1].clone();
    let cluster = Cluster::start(world, &[good.clone(), mixed])?;

    // An endpoint that would lead to a service, and a port that says "all of them".
    let mut unusable = mixed_v4.clone();
    let endpoint = json!({ "addresses": [cluster_ip(10).v4], "conditions": { "ready": true } });
    unusable["endpoints"]
        .as_array_mut()
        .into_iter()
        .for_each(|list| list.push(endpoint.clone()));
    cluster.api.put(&unusable)?;
    let mut without_number = good.objects()[1].clone();
    without_number["metadata"]["name"] = "good-without-number".into();
    without_number["ports"] = json!([{ "name": "tcp-80", "protocol": "TCP" }]);
    cluster.api.put(&without_number)?;

    cluster.until_status("both are refused", |agent| agent["refused"] == 2)?;
    cluster.answered_by(cluster_ip(10), &["pod-a-1"])?;
    cluster.answered_by(cluster_ip(11), &["pod-a-2"])?;
    let log = cluster.agents[0].log();
    let named = |words: &[&str]| {
        let mut lines = log.lines();
        assert!(
            lines.any(|line| line.contains("refused") && words.iter().all(|word| line.contains(word))),
            "{words:?} not in:\n{log}"
        );
    };
    named(&["mixed", "endpoints", &cluster_ip(10).v4.to_string()]);
    named(&["good-without-number", "ports[0].port"]);
    let mixed_name = mixed_v4["metadata"]["name"].as_str().unwrap_or_default();
    for (object, field) in [(mixed_name, "endpoints"), ("good-without-number", "ports[0].port")] {
        let has_event = || {
            let events = cluster.api.list(&json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": "", "namespace": "default" },
            }))?;
            Ok(events.iter().any(|event| {
                let is_known = event["regarding"]["uid"].as_str().is_some_and(|uid| !uid.is_empty());
                is_known
                    && event["regarding"]["name"] == object
                    && event["reason"] == "FieldRefused"
                    && event["note"].as_str().is_some_and(|note| note.starts_with(field))
            }))
        };
        wait::until_true("an event of the object", wait::PATIENCE, has_event)?;
    }

    cluster.api.put(&mixed_v4)?;
    cluster.api.delete(&without_number)?;
    cluster.until_status("nothing is refused any more", |agent| agent["refused"] == 0)
}
