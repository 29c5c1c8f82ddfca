//! Every address and port that leads to a service: B-30 to B-32, B-48, B-58, B-69.

use std::{collections::BTreeSet, net::IpAddr};

use proxy_common::{family::FamilyKind, frontend::FrontendKind};

use crate::model::{Refusal, ServicePort, ServiceSpec};

use super::{
    DesiredFrontend,
    claims::{Claim, Claims, claims_of_port},
};

/// The frontends of a port in a family. What belongs to another Service is added to `refusals`.
///
/// A ClusterIP that is an address of this node is left to the node: NodeLocal DNSCache binds one. External and
/// load-balancer addresses are served even then.
pub(super) fn frontends(
    spec: &ServiceSpec,
    port: &ServicePort,
    family: FamilyKind,
    claims: &Claims,
    node_addresses: &BTreeSet<IpAddr>,
    refusals: &mut Vec<Refusal>,
) -> Vec<DesiredFrontend> {
    let most = 2 + spec.external_ips.len() + spec.load_balancer_ips.len();
    let mut frontends: Vec<DesiredFrontend> = Vec::with_capacity(most);
    for (claim, kind) in claims_of_port(spec, port, family) {
        if kind == FrontendKind::ClusterIp && node_addresses.contains(&claim.address) {
            continue;
        }
        match claims.holder(&claim) {
            Some(holder) if holder.name != spec.name => {
                let why = if holder.cluster_ips.contains(&claim.address) {
                    "whose ClusterIP it is"
                } else {
                    "which is older"
                };
                let reason = format!("{} is that of Service {}, {why}", describe(&claim), holder.name);
                refusals.push(Refusal::new(field(kind, port), reason));
            }
            Some(_) | None => frontends.push(DesiredFrontend {
                address: claim.address,
                port: claim.port,
                kind,
            }),
        }
    }
    // One address of several kinds is of the first: a ClusterIP, then a load balancer's.
    frontends.sort_by_key(|frontend| (frontend.address, frontend.port));
    frontends.dedup_by_key(|frontend| (frontend.address, frontend.port));
    frontends
}

fn field(kind: FrontendKind, port: &ServicePort) -> String {
    match kind {
        FrontendKind::ClusterIp => "spec.clusterIPs".to_owned(),
        FrontendKind::External => "spec.externalIPs".to_owned(),
        FrontendKind::LoadBalancer => "status.loadBalancer.ingress".to_owned(),
        FrontendKind::NodePort => format!("spec.ports[name={:?}].nodePort", port.name),
    }
}

fn describe(claim: &Claim) -> String {
    let protocol = format!("{:?}", claim.protocol).to_uppercase();
    if claim.address.is_unspecified() {
        format!("node port {}/{protocol}", claim.port)
    } else {
        format!("{}/{protocol}", std::net::SocketAddr::new(claim.address, claim.port))
    }
}
