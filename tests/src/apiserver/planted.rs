//! Objects that are put where the API server keeps them, past the server.
//!
//! With every Service that it creates the server counts all addresses that it has given away, so that the time for many
//! Services grows with the square of their number. etcd takes them as they come.

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::programs::ETCD;
use crate::cluster::Place;
use crate::http;

/// Where the server keeps all objects.
const ROOT: &str = "/registry";
/// When the objects are said to have been made: nothing depends on it.
const CREATED: &str = "2026-01-01T00:00:00Z";
/// Objects in one transaction, and their bytes: etcd takes 128 and 1.5 MB.
const MOST: usize = 100;
const MOST_BYTES: usize = 500_000;

/// Puts Services and EndpointSlices that do not exist yet into the etcd of a place, and with a Service the addresses that
/// the server would have given it.
///
/// # Errors
/// When an object is of another kind, or etcd refuses one.
pub(super) fn plant(place: &Place, objects: impl IntoIterator<Item = Value>) -> Result<()> {
    let (mut puts, mut bytes) = (Vec::new(), 0);
    for object in objects {
        for (key, value) in records(object)? {
            let value = value.to_string();
            bytes += value.len();
            puts.push(json!({ "requestPut": { "key": STANDARD.encode(key), "value": STANDARD.encode(value) } }));
        }
        if puts.len() > MOST - 3 || bytes > MOST_BYTES {
            put(place, std::mem::take(&mut puts))?;
            bytes = 0;
        }
    }
    put(place, puts)
}

fn put(place: &Place, puts: Vec<Value>) -> Result<()> {
    if puts.is_empty() {
        return Ok(());
    }
    let address = ETCD.trim_start_matches("http://");
    let body = json!({ "success": puts }).to_string();
    let answer = place.netns().run(|| http::post(address, "/v3/kv/txn", &body))??;
    ensure!(
        answer.contains(" 200 OK"),
        "etcd: {}",
        answer.lines().last().unwrap_or_default()
    );
    Ok(())
}

/// What is kept of an object, by key: its addresses first, which the server would miss.
fn records(object: Value) -> Result<Vec<(String, Value)>> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (kind, namespace, name) = (text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
    let folder = match kind {
        "Service" => "services/specs",
        "EndpointSlice" => "endpointslices",
        _ => bail!("{kind} {name}: not a kind that is put into etcd"),
    };
    let key = format!("{ROOT}/{folder}/{namespace}/{name}");
    let addresses = object.pointer("/spec/clusterIPs").and_then(Value::as_array);
    let addresses = addresses.into_iter().flatten().filter_map(Value::as_str);
    let mut records: Vec<_> = addresses
        .map(|address| (format!("{ROOT}/ipaddresses/{address}"), given(address, namespace, name)))
        .collect();
    records.push((key, object));
    records
        .into_iter()
        .map(|(key, object)| Ok((key.clone(), made(object).with_context(|| key)?)))
        .collect()
}

/// The object that says which Service has an address.
fn given(address: &str, namespace: &str, service: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {
            "name": address,
            "labels": {
                "ipaddress.kubernetes.io/ip-family": if address.contains(':') { "IPv6" } else { "IPv4" },
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": { "parentRef": { "group": "", "resource": "services", "namespace": namespace, "name": service } },
    })
}

/// With what the server adds when it creates an object.
fn made(mut object: Value) -> Result<Value> {
    let fields = fields(&object);
    // Of the kinds here only this one counts its changes.
    let counts = object["kind"] == "EndpointSlice";
    let metadata = object
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
        .context("no metadata")?;
    metadata.insert("uid".to_owned(), uid().into());
    metadata.insert("creationTimestamp".to_owned(), CREATED.into());
    if counts {
        metadata.insert("generation".to_owned(), 1.into());
    }
    let managed = json!([{
        "manager": "tests",
        "operation": "Update",
        "apiVersion": object["apiVersion"],
        "time": CREATED,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }]);
    object["metadata"]["managedFields"] = managed;
    Ok(object)
}

/// A random one (RFC 9562, version 4).
fn uid() -> String {
    let random = fastrand::u128(..);
    let part = |shift: u32, bits: u32| (random >> shift) & ((1 << bits) - 1);
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        part(96, 32),
        part(80, 16),
        part(68, 12),
        part(56, 12),
        part(0, 48)
    )
}

/// Which fields are whose, as the server notes it: of lists as a whole.
fn fields(of: &Value) -> Value {
    let Value::Object(all) = of else {
        return json!({});
    };
    let named = all.iter().filter(|(name, _)| {
        let is_name = ["apiVersion", "kind", "name", "namespace"].contains(&&name[..]);
        !is_name
    });
    Value::Object(
        named
            .map(|(name, value)| (format!("f:{name}"), fields(value)))
            .collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_kept_with_its_addresses() -> Result<()> {
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": "a", "namespace": "default" },
            "spec": { "clusterIPs": ["10.96.0.7", "fd00:10:96::7"] },
        });
        let records = records(service)?;
        let keys: Vec<&str> = records.iter().map(|(key, _)| &key[..]).collect();
        let expected = [
            "/registry/ipaddresses/10.96.0.7",
            "/registry/ipaddresses/fd00:10:96::7",
            "/registry/services/specs/default/a",
        ];
        assert_eq!(keys, expected);
        assert_eq!(records[1].1["spec"]["parentRef"]["name"], "a");
        let uids: Vec<&str> = records
            .iter()
            .filter_map(|(_, object)| object["metadata"]["uid"].as_str())
            .collect();
        assert!(
            uids.len() == 3 && uids[0] != uids[1] && uids.iter().all(|uid| uid.len() == 36),
            "{uids:?}"
        );
        Ok(())
    }

    #[test]
    fn what_nobody_puts_there_is_refused() {
        let node = json!({ "kind": "Node", "metadata": { "name": "n" } });
        assert!(records(node).is_err());
    }
}
