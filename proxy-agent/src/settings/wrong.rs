//! Configuration files with anything in them: refused in one line that names field and value, or used; never a panic.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::Value;

use super::tests::of_file;

/// A line of YAML that gives a field, `outer.inner`, a value.
fn line(field: &str, value: &str) -> String {
    match field.split_once('.') {
        Some((outer, inner)) => format!("{outer}: {{{}}}", line(inner, value)),
        None => format!("{field}: {value}"),
    }
}

/// Fields that hold the same, and what they cannot hold.
#[rstest]
#[case::texts(
    &["hostnameOverride", "bindAddress", "healthzBindAddress", "metricsBindAddress", "mode", "clusterCIDR",
      "detectLocalMode", "detectLocal.bridgeInterface", "detectLocal.interfaceNamePrefix", "clientConnection.kubeconfig",
      "clientConnection.acceptContentTypes", "clientConnection.contentType", "portRange", "showHiddenMetricsForVersion",
      "logging.format", "winkernel.networkName", "winkernel.sourceVip", "winkernel.rootHnsEndpointName"],
    &["7", "true", "[a]", "{a: 1}", "1.5"])]
#[case::truths(
    &["bindAddressHardFail", "enableProfiling", "iptables.masqueradeAll", "iptables.localhostNodePorts",
      "nftables.masqueradeAll", "linux.masqueradeAll", "linux.conntrack.tcpBeLiberal", "conntrack.tcpBeLiberal",
      "ipvs.strictARP", "featureGates.Some", "windowsRunAsService", "windows.runAsService", "winkernel.enableDSR",
      "winkernel.forwardHealthCheckVip"],
    &["7", "maybe", "[true]", "{a: 1}", "''"])]
#[case::mappings(
    &["clientConnection", "detectLocal", "iptables", "nftables", "linux", "linux.conntrack", "conntrack", "ipvs",
      "featureGates", "logging", "windows", "winkernel"],
    &["7", "text", "[a]", "true"])]
#[case::lists_of_texts(&["nodePortAddresses", "detectLocal.clusterCIDRs"], &["7", "10.0.0.0/8", "{a: 1}", "[7]", "[[]]"])]
#[case::lists_of_networks(
    &["nodePortAddresses", "detectLocal.clusterCIDRs", "ipvs.excludeCIDRs"],
    &["[nonsense]", "[10.0.0.0/33]", "['fd00::/129']", "[10.0.0.0/8, 'fd00::1::/64']"])]
#[case::networks(&["clusterCIDR"], &["nonsense", "10.0.0.0/33", "10.0.0", "'10.0.0.0/8,fd00::/64,fd01::/64'"])]
#[case::addresses(&["bindAddress"], &["nonsense", "10.0.0.300", "'10.0.0.1:80'", "'fd00::g'"])]
#[case::places(
    &["healthzBindAddress", "metricsBindAddress"],
    &["nonsense", "'10.0.0.1:'", "10.0.0.1:65536", "10.0.0.1:-1", "':10256'", "'[::1'", "'10.0.0.1:80:80'"])]
#[case::modes(&["mode"], &["userspace", "IPTABLES", "kernelspace"])]
#[case::detectors(&["detectLocalMode"], &["clustercidr", "Guess"])]
#[case::node_names(&["hostnameOverride"], &["a_b", "'a b'", "-a", "a-", "a..b", "'a,b=c'", "é"])]
#[case::spans(
    &["configSyncPeriod", "syncPeriod", "minSyncPeriod", "udpIdleTimeout", "iptables.syncPeriod", "iptables.minSyncPeriod",
      "nftables.syncPeriod", "nftables.minSyncPeriod", "ipvs.syncPeriod", "ipvs.minSyncPeriod", "ipvs.tcpTimeout",
      "ipvs.tcpFinTimeout", "ipvs.udpTimeout", "conntrack.tcpEstablishedTimeout", "linux.conntrack.tcpCloseWaitTimeout",
      "conntrack.udpTimeout", "linux.conntrack.udpStreamTimeout"],
    &["7", "'7'", "soon", "-1s", "true", "[1s]", "99999999999h"])]
#[case::least_pauses(
    &["minSyncPeriod", "iptables.minSyncPeriod", "nftables.minSyncPeriod", "ipvs.minSyncPeriod"], &["31s", "1h"])]
#[case::counts(
    &["conntrack.maxPerCore", "conntrack.min", "linux.conntrack.maxPerCore", "linux.conntrack.min", "logging.verbosity",
      "clientConnection.burst"],
    &["-1", "1.5", "'7'", "true", "99999999999"])]
#[case::bits(&["iptables.masqueradeBit", "nftables.masqueradeBit"], &["-1", "32", "1.5", "'7'"])]
#[case::scores(&["oomScoreAdj", "linux.oomScoreAdj"], &["-1001", "1001", "low"])]
#[case::numbers(&["clientConnection.qps"], &["many", "true", "[1]"])]
#[case::schedulers(&["ipvs.scheduler"], &["RR", "fastest", "7"])]
fn a_field_that_cannot_be_used_is_named_with_its_value(#[case] fields: &[&str], #[case] values: &[&str]) {
    for field in fields {
        for value in values {
            let text = line(field, value);
            let error = of_file(&text, &[]).expect_err(&text);
            let line = error.to_string();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(
                line.contains(&format!(": {field}: \"")) && !line.contains('\n'),
                "{text}: {line}"
            );
        }
    }
}

/// Fields that are right alone.
#[rstest]
#[case::two_at_one_place("healthzBindAddress: 0.0.0.0:10249", "metricsBindAddress: \"127.0.0.1:10249\": ")]
#[case::a_short_period("iptables: {syncPeriod: 1s, minSyncPeriod: 2s}", "iptables.minSyncPeriod: \"2s\": ")]
#[case::a_short_period_of_ipvs("ipvs: {syncPeriod: 500ms, minSyncPeriod: 1s}", "ipvs.minSyncPeriod: \"1s\": ")]
#[case::two_pod_networks(
    "clusterCIDR: 10.0.0.0/8\ndetectLocal: {clusterCIDRs: [10.1.0.0/16]}",
    "detectLocal.clusterCIDRs: \"10.1.0.0/16\": clusterCIDR says \"10.0.0.0/8\""
)]
#[case::a_detector_without_its_device("detectLocalMode: BridgeInterface", "detectLocal.bridgeInterface: \"\": ")]
fn fields_that_contradict_each_other_are_refused(#[case] fields: &str, #[case] expected: &str) {
    let line = of_file(fields, &[]).expect_err("a contradiction").to_string();
    assert!(line.contains(expected), "{line}");
}

#[rstest]
#[case::twice("mode: iptables\nmode: nftables")]
#[case::of_another_kind("kind: Pod")]
fn a_field_that_is_there_twice_is_refused(#[case] fields: &str) {
    let error = of_file(fields, &[]).expect_err("a field twice");
    assert_eq!(error.exit_code(), 2);
}

#[rstest]
#[case::a_device_of_another_mode(
    "detectLocal: {bridgeInterface: cni0}",
    "detectLocal.bridgeInterface: \"cni0\" is of use in the mode BridgeInterface alone, and is ignored"
)]
#[case::inside(
    "conntrack: {maxPerPod: 0}",
    "conntrack.maxPerPod: not a field of KubeProxyConfiguration, ignored"
)]
fn what_is_of_no_use_is_warned_about(#[case] fields: &str, #[case] expected: &str) {
    let (_, warnings) = of_file(fields, &[]).expect("usable settings");
    assert!(warnings.iter().any(|line| line.ends_with(expected)), "{warnings:?}");
}

#[test]
fn a_value_of_any_length_is_told_in_one_line() {
    let line = of_file(&format!("mode: {}", "x".repeat(1 << 16)), &[])
        .expect_err("no mode")
        .to_string();
    assert!(line.len() < 1000 && line.contains("mode: \"xxx"), "{line}");
}

/// Every field that a file may have, those inside others by their outer one.
const FIELDS: &[&str] = &[
    "bindAddress",
    "bindAddressHardFail",
    "clientConnection",
    "clusterCIDR",
    "configSyncPeriod",
    "conntrack",
    "detectLocal",
    "detectLocalMode",
    "enableProfiling",
    "featureGates",
    "healthzBindAddress",
    "hostnameOverride",
    "iptables",
    "ipvs",
    "linux",
    "logging",
    "metricsBindAddress",
    "minSyncPeriod",
    "mode",
    "nftables",
    "nodePortAddresses",
    "oomScoreAdj",
    "portRange",
    "showHiddenMetricsForVersion",
    "syncPeriod",
    "udpIdleTimeout",
    "windows",
    "windowsRunAsService",
    "winkernel",
    "more",
];
/// Names of fields inside others.
const INNER: &[&str] = &[
    "kubeconfig",
    "burst",
    "qps",
    "masqueradeAll",
    "masqueradeBit",
    "localhostNodePorts",
    "syncPeriod",
    "minSyncPeriod",
    "bridgeInterface",
    "clusterCIDRs",
    "interfaceNamePrefix",
    "min",
    "maxPerCore",
    "tcpEstablishedTimeout",
    "scheduler",
    "excludeCIDRs",
    "strictARP",
    "conntrack",
    "oomScoreAdj",
    "verbosity",
    "more",
];

fn anything() -> impl Strategy<Value = Value> {
    let words = vec![
        "",
        "iptables",
        "ipvs",
        "primary",
        "10.0.0.0/8",
        "fd00::/64",
        "0.0.0.0",
        "[::]:1",
        "30s",
        "-1s",
        "rr",
        "NodeCIDR",
        "cni0",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(words).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let field = prop::sample::select(INNER).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((field, inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_file_with_anything_in_it_is_used_or_refused_in_one_line(
        fields in prop::collection::hash_map(prop::sample::select(FIELDS), anything(), 1..6),
    ) {
        // Every JSON value is a YAML value.
        let text: Vec<String> = fields.iter().map(|(field, value)| format!("{field}: {value}")).collect();
        if let Err(error) = of_file(&text.join("\n"), &[]) {
            let line = error.to_string();
            prop_assert_eq!(error.exit_code(), 2);
            prop_assert!(!line.contains('\n') && line.len() < 3000, "{}", line);
        }
    }
}
