//! Which endpoints a service has, and who may be sent to them: B-24, B-27, B-35, B-36, B-40 to B-46.

use std::{cmp::Reverse, net::IpAddr};

use proxy_common::{block::policy, family::FamilyKind};

use crate::model::{Hints, Model, Refusal, ServicePort, ServiceSpec, condition};

use super::{DesiredEndpoint, ProxyMode, Views};

/// The endpoints of a port in a family, sorted, and whether any could be used somewhere (B-44). Endpoints that have the
/// address of a Service are added to `refusals`.
///
/// In mode ipvs a policy `Local` means the endpoints of the whole cluster where none of this node can be used (B-51, B-76).
pub(super) fn endpoints(
    spec: &ServiceSpec,
    port: &ServicePort,
    family: FamilyKind,
    mode: ProxyMode,
    model: &Model,
    refusals: &mut Vec<Refusal>,
) -> (Vec<DesiredEndpoint>, bool) {
    let candidates = candidates(spec, port, family, model, refusals);
    let any_usable = candidates.iter().any(Candidate::is_usable);
    let zone = model.node().zone.as_deref();
    let uses = Uses::of(spec, port, family);
    let usable_here = candidates
        .iter()
        .any(|endpoint| endpoint.is_local() && endpoint.is_usable());
    let falls_back = mode == ProxyMode::Ipvs && uses.local && !usable_here;
    let cluster = (uses.cluster || falls_back).then(|| Cluster::of(&candidates, zone));
    let local_ready = candidates
        .iter()
        .any(|endpoint| endpoint.is_local() && endpoint.is_ready());
    let serving = candidates
        .iter()
        .filter(|endpoint| endpoint.is_usable())
        .map(|endpoint| {
            let in_cluster = cluster.as_ref().is_some_and(|cluster| cluster.takes(endpoint));
            // The fall-back to endpoints that terminate is decided for each view alone (B-41).
            let is_here = uses.local && endpoint.is_local() && (endpoint.is_ready() || !local_ready);
            DesiredEndpoint {
                address: endpoint.address,
                port: endpoint.port,
                views: views(is_here || (falls_back && in_cluster), uses.cluster && in_cluster),
            }
        });
    let mut desired = Vec::with_capacity(candidates.len());
    desired.extend(serving);
    (desired, any_usable)
}

const fn views(in_local: bool, in_cluster: bool) -> Views {
    match (in_local, in_cluster) {
        (true, false) => Views::LocalOnly,
        (true, true) => Views::Both,
        (false, true) => Views::ClusterOnly,
        (false, false) => Views::Neither,
    }
}

/// An endpoint as it is weighed against the others.
#[derive(Clone, Copy, Debug)]
struct Candidate<'a> {
    address: IpAddr,
    port: u16,
    conditions: u8,
    hints: Option<&'a Hints>,
}

impl Candidate<'_> {
    const fn is_ready(&self) -> bool {
        self.conditions & condition::READY != 0
    }

    /// Serving and terminating: good if there is nothing better.
    const fn is_leaving(&self) -> bool {
        let both = condition::SERVING | condition::TERMINATING;
        self.conditions & both == both
    }

    /// Whether it may be chosen at all (B-44).
    const fn is_usable(&self) -> bool {
        self.is_ready() || self.is_leaving()
    }

    const fn is_local(&self) -> bool {
        self.conditions & condition::LOCAL != 0
    }
}

/// All endpoints of all slices, sorted by address and port, each once. Of two with the same address and port the local
/// one counts (B-27), then the one that is ready.
fn candidates<'a>(
    spec: &ServiceSpec,
    port: &ServicePort,
    family: FamilyKind,
    model: &'a Model,
    refusals: &mut Vec<Refusal>,
) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for slice in model.slices(&spec.name).iter().filter(|slice| slice.family == family) {
        for number in slice.numbers(&port.name, port.protocol) {
            for (index, endpoint) in slice.endpoints.iter().enumerate() {
                if model.is_cluster_ip(endpoint.address, spec) {
                    let reason = format!("{}: the ClusterIP of a Service", endpoint.address);
                    refusals.push(Refusal::of_slice(&slice.name, "endpoints", reason));
                    continue;
                }
                candidates.push(Candidate {
                    address: endpoint.address,
                    port: number,
                    conditions: endpoint.conditions,
                    hints: slice.hints.get(index).and_then(Option::as_deref),
                });
            }
        }
    }
    candidates.sort_unstable_by_key(|c| {
        (
            c.address,
            c.port,
            Reverse((c.is_local(), c.is_ready(), c.conditions)),
            c.hints,
        )
    });
    candidates.dedup_by_key(|candidate| (candidate.address, candidate.port));
    candidates
}

/// Which views the policies of a service ask for (B-35, B-36).
struct Uses {
    cluster: bool,
    local: bool,
}

impl Uses {
    fn of(spec: &ServiceSpec, port: &ServicePort, family: FamilyKind) -> Self {
        let internal_local = spec.policies & policy::INTERNAL_LOCAL != 0;
        let external_local = spec.policies & policy::EXTERNAL_LOCAL != 0;
        let external = spec.is_external(port, family);
        Uses {
            cluster: !internal_local || external,
            local: internal_local || (external_local && external),
        }
    }
}

/// How the cluster view chooses: B-40, B-42.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cluster<'z> {
    /// Every endpoint that is ready.
    Ready,
    /// The ready ones that are meant for this node.
    SameNode,
    /// The ready ones that are meant for this zone.
    SameZone(&'z str),
    /// None is ready: those that terminate and still serve.
    Leaving,
}

impl<'z> Cluster<'z> {
    fn of(candidates: &[Candidate<'_>], zone: Option<&'z str>) -> Self {
        let ready = || candidates.iter().filter(|endpoint| endpoint.is_ready());
        if ready().next().is_none() {
            return Cluster::Leaving;
        }
        let all_for_nodes = ready().all(|endpoint| endpoint.hints.is_some_and(|hints| hints.for_nodes));
        if all_for_nodes && ready().any(|endpoint| endpoint.hints.is_some_and(|hints| hints.for_this_node)) {
            return Cluster::SameNode;
        }
        let all_for_zones = ready().all(|endpoint| endpoint.hints.is_some_and(|hints| !hints.zones.is_empty()));
        match zone {
            Some(zone) if all_for_zones && ready().any(|endpoint| is_for_zone(endpoint, zone)) => {
                Cluster::SameZone(zone)
            }
            Some(_) | None => Cluster::Ready,
        }
    }

    fn takes(self, endpoint: &Candidate<'_>) -> bool {
        match self {
            Cluster::Ready => endpoint.is_ready(),
            Cluster::SameNode => endpoint.is_ready() && endpoint.hints.is_some_and(|hints| hints.for_this_node),
            Cluster::SameZone(zone) => endpoint.is_ready() && is_for_zone(endpoint, zone),
            Cluster::Leaving => endpoint.is_leaving(),
        }
    }
}

fn is_for_zone(endpoint: &Candidate<'_>, zone: &str) -> bool {
    endpoint
        .hints
        .is_some_and(|hints| hints.zones.iter().any(|hint| **hint == *zone))
}
