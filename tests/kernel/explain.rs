//! `fairlead explain --manifests`: the loaded program's own answer, for a node that is described in files.

use std::{fs, process::Command};

use rstest::rstest;
use serde_json::Value;
use tests::agent;

const FACTS: &str = r#"devices:
  - {name: lo, addresses: [127.0.0.1/8, "::1/128"]}
  - {name: eth0, addresses: [192.168.0.2/24, "2001:db8::2/64"]}
  - {name: cni0, addresses: [10.244.1.1/24, "fd00:10:244:1::1/64"]}
"#;

/// The answer for node-a of the examples, its pods known by the Node object's networks.
fn explain(words: &[&str]) -> Value {
    let facts = std::env::temp_dir().join(format!("fairlead-facts-{:?}", std::thread::current().id()));
    fs::write(&facts, FACTS).expect("a file of facts");
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let mut command = Command::new(agent::binary().expect("the agent is built"));
    command.args([
        "explain",
        "-o",
        "json",
        "--node-name",
        "node-a",
        "--detect-local-mode",
        "NodeCIDR",
    ]);
    command
        .args(["--manifests", examples, "--node-facts"])
        .arg(&facts)
        .args(words);
    let output = command.output().expect("fairlead");
    fs::remove_file(&facts).expect("the file of facts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("an answer")
}

#[rstest]
#[case::pod_to_cluster_ip(["10.244.1.77", "fd00:10:244:1::77"], ["10.96.0.80:80", "[fd00:10:96::80]:80"], "shop/web:http", false)]
#[case::outside_to_cluster_ip(["203.0.113.9", "2001:db8:9::9"], ["10.96.0.80:80", "[fd00:10:96::80]:80"], "shop/web:http", true)]
#[case::outside_to_node_port(["203.0.113.9", "2001:db8:9::9"], ["192.168.0.2:30080", "[2001:db8::2]:30080"], "shop/web:http", true)]
#[case::outside_to_load_balancer(
    ["203.0.113.9", "2001:db8:9::9"], ["198.51.100.80:80", "[2001:db8:1b::80]:80"], "shop/web:http", true
)]
#[case::outside_to_a_local_node_port(
    ["203.0.113.9", "2001:db8:9::9"], ["192.168.0.2:30081", "[2001:db8::2]:30081"], "shop/source:http", false
)]
#[case::pod_to_a_local_node_port(
    ["10.244.1.77", "fd00:10:244:1::77"], ["192.168.0.2:30081", "[2001:db8::2]:30081"], "shop/source:http", false
)]
#[case::node_to_a_local_node_port(
    ["192.168.0.2", "2001:db8::2"], ["192.168.0.2:30081", "[2001:db8::2]:30081"], "shop/source:http", true
)]
#[case::node_to_cluster_ip(["192.168.0.2", "2001:db8::2"], ["10.96.0.80:80", "[fd00:10:96::80]:80"], "shop/web:http", true)]
fn a_service_is_reached(
    #[case] sources: [&str; 2],
    #[case] destinations: [&str; 2],
    #[case] service: &str,
    #[case] masquerade: bool,
) {
    for (source, destination) in sources.into_iter().zip(destinations) {
        let answer = explain(&[source, destination]);
        assert_eq!(answer["verdict"], "translate", "{answer:#}");
        assert_eq!(answer["service"], service, "{answer:#}");
        assert_eq!(answer["masquerade"], masquerade, "{answer:#}");
        let eligible = answer["eligible"].as_array().expect("a list");
        assert!(
            eligible.contains(&answer["chosen"]) && eligible.is_sorted_by_key(Value::as_str),
            "{answer:#}"
        );
    }
}

#[test]
fn a_local_policy_leaves_only_local_endpoints() {
    let answer = explain(&["203.0.113.9", "192.168.0.2:30081"]);
    assert_eq!(answer["eligible"], serde_json::json!(["10.244.1.3:8080"]), "{answer:#}");
    // Neither pods nor the node itself are kept to them.
    for (source, destination) in [
        ("10.244.1.77", "10.96.0.81:80"),
        ("10.244.1.77", "192.168.0.2:30081"),
        ("192.168.0.2", "192.168.0.2:30081"),
    ] {
        let answer = explain(&[source, destination]);
        assert_eq!(answer["eligible"].as_array().map(Vec::len), Some(2), "{answer:#}");
    }
}

#[rstest]
#[case::no_service(["10.244.1.77", "8.8.8.8:53"], "udp", "pass", "NoService")]
#[case::another_protocol(["10.244.1.77", "10.96.0.80:80"], "udp", "reject", "UnknownPort")]
#[case::another_port(["10.244.1.77", "10.96.0.80:81"], "tcp", "reject", "UnknownPort")]
#[case::another_port_from_the_node(["192.168.0.2", "10.96.0.80:81"], "tcp", "reject", "UnknownPort")]
#[case::node_port_at_a_foreign_address(["203.0.113.9", "192.168.0.9:30080"], "tcp", "pass", "NoService")]
#[case::spoofed(["10.96.0.80:80", "10.96.0.90:9000"], "tcp", "pass", "BadSource")]
fn what_is_none_of_ours_goes_to_no_endpoint(
    #[case] words: [&str; 2],
    #[case] protocol: &str,
    #[case] verdict: &str,
    #[case] reason: &str,
) {
    let answer = explain(&[words[0], words[1], "-p", protocol]);
    assert_eq!(
        (answer["verdict"].as_str(), answer["reason"].as_str()),
        (Some(verdict), Some(reason)),
        "{answer:#}"
    );
    assert_eq!(
        (&answer["eligible"], &answer["masquerade"]),
        (&serde_json::json!([]), &Value::Bool(false))
    );
}
