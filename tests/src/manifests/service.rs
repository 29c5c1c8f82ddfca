//! A Service with its endpoints, built fluently.

use serde_json::{Value, json};

use super::{both, family};
use crate::cluster::{Node, Pod};
use crate::plan::{Dual, Ip};

/// A protocol a Service port can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// One port of a Service.
#[derive(Clone, Copy, Debug)]
struct Port {
    protocol: Protocol,
    port: u16,
    target: u16,
    node_port: Option<u16>,
}

/// One endpoint of a Service, in both families.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its addresses.
    pub address: Dual,
    /// The node it is on.
    pub node: String,
    /// It takes new connections.
    pub ready: bool,
    /// It still answers the connections it has.
    pub serving: bool,
    /// It is being shut down.
    pub terminating: bool,
}

/// A dual-stack Service and the EndpointSlices that belong to it.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name; the namespace is `default`.
    pub name: String,
    /// Its endpoints.
    pub backends: Vec<Backend>,
    cluster_ip: Dual,
    ports: Vec<Port>,
    external_ips: Vec<Dual>,
    load_balancer_ips: Vec<Dual>,
    extra: Vec<(&'static str, Value)>,
}

impl Backend {
    /// A ready pod of a node.
    pub fn pod(node: &Node, pod: &Pod) -> Self {
        Self::new(pod.address, node.label())
    }

    /// A ready host-network pod of a node.
    pub fn host(node: &Node) -> Self {
        Self::new(node.address(), node.label())
    }

    fn new(address: Dual, node: &str) -> Self {
        Self {
            address,
            node: node.to_owned(),
            ready: true,
            serving: true,
            terminating: false,
        }
    }
}

impl Service {
    /// A Service of that name with cluster addresses and nothing else.
    pub fn named(name: &str, cluster_ip: Dual) -> Self {
        Self {
            name: name.to_owned(),
            backends: Vec::new(),
            cluster_ip,
            ports: Vec::new(),
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            extra: Vec::new(),
        }
    }

    /// A port for one protocol, and the endpoints' port behind it.
    #[must_use]
    pub fn port(mut self, protocol: Protocol, port: u16, target: u16) -> Self {
        self.ports.push(Port {
            protocol,
            port,
            target,
            node_port: None,
        });
        self
    }

    /// The same port for TCP and UDP.
    #[must_use]
    pub fn ports(self, port: u16, target: u16) -> Self {
        self.port(Protocol::Tcp, port, target).port(Protocol::Udp, port, target)
    }

    /// Makes the ports so far reachable through a port of every node.
    #[must_use]
    pub fn node_port(mut self, node_port: u16) -> Self {
        self.ports.iter_mut().for_each(|port| port.node_port = Some(node_port));
        self
    }

    /// Adds addresses that the outside sends to the nodes.
    #[must_use]
    pub fn external_ip(mut self, address: Dual) -> Self {
        self.external_ips.push(address);
        self
    }

    /// Adds addresses of a load balancer.
    #[must_use]
    pub fn load_balancer(mut self, address: Dual) -> Self {
        self.load_balancer_ips.push(address);
        self
    }

    /// Adds an endpoint.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backends.push(backend);
        self
    }

    /// Adds every pod of a node.
    #[must_use]
    pub fn pods_of(mut self, node: &Node) -> Self {
        self.backends
            .extend(node.pods.iter().map(|pod| Backend::pod(node, pod)));
        self
    }

    /// Sets any other field of the specification, as the API names it.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: Value) -> Self {
        self.extra.push((name, value));
        self
    }

    /// The Service and an EndpointSlice for each family.
    pub fn objects(&self) -> Vec<Value> {
        vec![self.service(), self.slice(Ip::V4), self.slice(Ip::V6)]
    }

    fn service(&self) -> Value {
        let kind = match (
            self.load_balancer_ips.is_empty(),
            self.ports.iter().any(|port| port.node_port.is_some()),
        ) {
            (false, _) => "LoadBalancer",
            (true, true) => "NodePort",
            (true, false) => "ClusterIP",
        };
        let mut spec = json!({
            "type": kind,
            "clusterIP": self.cluster_ip.v4,
            "clusterIPs": both(&self.cluster_ip),
            "ipFamilies": ["IPv4", "IPv6"],
            "ipFamilyPolicy": "RequireDualStack",
            "ports": self.ports.iter().map(Port::of_service).collect::<Vec<_>>(),
        });
        if !self.external_ips.is_empty() {
            spec["externalIPs"] = self.external_ips.iter().flat_map(both).collect();
        }
        for (name, value) in &self.extra {
            spec[*name] = value.clone();
        }
        let ingress = self
            .load_balancer_ips
            .iter()
            .flat_map(both)
            .map(|ip| json!({ "ip": ip, "ipMode": "VIP" }));
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": self.name,
                "namespace": "default",
                "uid": format!("uid-{}", self.name),
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": spec,
            "status": { "loadBalancer": { "ingress": ingress.collect::<Vec<_>>() } },
        })
    }

    fn slice(&self, ip: Ip) -> Value {
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{}-{}", self.name, family(ip).to_lowercase()),
                "namespace": "default",
                "labels": { "kubernetes.io/service-name": self.name },
            },
            "addressType": family(ip),
            "ports": self.ports.iter().map(Port::of_slice).collect::<Vec<_>>(),
            "endpoints": self.backends.iter().map(|backend| backend.endpoint(ip)).collect::<Vec<_>>(),
        })
    }
}

impl Port {
    /// Ports of a Service need different names, and slices refer to them.
    fn name(&self) -> String {
        format!("{}-{}", self.protocol.name().to_lowercase(), self.port)
    }

    fn of_service(&self) -> Value {
        let mut port = json!({
            "name": self.name(),
            "protocol": self.protocol.name(),
            "port": self.port,
            "targetPort": self.target,
        });
        if let Some(node_port) = self.node_port {
            port["nodePort"] = node_port.into();
        }
        port
    }

    fn of_slice(&self) -> Value {
        json!({ "name": self.name(), "protocol": self.protocol.name(), "port": self.target })
    }
}

impl Protocol {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

impl Backend {
    fn endpoint(&self, ip: Ip) -> Value {
        json!({
            "addresses": [self.address.of(ip)],
            "nodeName": self.node,
            "zone": format!("zone-{}", self.node),
            "conditions": { "ready": self.ready, "serving": self.serving, "terminating": self.terminating },
        })
    }
}
