//! This node as its Node object describes it.

use std::net::IpAddr;

use ipnet::IpNet;
use proxy_common::family::FamilyKind;

use crate::{address::family, watch::object};

use super::{Refusal, address};

/// The facts that the Node object gives. Without the object all of it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Whether there is an object.
    pub known: bool,
    /// The primary addresses: the first one of each family, internal ones before external ones (B-132).
    pub addresses: Vec<IpAddr>,
    /// The pods' networks on this node.
    pub pod_networks: Vec<IpNet>,
    /// The zone; `None` if the label is missing or empty (B-42).
    pub zone: Option<String>,
    /// Whether load balancers should send new traffic here (B-126).
    pub eligible: bool,
}

/// The taint of a node that is about to be removed.
const LEAVING: &str = "ToBeDeletedByClusterAutoscaler";

/// Reads a Node. What is refused is added to `refusals`.
pub(super) fn read(node: &object::Node, refusals: &mut Vec<Refusal>) -> NodeFacts {
    let labels = node.metadata.labels.as_ref();
    let leaving = node.metadata.deletion_timestamp.is_some() || node.spec.taints.iter().any(|t| t.key == LEAVING);
    NodeFacts {
        known: true,
        addresses: primary_addresses(&node.status.addresses, refusals),
        pod_networks: pod_networks(&node.spec, refusals),
        zone: labels
            .and_then(|labels| labels.get(object::LABEL_ZONE))
            .filter(|zone| !zone.is_empty())
            .cloned(),
        eligible: !leaving,
    }
}

fn primary_addresses(given: &[object::NodeAddress], refusals: &mut Vec<Refusal>) -> Vec<IpAddr> {
    let mut internal = Vec::new();
    let mut external = Vec::new();
    for (index, entry) in given.iter().enumerate() {
        let list = match entry.r#type.as_str() {
            "InternalIP" => &mut internal,
            "ExternalIP" => &mut external,
            _ => continue,
        };
        match address::parse(&entry.address).map(|found| (found, address::never_unicast(found))) {
            Some((address, None)) => list.push(address),
            Some((_, Some(reason))) => refusals.push(refusal(index, &entry.address, reason)),
            None => refusals.push(refusal(index, &entry.address, "not an IP address")),
        }
    }
    internal.append(&mut external);
    [FamilyKind::V4, FamilyKind::V6]
        .into_iter()
        .filter_map(|wanted| internal.iter().copied().find(|address| family(*address) == wanted))
        .collect()
}

fn refusal(index: usize, text: &str, reason: &str) -> Refusal {
    Refusal::new(
        format!("status.addresses[{index}].address"),
        format!("{text:?}: {reason}"),
    )
}

/// One network of each family; the list counts where there are both.
fn pod_networks(spec: &object::NodeSpec, refusals: &mut Vec<Refusal>) -> Vec<IpNet> {
    let Some(first) = spec.pod_cidrs.first() else {
        return networks(
            "spec.podCIDR",
            spec.pod_cidr.iter().filter(|text| !text.is_empty()),
            refusals,
        );
    };
    if let Some(single) = spec
        .pod_cidr
        .as_ref()
        .filter(|single| !single.is_empty() && *single != first)
    {
        let reason = format!("{single:?}: not the first of spec.podCIDRs, which count");
        refusals.push(Refusal::new("spec.podCIDR", reason));
    }
    let mut chosen: Vec<IpNet> = Vec::new();
    for network in networks("spec.podCIDRs", spec.pod_cidrs.iter(), refusals) {
        if chosen
            .iter()
            .any(|other| family(other.addr()) == family(network.addr()))
        {
            let reason = format!("{network}: a second network of its family");
            refusals.push(Refusal::new("spec.podCIDRs", reason));
        } else {
            chosen.push(network);
        }
    }
    chosen
}

/// The networks of a list that a cluster may have for itself.
pub(super) fn networks<'a>(
    field: &str,
    texts: impl Iterator<Item = &'a String>,
    refusals: &mut Vec<Refusal>,
) -> Vec<IpNet> {
    listed(field, texts, refusals, |network| {
        network.prefix_len() >= shortest(network)
    })
}

/// The networks of a list, those left out that are not believed.
pub(super) fn listed<'a>(
    field: &str,
    texts: impl Iterator<Item = &'a String>,
    refusals: &mut Vec<Refusal>,
    is_believed: impl Fn(&IpNet) -> bool,
) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for (index, text) in texts.enumerate() {
        let read = match text.trim().parse::<IpNet>() {
            Ok(network) if !is_believed(&network) => Err("larger than a network of a cluster can be"),
            Ok(network) => Ok(network.trunc()),
            Err(_) => Err("not a network"),
        };
        match read {
            Ok(network) => networks.push(network),
            Err(reason) => refusals.push(Refusal::new(format!("{field}[{index}]"), format!("{text:?}: {reason}"))),
        }
    }
    networks
}

/// The shortest prefix that is believed: what lies in a network of Services or of pods is treated as such, and with a
/// shorter one that would be half the world.
const fn shortest(network: &IpNet) -> u8 {
    match network {
        IpNet::V4(_) => 8,
        IpNet::V6(_) => 32,
    }
}
