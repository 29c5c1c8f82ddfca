//! A Service as it is used: B-12 to B-15, B-20, B-30 to B-39.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;
use proxy_common::{block::policy, family::FamilyKind, net::Protocol};

use crate::{address::family, watch::object};

use super::{ObjectName, Refusal, Texts, address, contradiction, name::unfit, node, port};

/// How long an affinity lasts unless the object says otherwise: Kubernetes' default of three hours.
const AFFINITY_SECONDS: u32 = 10_800;
/// The longest affinity that the API takes.
const AFFINITY_LIMIT: i64 = 86_400;
/// The age of an object that does not say when it was made: younger than every one that does.
const AGE_UNKNOWN: i64 = i64::MAX;

/// A Service that has addresses and ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    /// Its name.
    pub name: ObjectName,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// ClusterIPs, one of a family at most, at least one.
    pub cluster_ips: Box<[IpAddr]>,
    /// External addresses of the families that it has a ClusterIP of.
    pub external_ips: Box<[IpAddr]>,
    /// Load-balancer addresses that nodes answer, of the same families.
    pub load_balancer_ips: Box<[IpAddr]>,
    /// The networks that may use its load-balancer addresses, sorted, each once; of a family without one everybody may.
    pub source_ranges: Box<[IpNet]>,
    /// Its ports: no two of the same name and protocol, nor of the same number and protocol.
    pub ports: Box<[ServicePort]>,
    /// Of [`policy`]: the traffic policies.
    pub policies: u32,
    /// How long an affinity by client address lasts; 0: there is none.
    pub affinity_seconds: u32,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name; may be empty.
    pub name: Arc<str>,
    /// Its protocol.
    pub protocol: Protocol,
    /// What clients dial, host byte order.
    pub port: u16,
    /// What clients dial at a node's address; 0: nothing.
    pub node_port: u16,
}

impl ServiceSpec {
    /// Age, then namespace, then name: the order in which Services have what several of them claim.
    #[must_use]
    pub const fn precedence(&self) -> (i64, &ObjectName) {
        (self.created, &self.name)
    }

    /// The families that it is served in (B-14).
    pub fn families(&self) -> impl Iterator<Item = FamilyKind> + '_ {
        self.cluster_ips.iter().map(|address| family(*address))
    }

    /// Whether a port can be reached from outside the cluster in a family (B-34).
    #[must_use]
    pub fn is_external(&self, port: &ServicePort, wanted: FamilyKind) -> bool {
        let mut addresses = self.external_ips.iter().chain(&self.load_balancer_ips);
        port.node_port != 0 || addresses.any(|address| family(*address) == wanted)
    }
}

/// Reads a Service. `None`: it is not served, by its own will (headless, a name only) or because too much of it is
/// refused. What is refused is added to `refusals`.
pub(super) fn read(
    name: &ObjectName,
    service: &object::Service,
    texts: &mut Texts,
    refusals: &mut Vec<Refusal>,
) -> Option<ServiceSpec> {
    if is_foreign(service) || service.spec.r#type.as_deref() == Some("ExternalName") {
        return None;
    }
    check_name(name, refusals)?;
    let cluster_ips = cluster_ips(&service.spec, refusals)?;
    contradiction::of_service(service, &cluster_ips, refusals);
    let families: Vec<FamilyKind> = cluster_ips.iter().map(|address| family(*address)).collect();
    let ports = port::ports(&service.spec.ports, texts, refusals);
    if ports.is_empty() {
        return None;
    }
    Some(ServiceSpec {
        name: name.clone(),
        created: created(service),
        external_ips: external_ips(&service.spec.external_ips, &families, refusals),
        load_balancer_ips: load_balancer_ips(&service.status.load_balancer.ingress, &families, refusals),
        source_ranges: source_ranges(&service.spec.load_balancer_source_ranges, refusals),
        cluster_ips,
        ports,
        policies: policies(&service.spec, refusals),
        affinity_seconds: affinity(&service.spec, refusals),
    })
}

/// Whether another proxy serves it (B-11).
fn is_foreign(service: &object::Service) -> bool {
    let labels = service.metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key(object::LABEL_PROXY_NAME))
}

fn created(service: &object::Service) -> i64 {
    service
        .metadata
        .creation_timestamp
        .as_ref()
        .map_or(AGE_UNKNOWN, |time| time.0.as_second())
}

/// Names have their place in the maps, where they must be told apart.
fn check_name(name: &ObjectName, refusals: &mut Vec<Refusal>) -> Option<()> {
    for (field, text) in [("metadata.namespace", &name.namespace), ("metadata.name", &name.name)] {
        let missing = text.is_empty().then(|| "missing".to_owned());
        let wrong = missing.or_else(|| unfit(text));
        if let Some(reason) = wrong {
            refusals.push(Refusal::new(field, reason));
            return None;
        }
    }
    Some(())
}

fn cluster_ips(spec: &object::ServiceSpec, refusals: &mut Vec<Refusal>) -> Option<Box<[IpAddr]>> {
    let listed = !spec.cluster_ips.is_empty();
    let single = spec.cluster_ip.iter();
    let texts: Vec<&String> = if listed {
        spec.cluster_ips.iter().collect()
    } else {
        single.collect()
    };
    let mut addresses: Vec<IpAddr> = Vec::with_capacity(texts.len());
    for (index, text) in texts
        .into_iter()
        .enumerate()
        .filter(|(_, text)| !text.is_empty() && *text != "None")
    {
        let field = if listed {
            format!("spec.clusterIPs[{index}]")
        } else {
            "spec.clusterIP".to_owned()
        };
        match usable(text, address::never_unicast) {
            Err(reason) => refusals.push(Refusal::new(field, reason)),
            Ok(address) if addresses.iter().any(|other| family(*other) == family(address)) => {
                refusals.push(Refusal::new(field, format!("{text}: a second address of its family")));
            }
            Ok(address) => addresses.push(address),
        }
    }
    (!addresses.is_empty()).then(|| addresses.into())
}

fn external_ips(texts: &[String], families: &[FamilyKind], refusals: &mut Vec<Refusal>) -> Box<[IpAddr]> {
    let mut addresses = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match usable(text, address::never_routed) {
            Err(reason) => refusals.push(Refusal::new(format!("spec.externalIPs[{index}]"), reason)),
            Ok(address) => addresses.push(address),
        }
    }
    settled(addresses, families)
}

/// The addresses that nodes answer: without an address, or with another `ipMode` than `VIP`, the load balancer does (B-31,
/// B-32).
fn load_balancer_ips(
    ingress: &[object::Ingress],
    families: &[FamilyKind],
    refusals: &mut Vec<Refusal>,
) -> Box<[IpAddr]> {
    let mut addresses = Vec::with_capacity(ingress.len());
    for (index, entry) in ingress.iter().enumerate() {
        let field = |name: &str| format!("status.loadBalancer.ingress[{index}].{name}");
        let Some(text) = entry.ip.as_deref().filter(|text| !text.is_empty()) else {
            continue;
        };
        match entry.ip_mode.as_deref() {
            None | Some("VIP") => {}
            Some("Proxy") => continue,
            Some(other) => {
                refusals.push(Refusal::new(
                    field("ipMode"),
                    format!("{other:?}: left to the load balancer"),
                ));
                continue;
            }
        }
        match usable(text, address::never_unicast) {
            Err(reason) => refusals.push(Refusal::new(field("ip"), reason)),
            Ok(address) => addresses.push(address),
        }
    }
    settled(addresses, families)
}

/// The networks that are not those of everybody (B-33): a network of all addresses of a family lifts the limit for it.
fn source_ranges(texts: &[String], refusals: &mut Vec<Refusal>) -> Box<[IpNet]> {
    let mut ranges = node::listed("spec.loadBalancerSourceRanges", texts.iter(), refusals, |_| true);
    let open: Vec<FamilyKind> = ranges
        .iter()
        .filter(|range| range.prefix_len() == 0)
        .map(|range| family(range.addr()))
        .collect();
    ranges.retain(|range| !open.contains(&family(range.addr())));
    ranges.sort_unstable();
    ranges.dedup();
    ranges.into()
}

fn usable(text: &str, refused: fn(IpAddr) -> Option<&'static str>) -> Result<IpAddr, String> {
    let address = address::parse(text.trim()).ok_or_else(|| format!("{text:?}: not an IP address"))?;
    match refused(address) {
        Some(reason) => Err(format!("{text}: {reason}")),
        None => Ok(address),
    }
}

/// Sorted, each once, and of the families that are served.
fn settled(mut addresses: Vec<IpAddr>, families: &[FamilyKind]) -> Box<[IpAddr]> {
    addresses.retain(|address| families.contains(&family(*address)));
    addresses.sort_unstable();
    addresses.dedup();
    addresses.into()
}

fn policies(spec: &object::ServiceSpec, refusals: &mut Vec<Refusal>) -> u32 {
    let mut is_local = |field: &str, value: &Option<String>| match value.as_deref() {
        None | Some("" | "Cluster") => false,
        Some("Local") => true,
        Some(other) => {
            refusals.push(Refusal::new(
                format!("spec.{field}"),
                format!("{other:?}: taken as Cluster"),
            ));
            false
        }
    };
    let mut policies = 0;
    if is_local("internalTrafficPolicy", &spec.internal_traffic_policy) {
        policies |= policy::INTERNAL_LOCAL;
    }
    if is_local("externalTrafficPolicy", &spec.external_traffic_policy) {
        policies |= policy::EXTERNAL_LOCAL;
    }
    policies
}

fn affinity(spec: &object::ServiceSpec, refusals: &mut Vec<Refusal>) -> u32 {
    match spec.session_affinity.as_deref() {
        None | Some("" | "None") => 0,
        Some("ClientIP") => match spec.session_affinity_config.client_ip.timeout_seconds {
            None => AFFINITY_SECONDS,
            Some(seconds @ 1..=AFFINITY_LIMIT) => u32::try_from(seconds).unwrap_or(AFFINITY_SECONDS),
            Some(seconds) => {
                let reason = format!("{seconds}: not between 1 and {AFFINITY_LIMIT}; {AFFINITY_SECONDS} is taken");
                refusals.push(Refusal::new(
                    "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                    reason,
                ));
                AFFINITY_SECONDS
            }
        },
        Some(other) => {
            refusals.push(Refusal::new(
                "spec.sessionAffinity",
                format!("{other:?}: taken as None"),
            ));
            0
        }
    }
}
