//! Objects that are put past the API server where it keeps them.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::apiserver::ApiServer;
use tests::bench::objects::{self, Objects};
use tests::bench::shelf::Shelf;
use tests::plan::Ip;
use tests::wait;

#[test]
fn what_is_planted_is_what_the_server_would_have_made() -> Result<()> {
    let objects = Objects {
        services: 4,
        endpoints: 2,
        ..Objects::default()
    };
    let made = ApiServer::shared()?;
    objects.create(&made, 0)?;
    let planted = Shelf::new()?.api(objects)?;
    let addresses = (0..objects.count()).flat_map(|n| Ip::BOTH.map(|ip| address(objects::cluster_ip(n).of(ip))));
    let all = (0..objects.count()).flat_map(|n| objects.of(n)).chain(addresses);
    for object in all {
        assert_eq!(lasting(planted.get(&object)?), lasting(made.get(&object)?));
    }
    Ok(())
}

#[test]
fn the_server_knows_what_planted_services_have_taken() -> Result<()> {
    let objects = Objects {
        services: 2,
        endpoints: 2,
        ..Objects::default()
    };
    let api = Shelf::new()?.api(objects)?;
    for field in ["clusterIPs", "ports"] {
        let mut second = objects.of(0).swap_remove(0);
        second["metadata"]["name"] = format!("second-{}", field.to_lowercase()).into();
        if field == "ports" {
            let spec = second["spec"].as_object_mut().expect("an object");
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
        }
        // A server that has just started does not know its own ranges yet.
        wait::until("it is refused", wait::PATIENCE, || {
            let refused = api.create_all([second.clone()]).err().context("it is created")?;
            ensure!(format!("{refused:#}").contains("already allocated"), "{refused:#}");
            Ok(Some(()))
        })?;
    }
    Ok(())
}

fn address(ip: IpAddr) -> Value {
    json!({ "apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": { "name": ip } })
}

/// Without what differs between any two servers.
fn lasting(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["uid", "creationTimestamp", "resourceVersion", "managedFields"] {
            assert!(metadata.remove(field).is_some(), "no {field}");
        }
    }
    object
}
