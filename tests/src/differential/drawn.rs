//! Services with their endpoints as a seed draws them, and the simpler ones that are tried when two proxies disagree.

use fastrand::Rng;
use serde_json::{Value, json};

use super::ends::Server;
use crate::peer::Transport;
use crate::plan::{self, Dual, Ip};

/// The ports on which every server listens.
pub const TARGETS: [u16; 2] = [8000, 8001];

/// Cluster addresses of one family begin behind those that the server may give away by itself.
const FIRST_V6: u16 = 0x1000;

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Names it, and gives it its addresses and node ports.
    pub number: usize,
    /// The families of its cluster addresses and slices.
    pub families: &'static [Ip],
    /// Its type.
    pub kind: Kind,
    /// Whether its internal traffic policy is Local.
    pub internal_local: bool,
    /// Whether its external traffic policy is Local.
    pub external_local: bool,
    /// Whether it has external addresses.
    pub external_ip: bool,
    /// The `ipMode` of its load balancer's addresses, if it has them.
    pub balancer: Option<&'static str>,
    /// Who may use those.
    pub ranges: Ranges,
    /// A label that takes it from the proxy.
    pub label: Option<&'static str>,
    /// Its ports: the protocol, and which of [`TARGETS`] is behind it.
    pub ports: Vec<(Transport, usize)>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// The type of a Service, the plainest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `ClusterIP`
    ClusterIp,
    /// `NodePort`
    NodePort,
    /// `LoadBalancer`
    LoadBalancer,
    /// `LoadBalancer` with `allocateLoadBalancerNodePorts: false`
    WithoutNodePorts,
}

/// `loadBalancerSourceRanges`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// None.
    All,
    /// The network of the client outside.
    Outside,
    /// The network of the nodes.
    Nodes,
    /// The network of the pods.
    Pods,
    /// Networks of nobody.
    Nobody,
    /// A network of IPv4 alone, of nobody.
    NobodyOfV4,
    /// Everybody, written out.
    Everybody,
}

/// One endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Who answers there.
    pub server: Server,
    /// Its conditions as the slice says them.
    pub conditions: [bool; 3],
    /// The node whose zone is to use it, if it has a hint.
    pub hint: Option<usize>,
    /// Which of two slices it is in.
    pub slice: usize,
}

/// An endpoint that is ready.
const READY: [bool; 3] = [true, true, false];

impl Ranges {
    const ALL: [Self; 7] = [
        Self::All,
        Self::Outside,
        Self::Nodes,
        Self::Pods,
        Self::Nobody,
        Self::NobodyOfV4,
        Self::Everybody,
    ];

    const fn networks(self) -> &'static [&'static str] {
        match self {
            Self::All => &[],
            Self::Outside => &["203.0.113.0/24", "2001:db8:c::/64"],
            Self::Nodes => &["192.168.0.0/24", "2001:db8::/64"],
            Self::Pods => &["10.244.0.0/16", "fd00:10:244::/48"],
            Self::Nobody => &["192.0.2.0/24", "2001:db8:ffff::/48"],
            Self::NobodyOfV4 => &["192.0.2.0/24"],
            Self::Everybody => &["192.0.2.0/24", "0.0.0.0/0", "::/0"],
        }
    }
}

fn one_in(rng: &mut Rng, n: u32) -> bool {
    rng.u32(..n) == 0
}

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

impl Drawn {
    /// Draws one.
    pub fn draw(number: usize, rng: &mut Rng) -> Self {
        use Kind::{ClusterIp, LoadBalancer, NodePort, WithoutNodePorts};
        let kind = pick(
            rng,
            &[
                ClusterIp,
                NodePort,
                NodePort,
                LoadBalancer,
                LoadBalancer,
                WithoutNodePorts,
            ],
        );
        let external_ip = one_in(rng, 3);
        let is_balanced = matches!(kind, LoadBalancer | WithoutNodePorts);
        let mut servers = Server::ALL.to_vec();
        rng.shuffle(&mut servers);
        servers.truncate(pick(rng, &[0, 1, 1, 2, 3, 4, 5]));
        let hinted = one_in(rng, 4);
        let ports = pick(rng, &[1, 1, 2]);
        Self {
            number,
            families: pick(rng, &[&Ip::BOTH, &Ip::BOTH, &Ip::BOTH, &[Ip::V4], &[Ip::V6]]),
            kind,
            internal_local: one_in(rng, 4),
            external_local: (kind != ClusterIp || external_ip) && one_in(rng, 2),
            external_ip,
            balancer: is_balanced.then(|| pick(rng, &["VIP", "VIP", "VIP", "Proxy"])),
            ranges: if is_balanced && one_in(rng, 2) {
                pick(rng, &Ranges::ALL)
            } else {
                Ranges::All
            },
            label: one_in(rng, 20).then(|| pick(rng, &LABELS)),
            ports: (0..ports)
                .map(|_| {
                    (
                        pick(rng, &[Transport::Tcp, Transport::Tcp, Transport::Udp]),
                        rng.usize(..TARGETS.len()),
                    )
                })
                .collect(),
            endpoints: servers
                .into_iter()
                .map(|server| Endpoint::draw(server, hinted, rng))
                .collect(),
        }
    }

    /// All that are simpler by one thing, the greater simplifications first; each keeps its number.
    pub fn simpler(&self) -> Vec<Self> {
        let with = |change: &dyn Fn(&mut Self)| {
            let mut other = self.clone();
            change(&mut other);
            other.mend();
            other
        };
        let mut all = vec![with(&|it| it.endpoints.clear())];
        for kind in [Kind::ClusterIp, Kind::NodePort, Kind::LoadBalancer] {
            all.push(with(&|it| it.kind = it.kind.min(kind)));
        }
        if self.families.len() > 1 {
            all.extend([with(&|it| it.families = &[Ip::V4]), with(&|it| it.families = &[Ip::V6])]);
        }
        all.extend([
            with(&|it| it.external_ip = false),
            with(&|it| it.balancer = it.balancer.map(|_| "VIP")),
            with(&|it| it.ranges = Ranges::All),
            with(&|it| it.label = None),
            with(&|it| it.internal_local = false),
            with(&|it| it.external_local = false),
            with(&|it| it.endpoints.iter_mut().for_each(|endpoint| endpoint.hint = None)),
            with(&|it| it.endpoints.iter_mut().for_each(|endpoint| endpoint.slice = 0)),
        ]);
        all.extend((1..self.ports.len()).map(|n| with(&|it| _ = it.ports.remove(n))));
        all.extend((1..self.ports.len()).map(|n| with(&|it| _ = it.ports.swap_remove(n - 1))));
        for n in 0..self.endpoints.len() {
            all.push(with(&|it| _ = it.endpoints.remove(n)));
            all.push(with(&|it| it.endpoints[n].conditions = READY));
        }
        all.retain(|other| other != self);
        all
    }

    /// Takes away what the API would refuse, or what means nothing any more.
    fn mend(&mut self) {
        if !self.is_balanced() {
            (self.balancer, self.ranges) = (None, Ranges::All);
        } else if self.balancer.is_none() {
            self.balancer = Some("VIP");
        }
        if self.kind == Kind::ClusterIp && !self.external_ip {
            self.external_local = false;
        }
    }

    fn is_balanced(&self) -> bool {
        matches!(self.kind, Kind::LoadBalancer | Kind::WithoutNodePorts)
    }

    /// Its name; the namespace is `default`.
    pub fn name(&self) -> String {
        format!("drawn-{:05}", self.number)
    }

    /// Its cluster addresses.
    pub fn cluster_ip(&self) -> Dual {
        let [high, low] = u16::try_from(self.number).unwrap_or(u16::MAX).to_be_bytes();
        Dual {
            v4: [10, 100, high, low].into(),
            v6: [
                0xfd00,
                0x10,
                0x96,
                0,
                0,
                0,
                0,
                FIRST_V6 + u16::from_be_bytes([high, low]),
            ]
            .into(),
        }
    }

    /// An address that the outside sends to the first node.
    pub fn external_address(&self) -> Option<Dual> {
        self.external_ip.then(|| plan::load_balancer(self.last_number()))
    }

    /// The address of its load balancer.
    pub fn balancer_address(&self) -> Option<Dual> {
        self.balancer.map(|_| plan::load_balancer(100 + self.last_number()))
    }

    /// Services of one batch differ in it.
    fn last_number(&self) -> u8 {
        u8::try_from(1 + self.number % 99).unwrap_or_default()
    }

    /// The port of the Service with number `n`.
    pub fn port(n: usize) -> u16 {
        u16::try_from(80 + n).unwrap_or(80)
    }

    /// The node port of port `n`, if it has one.
    pub fn node_port(&self, n: usize) -> Option<u16> {
        let number = u16::try_from(n + 3 * (self.number % 300)).ok()?;
        matches!(self.kind, Kind::NodePort | Kind::LoadBalancer).then_some(30_000 + number)
    }

    /// The Service and its slices.
    pub fn objects(&self) -> Vec<Value> {
        let slices = self
            .families
            .iter()
            .flat_map(|ip| (0..2).filter_map(|n| self.slice(*ip, n)));
        std::iter::once(self.service()).chain(slices).collect()
    }

    fn service(&self) -> Value {
        let ports = self.ports.iter().enumerate().map(|(n, (transport, target))| {
            let mut port = json!({
                "name": format!("port-{n}"), "protocol": protocol(*transport),
                "port": Self::port(n), "targetPort": TARGETS[*target],
            });
            if let Some(node_port) = self.node_port(n) {
                port["nodePort"] = node_port.into();
            }
            port
        });
        let of_families = |address: Dual| self.families.iter().map(move |ip| address.of(*ip).to_string());
        let mut spec = json!({
            "type": match self.kind {
                Kind::ClusterIp => "ClusterIP",
                Kind::NodePort => "NodePort",
                Kind::LoadBalancer | Kind::WithoutNodePorts => "LoadBalancer",
            },
            "clusterIP": self.cluster_ip().of(self.families[0]),
            "clusterIPs": of_families(self.cluster_ip()).collect::<Vec<_>>(),
            "ipFamilies": self.families.iter().map(Ip::to_string).collect::<Vec<_>>(),
            "ipFamilyPolicy": if self.families.len() > 1 { "RequireDualStack" } else { "SingleStack" },
            "internalTrafficPolicy": policy(self.internal_local),
            "ports": ports.collect::<Vec<_>>(),
        });
        if self.kind != Kind::ClusterIp || self.external_ip {
            spec["externalTrafficPolicy"] = policy(self.external_local).into();
        }
        if self.is_balanced() {
            spec["allocateLoadBalancerNodePorts"] = (self.kind == Kind::LoadBalancer).into();
            spec["loadBalancerSourceRanges"] = self.ranges.networks().into();
            if self.external_local {
                spec["healthCheckNodePort"] = (31_000 + self.number % 1_000).into();
            }
        }
        if let Some(address) = self.external_address() {
            spec["externalIPs"] = of_families(address).collect();
        }
        let ingress = self.balancer_address().map(|address| {
            let mode = self.balancer.unwrap_or_default();
            of_families(address)
                .map(|ip| json!({ "ip": ip, "ipMode": mode }))
                .collect::<Vec<_>>()
        });
        let labels: Value = self.label.iter().map(|label| ((*label).to_owned(), "other")).collect();
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": self.name(), "namespace": "default", "labels": labels },
            "spec": spec,
            "status": { "loadBalancer": { "ingress": ingress.unwrap_or_default() } },
        })
    }

    fn slice(&self, ip: Ip, number: usize) -> Option<Value> {
        let members: Vec<_> = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.slice == number)
            .collect();
        if members.is_empty() && number > 0 {
            return None;
        }
        let ports = self.ports.iter().enumerate().map(|(n, (transport, target))| {
            json!({ "name": format!("port-{n}"), "protocol": protocol(*transport), "port": TARGETS[*target] })
        });
        Some(json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{}-{}-{number}", self.name(), ip.to_string().to_lowercase()),
                "namespace": "default",
                "labels": { "kubernetes.io/service-name": self.name() },
            },
            "addressType": ip.to_string(),
            "ports": ports.collect::<Vec<_>>(),
            "endpoints": members.into_iter().map(|endpoint| endpoint.object(ip)).collect::<Vec<_>>(),
        }))
    }
}

const LABELS: [&str; 2] = [
    "service.kubernetes.io/service-proxy-name",
    "service.kubernetes.io/headless",
];

fn policy(local: bool) -> &'static str {
    if local { "Local" } else { "Cluster" }
}

fn protocol(transport: Transport) -> &'static str {
    if transport == Transport::Tcp { "TCP" } else { "UDP" }
}

impl Endpoint {
    /// One that is ready.
    pub const fn plain(server: Server) -> Self {
        Self {
            server,
            conditions: READY,
            hint: None,
            slice: 0,
        }
    }

    fn draw(server: Server, hinted: bool, rng: &mut Rng) -> Self {
        let conditions = if one_in(rng, 4) {
            // Not ready: what terminates may still serve.
            pick(
                rng,
                &[
                    [false, false, false],
                    [false, true, true],
                    [false, true, true],
                    [false, false, true],
                ],
            )
        } else {
            READY
        };
        Self {
            server,
            conditions,
            hint: (hinted && !one_in(rng, 8)).then(|| rng.usize(..2)),
            slice: usize::from(one_in(rng, 3)),
        }
    }

    fn object(&self, ip: Ip) -> Value {
        let [ready, serving, terminating] = self.conditions;
        let mut endpoint = json!({
            "addresses": [self.server.address().of(ip)],
            "nodeName": node_name(self.server.node()),
            "zone": zone(self.server.node()),
            "conditions": { "ready": ready, "serving": serving, "terminating": terminating },
        });
        if let Some(node) = self.hint {
            endpoint["hints"] = json!({ "forZones": [{ "name": zone(node) }] });
        }
        endpoint
    }
}

fn node_name(node: usize) -> &'static str {
    ["node-a", "node-b"][node]
}

fn zone(node: usize) -> String {
    format!("zone-{}", node_name(node))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn drawn(seed: u64) -> Vec<Drawn> {
        let mut rng = Rng::with_seed(seed);
        (0..200).map(|number| Drawn::draw(number, &mut rng)).collect()
    }

    #[test]
    fn a_seed_draws_the_same_each_time_and_another_seed_others() {
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn services_of_one_batch_share_no_address_and_no_node_port() {
        for batch in drawn(3).chunks(50) {
            let addresses = |of: fn(&Drawn) -> Option<Dual>| -> Vec<Dual> { batch.iter().filter_map(of).collect() };
            let mut all = addresses(Drawn::external_address);
            all.extend(addresses(Drawn::balancer_address));
            all.extend(addresses(|drawn| Some(drawn.cluster_ip())));
            let distinct: BTreeSet<_> = all.iter().map(|address| address.v6).collect();
            assert_eq!(distinct.len(), all.len());
            let ports: Vec<u16> = batch
                .iter()
                .flat_map(|it| (0..it.ports.len()).filter_map(|n| it.node_port(n)))
                .collect();
            assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
        }
    }

    #[test]
    fn what_is_simpler_ends_with_one_plain_port() {
        for mut drawn in drawn(4) {
            let mut steps = 0;
            while let Some(simpler) = drawn.simpler().into_iter().next() {
                drawn = simpler;
                steps += 1;
                assert!(steps < 100, "{drawn:?}");
            }
            assert_eq!(
                (drawn.kind, drawn.ports.len(), drawn.endpoints.len()),
                (Kind::ClusterIp, 1, 0)
            );
        }
    }
}
