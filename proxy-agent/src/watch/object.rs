//! API objects as far as they are used. Everything else, `managedFields` above all, is skipped while it is read.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::{
    ClusterResourceScope, NamespaceResourceScope,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::Resource;
use serde::{Deserialize, Deserializer};

/// Services with this label are another proxy's (B-11). What slices say of it does not count.
pub const LABEL_PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";
/// Slices with this label are those of a Service without an address of its own (B-11). What Services say of it does not
/// count: kube-proxy 1.36 asks for those by `spec.clusterIP`.
pub const LABEL_HEADLESS: &str = "service.kubernetes.io/headless";
/// The Service that a slice belongs to (B-21).
pub const LABEL_SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The zone of a Node (B-42).
pub const LABEL_ZONE: &str = "topology.kubernetes.io/zone";

/// When the change was made that a slice followed (B-28).
pub const ANNOTATION_TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The labels and annotations that are kept.
const KEPT: [&str; 5] = [
    LABEL_PROXY_NAME,
    LABEL_HEADLESS,
    LABEL_SERVICE_NAME,
    LABEL_ZONE,
    ANNOTATION_TRIGGER,
];

/// A v1 Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Name, namespace, age and the labels that are used.
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(deserialize_with = "or_default")]
    pub spec: ServiceSpec,
    /// What the cluster has given.
    #[serde(deserialize_with = "or_default")]
    pub status: ServiceStatus,
}

/// `spec` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceSpec {
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub r#type: Option<String>,
    /// The first ClusterIP.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    /// The ClusterIPs, one of each family.
    #[serde(rename = "clusterIPs", deserialize_with = "or_default")]
    pub cluster_ips: Vec<String>,
    /// Addresses that somebody else brings to the nodes.
    #[serde(rename = "externalIPs", deserialize_with = "or_default")]
    pub external_ips: Vec<String>,
    /// The ports.
    #[serde(deserialize_with = "or_default")]
    pub ports: Vec<ServicePort>,
    /// `Cluster` or `Local`.
    pub internal_traffic_policy: Option<String>,
    /// `Cluster` or `Local`.
    pub external_traffic_policy: Option<String>,
    /// Who may use the load balancer's addresses.
    #[serde(deserialize_with = "or_default")]
    pub load_balancer_source_ranges: Vec<String>,
    /// `None` or `ClientIP`.
    pub session_affinity: Option<String>,
    /// How long an affinity lasts.
    #[serde(deserialize_with = "or_default")]
    pub session_affinity_config: AffinityConfig,
}

/// `spec.sessionAffinityConfig` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AffinityConfig {
    /// For the affinity by client address.
    #[serde(rename = "clientIP", deserialize_with = "or_default")]
    pub client_ip: ClientIpConfig,
}

/// `spec.sessionAffinityConfig.clientIP` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClientIpConfig {
    /// Seconds.
    pub timeout_seconds: Option<i64>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServicePort {
    /// Its name.
    pub name: Option<String>,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Option<String>,
    /// What clients dial.
    pub port: Option<i64>,
    /// What clients dial at a node's address.
    pub node_port: Option<i64>,
}

/// `status` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceStatus {
    /// The load balancer's state.
    #[serde(deserialize_with = "or_default")]
    pub load_balancer: LoadBalancerStatus,
}

/// `status.loadBalancer` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LoadBalancerStatus {
    /// Its addresses.
    #[serde(deserialize_with = "or_default")]
    pub ingress: Vec<Ingress>,
}

/// An address of a load balancer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Ingress {
    /// The address; absent where there is only a host name.
    pub ip: Option<String>,
    /// `VIP` or `Proxy` (B-32).
    pub ip_mode: Option<String>,
}

/// A discovery.k8s.io/v1 EndpointSlice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EndpointSlice {
    /// Name, namespace and the labels that are used.
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    /// `IPv4`, `IPv6` or `FQDN`.
    pub address_type: Option<String>,
    /// The endpoints.
    #[serde(deserialize_with = "or_default")]
    pub endpoints: Vec<Endpoint>,
    /// The ports that each endpoint has.
    #[serde(deserialize_with = "or_default")]
    pub ports: Vec<EndpointPort>,
}

/// An endpoint of a slice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Endpoint {
    /// Its addresses, of which the first is used (B-23).
    #[serde(deserialize_with = "or_default")]
    pub addresses: Vec<String>,
    /// Its conditions.
    #[serde(deserialize_with = "or_default")]
    pub conditions: Conditions,
    /// The node it is on.
    pub node_name: Option<String>,
    /// Who should use it.
    #[serde(deserialize_with = "or_default")]
    pub hints: Hints,
}

/// The conditions of an endpoint (B-25).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// Absent: true.
    pub ready: Option<bool>,
    /// Absent: true.
    pub serving: Option<bool>,
    /// Absent: false.
    pub terminating: Option<bool>,
}

/// The hints of an endpoint (B-42).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hints {
    /// Zones.
    #[serde(deserialize_with = "or_default")]
    pub for_zones: Vec<Named>,
    /// Nodes.
    #[serde(deserialize_with = "or_default")]
    pub for_nodes: Vec<Named>,
}

/// Something that has a name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// A port of a slice or of a subset.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EndpointPort {
    /// Its name: that of the Service's port.
    pub name: Option<String>,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Option<String>,
    /// Its number.
    pub port: Option<i64>,
}

/// A v1 Endpoints. Only manifests bring these; the API server's are not read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Endpoints {
    /// Name, namespace and the labels that are used.
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    /// Addresses that have the same ports.
    #[serde(deserialize_with = "or_default")]
    pub subsets: Vec<Subset>,
}

/// A subset of an Endpoints.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Subset {
    /// Those that are ready.
    #[serde(deserialize_with = "or_default")]
    pub addresses: Vec<SubsetAddress>,
    /// Those that are not.
    #[serde(deserialize_with = "or_default")]
    pub not_ready_addresses: Vec<SubsetAddress>,
    /// The ports that each has.
    #[serde(deserialize_with = "or_default")]
    pub ports: Vec<EndpointPort>,
}

/// An address of a subset.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubsetAddress {
    /// The address.
    pub ip: String,
    /// The node it is on.
    pub node_name: Option<String>,
}

/// A v1 Node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Name and the labels that are used.
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(deserialize_with = "or_default")]
    pub spec: NodeSpec,
    /// What is.
    #[serde(deserialize_with = "or_default")]
    pub status: NodeStatus,
}

/// `spec` of a Node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// The pods' first network.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Option<String>,
    /// The pods' networks.
    #[serde(rename = "podCIDRs", deserialize_with = "or_default")]
    pub pod_cidrs: Vec<String>,
    /// Taints.
    #[serde(deserialize_with = "or_default")]
    pub taints: Vec<Taint>,
}

/// A taint of a Node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Taint {
    /// Its key.
    pub key: String,
}

/// `status` of a Node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// Its addresses.
    #[serde(deserialize_with = "or_default")]
    pub addresses: Vec<NodeAddress>,
}

/// An address of a Node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeAddress {
    /// `InternalIP`, `ExternalIP`, `Hostname` and others.
    pub r#type: String,
    /// The address, or a name.
    pub address: String,
}

/// A networking.k8s.io/v1 ServiceCIDR.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceCidr {
    /// Its name.
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(deserialize_with = "or_default")]
    pub spec: ServiceCidrSpec,
}

/// `spec` of a ServiceCIDR.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceCidrSpec {
    /// The networks.
    #[serde(deserialize_with = "or_default")]
    pub cidrs: Vec<String>,
}

/// Null is the same as absence: Go's encoder writes it for empty lists.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

fn metadata<'de, D: Deserializer<'de>>(from: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Slim {
        name: Option<String>,
        namespace: Option<String>,
        resource_version: Option<String>,
        creation_timestamp: Option<Time>,
        deletion_timestamp: Option<Time>,
        #[serde(deserialize_with = "or_default")]
        labels: Kept,
        #[serde(deserialize_with = "or_default")]
        annotations: Kept,
    }
    let slim: Slim = or_default(from)?;
    Ok(ObjectMeta {
        name: slim.name,
        namespace: slim.namespace,
        resource_version: slim.resource_version,
        creation_timestamp: slim.creation_timestamp,
        deletion_timestamp: slim.deletion_timestamp,
        labels: slim.labels.or_none(),
        annotations: slim.annotations.or_none(),
        ..ObjectMeta::default()
    })
}

/// Those of an object's labels or annotations that are used.
#[derive(Default)]
struct Kept(BTreeMap<String, String>);

impl Kept {
    fn or_none(self) -> Option<BTreeMap<String, String>> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Kept;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping of texts")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Kept, A::Error> {
                let mut kept = Kept::default();
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    if KEPT.contains(&key.as_ref()) {
                        let value: Option<String> = map.next_value()?;
                        kept.0.insert(key.into_owned(), value.unwrap_or_default());
                    } else {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    }
                }
                Ok(kept)
            }
        }
        from.deserialize_map(Visitor)
    }
}

macro_rules! resource {
    ($object:ident, $kind:literal, $group:literal, $plural:literal, $scope:ident) => {
        impl Resource for $object {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> Cow<'_, str> {
                "v1".into()
            }

            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(Service, "Service", "", "services", NamespaceResourceScope);
resource!(
    EndpointSlice,
    "EndpointSlice",
    "discovery.k8s.io",
    "endpointslices",
    NamespaceResourceScope
);
resource!(Node, "Node", "", "nodes", ClusterResourceScope);
resource!(
    ServiceCidr,
    "ServiceCIDR",
    "networking.k8s.io",
    "servicecidrs",
    ClusterResourceScope
);
