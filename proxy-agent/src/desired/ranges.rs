//! Who may use a service's load-balancer addresses: B-33, B-71, B-73.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;
use proxy_common::{block::policy, family::FamilyKind};

use super::ProxyMode;
use crate::{address::family, model::ServiceSpec};

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

/// What a block says of these networks. A process of the node may send from any of its addresses, so one that may use the
/// service lets the node.
pub(super) fn flags(source_ranges: &[IpNet], node_addresses: &BTreeSet<IpAddr>) -> u32 {
    if source_ranges.is_empty() {
        return 0;
    }
    let admits = |address: &IpAddr| has(source_ranges, *address);
    if node_addresses.iter().any(admits) {
        policy::SOURCE_RANGES | policy::NODE_ADMITTED
    } else {
        policy::SOURCE_RANGES
    }
}

/// Whether an address that may be the source of a packet to another machine lies in one of some networks.
pub(super) fn has(networks: &[IpNet], address: IpAddr) -> bool {
    !address.is_loopback() && networks.iter().any(|network| network.contains(&address))
}
