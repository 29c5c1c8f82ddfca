//! Who may use a service's load-balancer addresses: B-33, B-71, B-73.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;
use proxy_common::{block::policy, family::FamilyKind};

use super::{ProxyMode, node};
use crate::{
    address::family,
    model::{NodeFacts, ServiceSpec},
    settings::NodeSettings,
};

/// The networks that may, of a family; none: everybody may. Only packets to a load balancer's address are asked.
///
/// In mode iptables a service without an endpoint refuses everybody alike (B-73).
pub(super) fn source_ranges(spec: &ServiceSpec, wanted: FamilyKind, mode: ProxyMode, any_usable: bool) -> Vec<IpNet> {
    let has_address = spec.load_balancer_ips.iter().any(|address| family(*address) == wanted);
    let refuses_all = mode == ProxyMode::Iptables && !any_usable;
    let ranges = spec.source_ranges.iter().copied();
    ranges
        .filter(|range| has_address && !refuses_all && family(range.addr()) == wanted)
        .collect()
}

/// What a block says of these networks, which are of one family. A socket of the node has no address yet when it connects:
/// what it sends to another machine will mostly have the primary one, so the node may use the service where that is in one
/// of them, or, as long as it is not known, any address of the node.
pub(super) fn flags(
    source_ranges: &[IpNet],
    settings: &NodeSettings,
    facts: &NodeFacts,
    own: &BTreeSet<IpAddr>,
) -> u32 {
    let Some(wanted) = source_ranges.first().map(|range| family(range.addr())) else {
        return 0;
    };
    let primary = node::primary_addresses(settings, facts);
    let is_known = primary.iter().any(|address| family(*address) == wanted);
    let mut senders = if is_known { &primary } else { own }.iter();
    if senders.any(|address| has(source_ranges, *address)) {
        policy::SOURCE_RANGES | policy::NODE_ADMITTED
    } else {
        policy::SOURCE_RANGES
    }
}

/// Whether an address that may be the source of a packet to another machine lies in one of some networks.
pub(super) fn has(networks: &[IpNet], address: IpAddr) -> bool {
    !address.is_loopback() && networks.iter().any(|network| network.contains(&address))
}
