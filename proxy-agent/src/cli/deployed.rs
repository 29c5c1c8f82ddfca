//! What deploy/ gives the program to read: command lines and a configuration.

use std::{fs, path::Path};

use clap::Parser as _;
use serde_json::Value;

use crate::{
    desired::ProxyMode,
    settings::{DetectSettings, Settings, Source},
};

use super::{Cli, Command, DEFAULT_STATE};

fn documents(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file);
    let text = fs::read_to_string(path).expect("the manifest");
    serde_saphyr::from_multiple(&text).expect("documents")
}

/// The arguments of the first container of some kind, with this in place of the node's name.
fn arguments(file: &str, containers: &str, node: &str) -> Vec<String> {
    let document = &documents(file)[0];
    let container = &document["spec"]["template"]["spec"][containers][0];
    let arguments = container["args"].as_array().expect("a list").iter();
    arguments
        .map(|word| word.as_str().expect("a text").replace("$(NODE_NAME)", node))
        .collect()
}

fn parse(arguments: &[String]) -> Command {
    let words = ["fairlead"].into_iter().chain(arguments.iter().map(String::as_str));
    Cli::try_parse_from(words).expect("a command line").command
}

/// The files of the ConfigMap lie where the DaemonSet mounts it.
#[test]
fn the_agent_reads_the_configuration_that_it_is_deployed_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let mount = folder.path().to_str().expect("a path");
    let data = documents("config.yaml").remove(0)["data"].take();
    for (name, text) in data.as_object().expect("files") {
        let text = text.as_str().expect("a text").replace("/etc/fairlead", mount);
        fs::write(folder.path().join(name), text).expect("written");
    }
    let words: Vec<String> = arguments("daemonset.yaml", "containers", "node-a")
        .iter()
        .map(|word| word.replace("/etc/fairlead", mount))
        .collect();
    let Command::Run(args) = parse(&words) else {
        panic!("not run: {words:?}");
    };
    let (settings, warnings) = Settings::of_run(&args).expect("usable settings");
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(settings.node.name, "node-a");
    assert_eq!(settings.node.mode, ProxyMode::Nftables);
    assert_eq!(settings.node.detect, DetectSettings::default());
    assert_eq!(settings.data_path.state, Path::new(DEFAULT_STATE));
    let Source::Kubeconfig(kubeconfig) = settings.source else {
        panic!("{:?}", settings.source);
    };
    assert!(kubeconfig.starts_with(mount) && kubeconfig.is_file(), "{kubeconfig:?}");
}

/// The port of the probes is that of the configuration.
#[test]
fn probes_ask_where_the_agent_answers() {
    let configuration = documents("config.yaml").remove(0);
    let configuration = configuration["data"]["config.yaml"].as_str().expect("a text");
    let configuration: Value = serde_saphyr::from_str(configuration).expect("a mapping");
    let container = documents("daemonset.yaml").remove(0)["spec"]["template"]["spec"]["containers"][0].take();
    for (probe, page) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        let request = &container[probe]["httpGet"];
        let place = format!("0.0.0.0:{}", request["port"]);
        assert_eq!(configuration["healthzBindAddress"], place);
        assert_eq!(
            (request["host"].as_str(), request["path"].as_str()),
            (Some("127.0.0.1"), Some(page))
        );
    }
}

#[test]
fn the_clean_up_removes_what_the_agent_leaves_where_it_leaves_it() {
    let Command::Cleanup(args) = parse(&arguments("cleanup.yaml", "initContainers", "")) else {
        panic!("not cleanup");
    };
    assert!(args.kube_proxy);
    assert_eq!(args.state.state, Path::new(DEFAULT_STATE));
}
