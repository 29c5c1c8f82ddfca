use clap::Parser as _;
use rstest::rstest;

use crate::cli::{Cli, Command};

use super::*;

/// The settings of a command line.
fn of(arguments: &[&str]) -> Result<Warned<Settings>, Error> {
    of_node("test-node", arguments)
}

/// The same on a node of this name.
fn of_node(name: &str, arguments: &[&str]) -> Result<Warned<Settings>, Error> {
    let fixed = ["fairlead", "run", "--node-name", name];
    let cli = Cli::try_parse_from(fixed.iter().chain(arguments)).expect("a command line that can be parsed");
    let Command::Run(args) = cli.command else {
        panic!("not run: {cli:?}");
    };
    Settings::of_run(&args)
}

/// The settings of a configuration file, with flags.
pub(super) fn of_file(fields: &str, flags: &[&str]) -> Result<Warned<Settings>, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.yaml");
    let head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    fs::write(&path, format!("{head}{fields}\n")).expect("written");
    let path = path.to_str().expect("a path").to_owned();
    of(&[&["--config", &path], flags].concat())
}

fn node(fields: &str, flags: &[&str]) -> NodeSettings {
    let (settings, warnings) = of_file(fields, flags).expect("usable settings");
    assert_eq!(warnings, Vec::<String>::new());
    settings.node
}

#[test]
fn without_a_file_everything_is_as_in_mode_nftables() {
    let (settings, warnings) = of(&["--manifests", "/m"]).expect("usable settings");
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(settings.source, Source::Manifests("/m".into()));
    assert_eq!(
        settings.node,
        NodeSettings {
            name: "test-node".to_owned(),
            ..crate::testing::settings()
        }
    );
    assert_eq!(settings.healthz, Some("0.0.0.0:10256".parse().expect("an address")));
    assert_eq!(settings.metrics, Some("127.0.0.1:10249".parse().expect("an address")));
}

#[test]
fn the_name_of_a_node_is_in_small_letters() {
    let (settings, _) = of_node("Node-A", &[]).expect("usable settings");
    assert_eq!(settings.node.name, "node-a");
}

#[rstest]
#[case::nothing("", &[], Source::InCluster)]
#[case::of_the_file("clientConnection: {kubeconfig: /k}", &[], Source::Kubeconfig("/k".into()))]
#[case::a_flag_before_the_file("clientConnection: {kubeconfig: /k}", &["--kubeconfig", "/l"], Source::Kubeconfig("/l".into()))]
#[case::manifests("clientConnection: {kubeconfig: /k}", &["--manifests", "/m"], Source::Manifests("/m".into()))]
fn objects_come_from_where_it_is_said(#[case] fields: &str, #[case] flags: &[&str], #[case] expected: Source) {
    assert_eq!(of_file(fields, flags).expect("usable settings").0.source, expected);
}

fn cluster_cidr(v4: Option<&str>, v6: Option<&str>) -> DetectSettings {
    DetectSettings::ClusterCidr {
        v4: v4.map(|text| text.parse().expect("a network")),
        v6: v6.map(|text| text.parse().expect("a network")),
    }
}

#[rstest]
#[case::none("", &[], cluster_cidr(None, None))]
#[case::one("clusterCIDR: 10.0.0.0/8", &[], cluster_cidr(Some("10.0.0.0/8"), None))]
#[case::leading_zeros("clusterCIDR: 010.000.0.0/8", &[], cluster_cidr(Some("10.0.0.0/8"), None))]
#[case::one_each("clusterCIDR: '10.0.0.0/8,fd00:10::/64'", &[], cluster_cidr(Some("10.0.0.0/8"), Some("fd00:10::/64")))]
#[case::a_list("detectLocal: {clusterCIDRs: [10.0.0.0/8, 'fd00:10::/64']}", &[], cluster_cidr(Some("10.0.0.0/8"), Some("fd00:10::/64")))]
#[case::a_flag("clusterCIDR: 10.0.0.0/8", &["--cluster-cidr", "10.1.0.0/16"], cluster_cidr(Some("10.1.0.0/16"), None))]
#[case::of_the_node("detectLocalMode: NodeCIDR", &[], DetectSettings::NodeCidr)]
#[case::a_bridge(
    "detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}", &[],
    DetectSettings::Bridge("cni0".to_owned()))]
#[case::a_prefix(
    "", &["--detect-local-mode", "InterfaceNamePrefix", "--pod-interface-name-prefix", "veth"],
    DetectSettings::InterfacePrefix("veth".to_owned()))]
fn pods_are_recognised_as_configured(#[case] fields: &str, #[case] flags: &[&str], #[case] expected: DetectSettings) {
    assert_eq!(node(fields, flags).detect, expected);
}

#[rstest]
#[case("linux: {masqueradeAll: true}", &[], true)]
#[case("nftables: {masqueradeAll: true}", &[], true)]
#[case("iptables: {masqueradeAll: true}", &[], false)]
#[case("mode: iptables\niptables: {masqueradeAll: true}", &[], true)]
#[case("linux: {masqueradeAll: true}", &["--masquerade-all=false"], false)]
#[case("", &["--masquerade-all"], true)]
fn everything_is_masqueraded_as_the_mode_is_told(#[case] fields: &str, #[case] flags: &[&str], #[case] expected: bool) {
    assert_eq!(node(fields, flags).masquerade_all, expected);
}

#[test]
fn node_port_addresses_are_words_and_networks() {
    let node = node("nodePortAddresses: [primary, 192.168.0.7/24, localhost]", &[]);
    assert!(node.node_ports.primary && node.node_ports.localhost && !node.node_ports.all);
    assert_eq!(node.node_ports.networks, ["192.168.0.0/24".parse().expect("a network")]);
}

#[rstest]
#[case("healthzBindAddress: 127.0.0.1:1", &[], Some("127.0.0.1:1"))]
#[case("healthzBindAddress: 127.0.0.1", &[], Some("127.0.0.1:10256"))]
#[case("healthzBindAddress: ''", &[], Some("0.0.0.0:10256"))]
#[case("", &["--healthz-bind-address", "[::]:2"], Some("[::]:2"))]
#[case("", &["--healthz-bind-address", ""], None)]
fn health_is_told_where_it_is_said(#[case] fields: &str, #[case] flags: &[&str], #[case] expected: Option<&str>) {
    let settings = of_file(fields, flags).expect("usable settings").0;
    assert_eq!(settings.healthz, expected.map(|text| text.parse().expect("an address")));
}

/// A file as kubeadm writes it: every default is spelt out, and nothing of that is worth a word.
#[test]
fn defaults_that_are_spelt_out_are_not_warned_about() {
    let fields = "
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection: {acceptContentTypes: '', burst: 0, contentType: '', kubeconfig: /k, qps: 0}
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack: {maxPerCore: null, min: null, tcpBeLiberal: false, tcpCloseWaitTimeout: null}
detectLocal: {bridgeInterface: '', interfaceNamePrefix: ''}
detectLocalMode: ''
enableProfiling: false
healthzBindAddress: ''
hostnameOverride: ''
iptables: {localhostNodePorts: null, masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
ipvs: {excludeCIDRs: null, minSyncPeriod: 0s, scheduler: '', strictARP: false, syncPeriod: 0s}
logging: {flushFrequency: 0, options: {json: {infoBufferSize: '0'}}, verbosity: 0}
metricsBindAddress: ''
mode: ''
nftables: {masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
nodePortAddresses: null
oomScoreAdj: null
portRange: ''
showHiddenMetricsForVersion: ''
winkernel: {enableDSR: false, forwardHealthCheckVip: false, networkName: '', rootHnsEndpointName: '', sourceVip: ''}";
    let (_, warnings) = of_file(fields, &[]).expect("usable settings");
    assert_eq!(warnings, Vec::<String>::new());
}

#[rstest]
#[case::without_meaning("conntrack: {maxPerCore: 7}", &[], "conntrack: {\"maxPerCore\":7} has no meaning here and is ignored")]
#[case::inside("iptables: {syncPeriod: 5s}", &[], "iptables.syncPeriod: 5s has no meaning here and is ignored")]
#[case::how_often_to_list_again("configSyncPeriod: 5m0s", &[], "configSyncPeriod: 5m0s has no meaning here and is ignored")]
#[case::how_many_requests("clientConnection: {qps: 5}", &[], "clientConnection.qps: 5 has no meaning here and is ignored")]
#[case::which_mark("nftables: {masqueradeBit: 14}", &[], "nftables.masqueradeBit: 14 has no meaning here and is ignored")]
#[case::unknown("colour: blue", &[], "colour: not a field of KubeProxyConfiguration, ignored")]
#[case::a_flag("", &["--conntrack-min", "1"], "--conntrack-min has no meaning here and is ignored")]
#[case::ipvs("mode: ipvs", &[], "mode: ipvs: its schedulers are not imitated: endpoints are drawn at random")]
fn what_has_no_meaning_here_is_warned_about(#[case] fields: &str, #[case] flags: &[&str], #[case] expected: &str) {
    let (_, warnings) = of_file(fields, flags).expect("usable settings");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].ends_with(expected), "{warnings:?}");
}

/// What is wrong, and the field and value that are named.
#[rstest]
#[case::mode("mode: userspace", &[], "mode: \"userspace\": ")]
#[case::mode_flag("", &["--proxy-mode", "fast"], "--proxy-mode: \"fast\": ")]
#[case::a_network("clusterCIDR: 10.0.0.0/33", &[], "clusterCIDR: \"10.0.0.0/33\": ")]
#[case::two_of_a_family("clusterCIDR: '10.0.0.0/8,11.0.0.0/8'", &[], "clusterCIDR: \"10.0.0.0/8,11.0.0.0/8\": ")]
#[case::a_detector("detectLocalMode: Guess", &[], "detectLocalMode: \"Guess\": ")]
#[case::no_bridge("detectLocalMode: BridgeInterface", &[], "detectLocal.bridgeInterface: \"\": ")]
#[case::a_long_prefix(
    "detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: abcdefghijklmnop}", &[],
    "detectLocal.interfaceNamePrefix: \"abcdefghijklmnop\": ")]
#[case::node_ports("nodePortAddresses: [secondary]", &[], "nodePortAddresses: \"secondary\": ")]
#[case::not_a_list("nodePortAddresses: 10.0.0.0/8", &[], "nodePortAddresses: \"10.0.0.0/8\": ")]
#[case::not_a_truth("iptables: {masqueradeAll: 'yes please'}", &[], "iptables.masqueradeAll: \"yes please\": ")]
#[case::not_a_mapping("iptables: 3", &[], "iptables: \"3\": ")]
#[case::an_address("bindAddress: here", &[], "bindAddress: \"here\": ")]
#[case::a_place("healthzBindAddress: localhost:1", &[], "healthzBindAddress: \"localhost:1\": ")]
#[case::another_command("", &["--cleanup"], "--cleanup: \"\": that is a command here: fairlead cleanup --kube-proxy")]
#[case::a_place_flag("", &["--metrics-bind-address", "1.2.3.4:99999"], "--metrics-bind-address: \"1.2.3.4:99999\": ")]
fn a_wrong_value_is_one_line_with_its_field(#[case] fields: &str, #[case] flags: &[&str], #[case] expected: &str) {
    let error = of_file(fields, flags).expect_err("not usable");
    assert_eq!(error.exit_code(), 2);
    let line = error.to_string();
    assert!(line.contains(expected) && !line.contains('\n'), "{line}");
}

#[rstest]
#[case::not_ours("kind: Pod\napiVersion: v1", "kind: \"Pod\": expected KubeProxyConfiguration")]
#[case::no_kind(
    "apiVersion: kubeproxy.config.k8s.io/v1alpha1",
    "kind: \"\": expected KubeProxyConfiguration"
)]
#[case::a_version("kind: KubeProxyConfiguration\napiVersion: v9", "apiVersion: \"v9\": expected ")]
#[case::not_yaml("\t{", "file.yaml: ")]
fn a_file_of_something_else_is_refused(#[case] text: &str, #[case] expected: &str) {
    let error = file::parse("file.yaml", text).expect_err("not usable");
    let line = error.to_string();
    assert!(line.contains(expected) && !line.contains('\n'), "{line}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = of(&["--config", "/nowhere/at/all.yaml"]).expect_err("not usable");
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().starts_with("/nowhere/at/all.yaml: "));
}
