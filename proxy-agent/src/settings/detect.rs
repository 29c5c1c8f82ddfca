//! How pods are recognised as senders: B-98 to B-101.

use ipnet::{Ipv4Net, Ipv6Net};

use crate::{cli::proxy_flags::ProxyFlags, error::Error};

use super::values;

/// How pods are recognised as senders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DetectSettings {
    /// By the cluster's pod networks. A family without one has no detector.
    ClusterCidr {
        /// The IPv4 network.
        v4: Option<Ipv4Net>,
        /// The IPv6 network.
        v6: Option<Ipv6Net>,
    },
    /// By the pod networks of the Node object.
    NodeCidr,
    /// By the bridge they are behind.
    Bridge(String),
    /// By the beginning of their devices' names.
    InterfacePrefix(String),
}

impl Default for DetectSettings {
    fn default() -> Self {
        DetectSettings::ClusterCidr { v4: None, v6: None }
    }
}

/// A value and the field or flag that it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) field: String,
    pub(super) value: String,
}

/// The texts that decide, as the file has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DetectTexts {
    pub(super) mode: Given,
    pub(super) cluster_cidr: Given,
    pub(super) bridge: Given,
    pub(super) prefix: Given,
}

/// The detector: each flag over its field.
pub(super) fn choose(
    flags: &ProxyFlags,
    file: DetectTexts,
    warnings: &mut Vec<String>,
) -> Result<DetectSettings, Error> {
    let mode = over(&flags.detect_local_mode, "--detect-local-mode", file.mode);
    let cidr = over(&flags.cluster_cidr, "--cluster-cidr", file.cluster_cidr);
    let bridge = over(&flags.pod_bridge_interface, "--pod-bridge-interface", file.bridge);
    let prefix = over(
        &flags.pod_interface_name_prefix,
        "--pod-interface-name-prefix",
        file.prefix,
    );
    for (given, wanted_by) in [(&bridge, "BridgeInterface"), (&prefix, "InterfaceNamePrefix")] {
        if !given.value.is_empty() && mode.value != wanted_by {
            let (field, value) = (&given.field, &given.value);
            warnings.push(format!(
                "{field}: {value:?} is of use in the mode {wanted_by} alone, and is ignored"
            ));
        }
    }
    match mode.value.as_str() {
        "" | "ClusterCIDR" => {
            let (v4, v6) = values::network_pair(&cidr.field, &cidr.value)?;
            Ok(DetectSettings::ClusterCidr { v4, v6 })
        }
        "NodeCIDR" => Ok(DetectSettings::NodeCidr),
        "BridgeInterface" => device_name(bridge, "the mode BridgeInterface").map(DetectSettings::Bridge),
        "InterfaceNamePrefix" => {
            device_name(prefix, "the mode InterfaceNamePrefix").map(DetectSettings::InterfacePrefix)
        }
        _ => Err(Error::setting(
            mode.field,
            mode.value,
            "the modes are ClusterCIDR, NodeCIDR, BridgeInterface and InterfaceNamePrefix",
        )),
    }
}

fn over(flag: &Option<String>, name: &str, file: Given) -> Given {
    match flag {
        Some(value) => Given {
            field: name.to_owned(),
            value: value.clone(),
        },
        None => file,
    }
}

/// A device's name or the beginning of one: not empty and no longer than the kernel's limit of 15 bytes.
fn device_name(given: Given, wanted_by: &str) -> Result<String, Error> {
    if given.value.is_empty() {
        return Err(Error::setting(
            given.field,
            given.value,
            format!("{wanted_by} needs it"),
        ));
    }
    if given.value.len() > 15 || given.value.contains(['/', ' ']) {
        return Err(Error::setting(given.field, given.value, "not the name of a device"));
    }
    Ok(given.value)
}
