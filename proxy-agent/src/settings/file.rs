//! The configuration file: a `KubeProxyConfiguration` (B-168 to B-184), YAML or JSON.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use serde_json::Value;

use crate::{
    desired::ProxyMode,
    error::{Error, excerpt},
};

use super::{
    Warned,
    detect::{DetectTexts, Given},
    fields::Fields,
    rules, values,
};

/// What the file says, as far as it means something here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Configuration {
    pub(super) kubeconfig: Option<String>,
    pub(super) hostname_override: Given,
    pub(super) bind_address: Option<IpAddr>,
    pub(super) healthz: Option<SocketAddr>,
    pub(super) metrics: Option<SocketAddr>,
    pub(super) mode: ProxyMode,
    pub(super) detect: DetectTexts,
    /// The field's name, and its entries.
    pub(super) node_port_addresses: (String, Vec<String>),
    pub(super) localhost_node_ports: Option<bool>,
    pub(super) masquerade_all: bool,
    pub(super) iptables_masquerade_all: bool,
    pub(super) nftables_masquerade_all: bool,
}

/// Reads the file; without one, everything is as by default.
pub(super) fn read(path: Option<&Path>) -> Result<Warned<Configuration>, Error> {
    let Some(path) = path else {
        return Ok((Configuration::default(), Vec::new()));
    };
    let text = fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    parse(&path.display().to_string(), &text)
}

/// Takes the text of a file apart. `path` is for messages.
pub(super) fn parse(path: &str, text: &str) -> Result<Warned<Configuration>, Error> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| Error::file(path, one_line(&error.to_string())))?;
    let mut fields = Fields::new(format!("{path}: "), value)?;
    expect(&mut fields, "kind", &["KubeProxyConfiguration"])?;
    expect(
        &mut fields,
        "apiVersion",
        &["kubeproxy.config.k8s.io/v1alpha1", "kubeproxy.config.k8s.io/v1alpha2"],
    )?;
    let mut warnings = Vec::new();
    let configuration = configuration(&mut fields, &mut warnings)?;
    fields.left_over(rules::TOP, &mut warnings)?;
    Ok((configuration, warnings))
}

fn expect(fields: &mut Fields, field: &str, wanted: &[&str]) -> Result<(), Error> {
    let name = fields.name(field);
    match fields.text(field)? {
        Some(text) if wanted.contains(&text.as_str()) => Ok(()),
        text => Err(Error::setting(
            name,
            text.unwrap_or_default(),
            format!("expected {}", wanted.join(" or ")),
        )),
    }
}

fn configuration(fields: &mut Fields, warnings: &mut Vec<String>) -> Result<Configuration, Error> {
    let mode_field = fields.name("mode");
    let mut configuration = Configuration {
        hostname_override: given(fields, "hostnameOverride")?,
        bind_address: fields
            .text("bindAddress")?
            .map(|text| values::address(&fields.name("bindAddress"), &text))
            .transpose()?,
        healthz: socket_address(fields, "healthzBindAddress", 10256)?,
        metrics: socket_address(fields, "metricsBindAddress", 10249)?,
        mode: values::mode(&mode_field, &fields.text("mode")?.unwrap_or_default(), warnings)?,
        node_port_addresses: (fields.name("nodePortAddresses"), fields.texts("nodePortAddresses")?),
        detect: detect_texts(fields, warnings)?,
        ..Configuration::default()
    };
    sections(fields, &mut configuration, warnings)?;
    Ok(configuration)
}

/// The mappings that belong to a mode, to the platform or to the client.
fn sections(fields: &mut Fields, into: &mut Configuration, warnings: &mut Vec<String>) -> Result<(), Error> {
    let mut client = fields.mapping("clientConnection")?;
    into.kubeconfig = client.text("kubeconfig")?;
    client.left_over(rules::CLIENT, warnings)?;

    let mut iptables = fields.mapping("iptables")?;
    into.localhost_node_ports = iptables.boolean("localhostNodePorts")?;
    into.iptables_masquerade_all = iptables.boolean("masqueradeAll")?.unwrap_or_default();
    iptables.left_over(rules::MODE, warnings)?;

    let mut nftables = fields.mapping("nftables")?;
    into.nftables_masquerade_all = nftables.boolean("masqueradeAll")?.unwrap_or_default();
    nftables.left_over(rules::MODE, warnings)?;

    let mut linux = fields.mapping("linux")?;
    into.masquerade_all = linux.boolean("masqueradeAll")?.unwrap_or_default();
    linux.left_over(rules::LINUX, warnings)?;
    Ok(())
}

/// What decides how pods are recognised. `clusterCIDR` is a text; the newer `detectLocal.clusterCIDRs` is a list.
fn detect_texts(fields: &mut Fields, warnings: &mut Vec<String>) -> Result<DetectTexts, Error> {
    let mode = given(fields, "detectLocalMode")?;
    let mut cluster_cidr = given(fields, "clusterCIDR")?;
    let mut detect = fields.mapping("detectLocal")?;
    let list = detect.texts("clusterCIDRs")?;
    if !list.is_empty() {
        let (field, value) = (detect.name("clusterCIDRs"), list.join(","));
        if !cluster_cidr.value.is_empty() && cluster_cidr.value != value {
            let reason = format!("clusterCIDR says {:?}", excerpt(cluster_cidr.value));
            return Err(Error::setting(field, value, reason));
        }
        cluster_cidr = Given { field, value };
    }
    let texts = DetectTexts {
        mode,
        cluster_cidr,
        bridge: given(&mut detect, "bridgeInterface")?,
        prefix: given(&mut detect, "interfaceNamePrefix")?,
    };
    detect.left_over(&[], warnings)?;
    Ok(texts)
}

fn given(fields: &mut Fields, field: &str) -> Result<Given, Error> {
    Ok(Given {
        field: fields.name(field),
        value: fields.text(field)?.unwrap_or_default(),
    })
}

fn socket_address(fields: &mut Fields, field: &str, default_port: u16) -> Result<Option<SocketAddr>, Error> {
    let name = fields.name(field);
    fields
        .text(field)?
        .map(|text| values::socket_address(&name, &text, default_port))
        .transpose()
}

/// A message that spans lines, such as a reader's with an excerpt, as one: its first line.
fn one_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default().trim_end()
}
