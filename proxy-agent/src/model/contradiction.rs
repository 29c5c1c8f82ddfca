//! What of a Service contradicts itself, is there twice or says nothing that is known. The Service is served as if it were
//! not there; it is told because somebody wrote it for a reason.

use std::{collections::HashSet, net::IpAddr};

use proxy_common::family::FamilyKind;

use crate::{address::family, watch::object};

use super::{Refusal, address};

/// The types of Services that are known.
const TYPES: [&str; 4] = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];

/// Looks at a Service that has these ClusterIPs. What is found is added to `refusals`.
pub(super) fn of_service(service: &object::Service, cluster_ips: &[IpAddr], refusals: &mut Vec<Refusal>) {
    let spec = &service.spec;
    if let Some(other) = spec
        .r#type
        .as_deref()
        .filter(|text| !text.is_empty() && !TYPES.contains(text))
    {
        refusals.push(Refusal::new("spec.type", format!("{other:?}: taken as ClusterIP")));
    }
    if let (Some(single), Some(first)) = (&spec.cluster_ip, spec.cluster_ips.first())
        && single != first
        && !(single.is_empty() || address::parse(single).is_some_and(|single| Some(single) == address::parse(first)))
    {
        let reason = format!("{single:?}: not the first of spec.clusterIPs, which count");
        refusals.push(Refusal::new("spec.clusterIP", reason));
    }
    let has_timeout = spec.session_affinity_config.client_ip.timeout_seconds.is_some();
    if has_timeout && matches!(spec.session_affinity.as_deref(), None | Some("" | "None")) {
        let reason = "of no use without spec.sessionAffinity: ClientIP";
        refusals.push(Refusal::new("spec.sessionAffinityConfig.clientIP", reason));
    }
    let families: Vec<FamilyKind> = cluster_ips.iter().map(|address| family(*address)).collect();
    let external = spec.external_ips.iter().enumerate();
    let external = external.map(|(index, text)| (format!("spec.externalIPs[{index}]"), text.as_str()));
    superfluous(external, &families, refusals);
    let ingress = service.status.load_balancer.ingress.iter().enumerate();
    let ingress = ingress.filter(|(_, entry)| entry.ip_mode.as_deref() != Some("Proxy"));
    let ingress = ingress.filter_map(|(index, entry)| {
        let field = format!("status.loadBalancer.ingress[{index}].ip");
        Some((field, entry.ip.as_deref()?))
    });
    superfluous(ingress, &families, refusals);
}

/// Addresses of a list that are there twice, or of a family in which the Service is not served.
fn superfluous<'a>(
    given: impl Iterator<Item = (String, &'a str)>,
    families: &[FamilyKind],
    refusals: &mut Vec<Refusal>,
) {
    let mut seen = HashSet::new();
    for (field, text) in given {
        // What is no address is told where the list is read.
        let Some(address) = address::parse(text.trim()) else {
            continue;
        };
        if !families.contains(&family(address)) {
            let reason = format!("{address}: the Service has no ClusterIP of its family");
            refusals.push(Refusal::new(field, reason));
        } else if !seen.insert(address) {
            refusals.push(Refusal::new(field, format!("{address}: there already")));
        }
    }
}
