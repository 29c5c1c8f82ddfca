//! The Services of every stand and their endpoints.
//!
//! All Services share the same few pods, which all serve the same: any of them can be measured. Those with an even
//! number have their endpoints on the first node ("near": the client's own), the others on the second ("far").
//!
//! For one Service of very many endpoints a few pods have a whole prefix of addresses each ([`Scale::Endpoints`]).
//!
//! Every Service has one port, for HTTP over TCP. A few are *equipped* for all that is measured: with ports for the echo
//! server (TCP and UDP) and for streams (TCP and UDP), and with node ports. They are few because mode iptables has a rule
//! in one list for each port of each Service: were all of them equipped, the list would be five times as long as its
//! number of Services says.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use anyhow::Result;
use serde_json::{Value, json};

use crate::apiserver::ApiServer;
use crate::plan::{self, Dual, Ip};
use crate::programmed;

use super::crowd;
use super::live;

/// Of so many Services in a row, the first two are equipped: one near, one far.
const EQUIPPED_EVERY: usize = 250;

/// Cluster addresses that the server may give away by itself before them: those of its own Services and of the tests'.
const FIRST_V6: u16 = 0x1000;

const FIRST_NODE_PORT: u16 = 30_000;

/// Endpoints in one slice, as the controller of the cluster makes them.
const SLICE: usize = 100;

/// How many Services with how many endpoints each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Services; at least two are made, one near and one far.
    pub services: usize,
    /// Endpoints of each, on one node.
    pub endpoints: usize,
    /// What there is much of.
    pub scale: Scale,
}

/// What there is much of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Services; every endpoint is a pod.
    #[default]
    Services,
    /// Endpoints of a Service: addresses of a few pods ([`crowd`]), which serve HTTP alone.
    Endpoints,
    /// Live flows, up to so many: there is one more Service, whose only endpoint is nobody ([`live`]).
    Flows(u32),
}

/// What a port of a Service leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// nginx ([`crate::servers::Nginx`]): TCP. The only port of most Services.
    Http,
    /// The peer's server ([`crate::peer::serve`]): TCP and UDP.
    Echo,
    /// iperf3 ([`crate::servers::Iperf`]): TCP and UDP, one endpoint: its two connections must meet the same server.
    Stream,
}

impl Use {
    /// All.
    pub const ALL: [Self; 3] = [Self::Http, Self::Echo, Self::Stream];

    /// The port of the Service.
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Echo => 7,
            Self::Stream => 5201,
        }
    }

    /// The port of the pods behind it, which is dialled without a Service.
    pub const fn target(self) -> u16 {
        match self {
            Self::Http => 8080,
            Self::Echo => programmed::TARGET,
            Self::Stream => 5201,
        }
    }

    /// Names and protocols of its ports.
    const fn ports(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Http => &[("http", "TCP")],
            Self::Echo => &[("echo-tcp", "TCP"), ("echo-udp", "UDP")],
            Self::Stream => &[("stream-tcp", "TCP"), ("stream-udp", "UDP")],
        }
    }
}

impl Objects {
    /// How many Services there are: the numbers from 0 on.
    pub fn count(self) -> usize {
        self.services.max(2)
    }

    /// The equipped Services.
    pub fn equipped(self) -> impl Iterator<Item = usize> {
        (0..self.count()).filter(move |n| self.is_equipped(*n))
    }

    /// Whether Service `n` has all ports, and node ports.
    pub fn is_equipped(self, n: usize) -> bool {
        self.scale != Scale::Endpoints && n % EQUIPPED_EVERY < 2
    }

    /// What ports Service `n` has.
    pub fn uses(self, n: usize) -> &'static [Use] {
        if self.is_equipped(n) { &Use::ALL } else { &[Use::Http] }
    }

    /// The node port of Service `n`, if it is equipped: one number for TCP and UDP.
    pub fn node_port(self, n: usize, of: Use) -> Option<u16> {
        let pair = (n / EQUIPPED_EVERY) * 2 + n % 2;
        let offset = u16::try_from(pair * Use::ALL.len() + of as usize).ok()?;
        self.is_equipped(n).then(|| FIRST_NODE_PORT + offset)
    }

    /// How many ports all Services have together: what there are rules for.
    pub fn ports(self) -> usize {
        (0..self.count())
            .map(|n| self.uses(n).iter().map(|of| of.ports().len()).sum::<usize>())
            .sum()
    }

    /// Pods that must be there: of the client's node with the client, and of the other.
    pub fn pods(self) -> [usize; 2] {
        [self.serving() + 1, self.serving()]
    }

    /// Pods of each node that serve.
    fn serving(self) -> usize {
        match self.scale {
            Scale::Services | Scale::Flows(_) => self.endpoints,
            Scale::Endpoints => self.endpoints.min(crowd::PODS),
        }
    }

    /// The addresses of the endpoints of Service `n`.
    pub fn backends(self, n: usize) -> Vec<Dual> {
        let node = node_of(n);
        match self.scale {
            Scale::Services | Scale::Flows(_) => self.backend_pods(n).map(|pod| plan::pod(node, pod)).collect(),
            Scale::Endpoints => (0..self.endpoints).map(|number| crowd::address(node, number)).collect(),
        }
    }

    /// The pods behind Service `n`, by their number in its node.
    pub fn backend_pods(self, n: usize) -> Range<usize> {
        // The first pod of the first node is the client.
        let first = if is_near(n) { 1 } else { 0 };
        first..first + self.serving()
    }

    /// Creates all of them, fewer that are there already.
    ///
    /// # Errors
    /// What the server says against the first that it refuses.
    pub fn create(self, api: &ApiServer, already: usize) -> Result<()> {
        api.create_all(self.more(already))
    }

    /// All of them, fewer that are there already.
    pub fn more(self, already: usize) -> impl Iterator<Item = Value> {
        let nobody = match self.scale {
            Scale::Flows(_) => live::objects(),
            Scale::Services | Scale::Endpoints => Vec::new(),
        };
        (already..self.count()).flat_map(move |n| self.of(n)).chain(nobody)
    }

    /// Service `n` and its slices.
    pub fn of(self, n: usize) -> Vec<Value> {
        let slices = Ip::BOTH.into_iter().flat_map(|ip| self.slices(n, ip));
        std::iter::once(self.service(n)).chain(slices).collect()
    }

    /// The slices of one family of Service `n`, the first with the first endpoints; that of streams has one endpoint and
    /// is the last.
    pub fn slices(self, n: usize, ip: Ip) -> Vec<Value> {
        let backends = self.backends(n);
        let short = || self.uses(n).iter().filter(|of| **of != Use::Stream);
        let part = |(at, part): (usize, &[Dual])| {
            let suffix = if at == 0 { String::new() } else { format!("-{at}") };
            slice(n, ip, &suffix, short(), part)
        };
        let mut slices: Vec<_> = backends.chunks(SLICE).enumerate().map(part).collect();
        if self.is_equipped(n) {
            slices.push(slice(n, ip, "-stream", [Use::Stream].iter(), &backends[..1]));
        }
        slices
    }

    fn service(self, n: usize) -> Value {
        let addresses = cluster_ip(n);
        let ports = self.uses(n).iter().flat_map(|of| {
            of.ports().iter().map(move |(name, protocol)| {
                let mut port =
                    json!({ "name": name, "protocol": protocol, "port": of.port(), "targetPort": of.target() });
                if let Some(node_port) = self.node_port(n, *of) {
                    port["nodePort"] = node_port.into();
                }
                port
            })
        });
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": name(n), "namespace": "default" },
            "spec": {
                "type": if self.is_equipped(n) { "NodePort" } else { "ClusterIP" },
                "clusterIP": addresses.v4,
                "clusterIPs": [addresses.v4.to_string(), addresses.v6.to_string()],
                "ipFamilies": ["IPv4", "IPv6"],
                "ipFamilyPolicy": "RequireDualStack",
                "ports": ports.collect::<Vec<_>>(),
            },
        })
    }
}

/// Whether the endpoints of Service `n` are on the client's node.
pub const fn is_near(n: usize) -> bool {
    n.is_multiple_of(2)
}

/// The node of the endpoints of Service `n`.
pub const fn node_of(n: usize) -> usize {
    n % 2
}

/// The name of Service `n`; its namespace is `default`.
pub fn name(n: usize) -> String {
    format!("service-{n:05}")
}

/// The number of the Service of a name, if it is one of these.
pub fn number(name: &str) -> Option<usize> {
    name.strip_prefix("service-")?.parse().ok()
}

/// The cluster addresses of Service `n`.
pub fn cluster_ip(n: usize) -> Dual {
    let n = u16::try_from(n).unwrap_or(u16::MAX);
    Dual {
        v4: Ipv4Addr::from_bits(Ipv4Addr::new(10, 100, 0, 0).to_bits() + u32::from(n)),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, FIRST_V6.saturating_add(n)),
    }
}

fn slice<'a>(n: usize, ip: Ip, suffix: &str, uses: impl Iterator<Item = &'a Use>, backends: &[Dual]) -> Value {
    let node = if is_near(n) { "node-a" } else { "node-b" };
    let ports = uses.flat_map(|of| {
        of.ports()
            .iter()
            .map(move |(name, protocol)| json!({ "name": name, "protocol": protocol, "port": of.target() }))
    });
    let endpoints = backends.iter().map(|backend| {
        json!({
            "addresses": [backend.of(ip)],
            "conditions": { "ready": true, "serving": true, "terminating": false },
            "nodeName": node,
        })
    });
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{}-{}{suffix}", name(n), ip.to_string().to_lowercase()),
            "namespace": "default",
            "labels": { "kubernetes.io/service-name": name(n) },
        },
        "addressType": ip.to_string(),
        "ports": ports.collect::<Vec<_>>(),
        "endpoints": endpoints.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn node_ports_are_each_of_one_service_and_of_the_servers_range() {
        let all = Objects {
            services: 30_000,
            endpoints: 4,
            ..Objects::default()
        };
        let ports: Vec<u16> = all
            .equipped()
            .flat_map(|n| Use::ALL.map(|of| all.node_port(n, of)))
            .flatten()
            .collect();
        assert_eq!(ports.len(), all.equipped().count() * 3);
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
        assert!(ports.iter().all(|port| (30_000..=32_767).contains(port)));
    }

    #[test]
    fn more_services_are_the_same_ones_and_others() {
        let of = |services| Objects {
            services,
            endpoints: 4,
            ..Objects::default()
        };
        let (few, many) = (of(1), of(1_000));
        for n in 0..few.count() {
            assert_eq!(few.of(n), many.of(n));
        }
        assert_eq!(few.ports(), 10);
        assert_eq!(many.ports(), 1_000 + 8 * 4);
    }

    #[test]
    fn a_near_service_has_pods_of_the_clients_node_but_not_the_client() {
        let objects = Objects {
            services: 2,
            endpoints: 4,
            ..Objects::default()
        };
        assert!(!objects.backends(0).contains(&plan::pod(0, 0)));
        assert_eq!(objects.backends(0)[3], plan::pod(0, 4));
        assert_eq!(objects.backends(1)[0], plan::pod(1, 0));
        assert_eq!(objects.pods(), [5, 4]);
    }

    #[test]
    fn many_endpoints_are_addresses_of_a_few_pods_each_in_one_slice() {
        let objects = Objects {
            services: 1,
            endpoints: 10_000,
            scale: Scale::Endpoints,
        };
        assert_eq!(objects.pods(), [crowd::PODS + 1, crowd::PODS]);
        for (n, ip) in [(0, Ip::V4), (1, Ip::V6)] {
            let slices = objects.slices(n, ip);
            let lists = slices.iter().filter_map(|slice| slice["endpoints"].as_array());
            assert!(lists.clone().all(|list| list.len() <= 1000), "more than a server takes");
            let addresses: BTreeSet<String> = lists.flatten().map(|one| one["addresses"][0].to_string()).collect();
            assert_eq!(addresses.len(), 10_000);
            let names: BTreeSet<String> = slices
                .iter()
                .map(|slice| slice["metadata"]["name"].to_string())
                .collect();
            assert_eq!(names.len(), slices.len());
        }
    }
}
