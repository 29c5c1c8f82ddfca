//! What a node's maps hold: written once, put into maps in memory and into those of loaded programs alike.

use proxy_common::{
    block::{BlockEntry, BlockHeader, Cell, FlipWord, policy},
    endpoint::{EndpointState, serving},
    flow::{FlowKey, FlowRecord, FlowRef},
    frontend::{Frontend, FrontendKey, FrontendKind},
    net::{Address as _, Peer, Port, Protocol},
    network::{NetworkKey, Rule},
    node::{Device, NodeConfig, address_flag, device_flag, node_flag},
    schema,
};

use super::{
    maps::{Maps, TypedMaps as _},
    packet::{BRIDGE_MAC, PORT_MAC},
    who::{TestFamily, Who},
};

/// The first masquerade port.
pub const FIRST_PORT: u16 = 61_000;
/// The interface of the port of the bridge behind which the pods are.
pub const POD_PORT: u32 = 110;
/// The pods' bridge.
pub const BRIDGE: u32 = 111;
/// The interface towards the other nodes.
pub const UPLINK: u32 = 112;

/// A service port and its endpoints.
#[derive(Clone, Debug)]
pub struct ServiceDraft {
    protocol: Protocol,
    fronts: Vec<(FrontendKind, Who, u16)>,
    local_only: Vec<(Who, u16)>,
    both: Vec<(Who, u16)>,
    cluster_only: Vec<(Who, u16)>,
    flags: u32,
    has_block: bool,
}

/// A service of a protocol, with neither addresses nor endpoints.
#[must_use]
pub const fn service(protocol: Protocol) -> ServiceDraft {
    ServiceDraft {
        protocol,
        fronts: Vec::new(),
        local_only: Vec::new(),
        both: Vec::new(),
        cluster_only: Vec::new(),
        flags: 0,
        has_block: true,
    }
}

impl ServiceDraft {
    /// At an address of some kind.
    #[must_use]
    pub fn at(mut self, kind: FrontendKind, who: Who, port: u16) -> Self {
        self.fronts.push((kind, who, port));
        self
    }

    /// At a cluster address.
    #[must_use]
    pub fn cluster_ip(self, n: u8, port: u16) -> Self {
        self.at(FrontendKind::ClusterIp, Who::ClusterIp(n), port)
    }

    /// At a node port.
    #[must_use]
    pub fn node_port(self, port: u16) -> Self {
        self.at(FrontendKind::NodePort, Who::Unspecified, port)
    }

    /// At a cluster, an external and a load-balancer address of the same number, and at a node port.
    #[must_use]
    pub fn everywhere(self, n: u8, port: u16, node_port: u16) -> Self {
        self.cluster_ip(n, port)
            .at(FrontendKind::External, Who::ExternalIp(n), port)
            .at(FrontendKind::LoadBalancer, Who::Balancer(n), port)
            .node_port(node_port)
    }

    /// With an endpoint of the cluster view alone: one on another node.
    #[must_use]
    pub fn far(mut self, who: Who, port: u16) -> Self {
        self.cluster_only.push((who, port));
        self
    }

    /// With an endpoint of both views: one on this node.
    #[must_use]
    pub fn near(mut self, who: Who, port: u16) -> Self {
        self.both.push((who, port));
        self
    }

    /// With an endpoint of the local view alone: one on this node that topology hints keep from others.
    #[must_use]
    pub fn near_only(mut self, who: Who, port: u16) -> Self {
        self.local_only.push((who, port));
        self
    }

    /// With flags of [`policy`].
    #[must_use]
    pub const fn policy(mut self, flags: u32) -> Self {
        self.flags |= flags;
        self
    }

    /// Without a block: the agent has not written one yet.
    #[must_use]
    pub const fn without_block(mut self) -> Self {
        self.has_block = false;
        self
    }

    fn entries(&self) -> impl Iterator<Item = (Who, u16)> + '_ {
        self.local_only
            .iter()
            .chain(&self.both)
            .chain(&self.cluster_only)
            .copied()
    }

    fn header(&self, service: u32, generation: u32) -> BlockHeader {
        let count = |entries: &[(Who, u16)]| u32::try_from(entries.len()).expect("few endpoints");
        let any = if self.entries().next().is_some() {
            policy::ANY_ENDPOINT
        } else {
            0
        };
        BlockHeader {
            generation,
            service,
            local_only: count(&self.local_only),
            both: count(&self.both),
            cluster_only: count(&self.cluster_only),
            flags: self.flags | any,
            affinity_seconds: 0,
            choice: 0,
        }
    }
}

/// What a node's maps hold.
#[derive(Clone, Debug)]
pub struct Fixture<F: TestFamily> {
    /// The node's facts.
    pub config: NodeConfig<F>,
    services: Vec<ServiceDraft>,
    mixed_up: Vec<(Who, u16, Protocol)>,
    own: Vec<(F::Address, u32)>,
    devices: Vec<(u32, Device)>,
    busy_ports: Vec<u16>,
    keys: Vec<(FlowKey<F>, FlowRef)>,
    networks: Vec<(NetworkKey<F>, Rule)>,
    /// UDP sockets of the host.
    pub sockets: Vec<(Who, u16)>,
}

impl<F: TestFamily> Default for Fixture<F> {
    /// A node whose pods are known by their network, with a range of 1,000 masquerade ports and room for 64 flows.
    fn default() -> Self {
        let device = |flags, routed_from, mac| Device {
            flags,
            routed_from,
            mac,
            zero: [0; 2],
        };
        Fixture {
            config: NodeConfig {
                host_netns: 1,
                flags: node_flag::DETECT_NETWORK | node_flag::FIB_SOURCE,
                records: 64,
                masquerade_first: u32::from(FIRST_PORT),
                masquerade_count: 1_000,
                pods: F::address(Who::Pod(0)),
                pods_mask: F::pods_mask(),
            },
            services: Vec::new(),
            mixed_up: Vec::new(),
            own: vec![
                (F::address(Who::Node), address_flag::NODE_PORTS),
                (F::address(Who::NodeAlt), 0),
                (F::address(Who::Gateway), 0),
            ],
            devices: vec![
                (POD_PORT, device(device_flag::PODS, BRIDGE, BRIDGE_MAC)),
                (UPLINK, device(0, UPLINK, PORT_MAC)),
            ],
            busy_ports: Vec::new(),
            keys: Vec::new(),
            networks: Vec::new(),
            sockets: Vec::new(),
        }
    }
}

impl<F: TestFamily> Fixture<F> {
    /// With another service; they are numbered from 1 on, and so are their endpoints.
    #[must_use]
    pub fn with(mut self, service: ServiceDraft) -> Self {
        self.services.push(service);
        self
    }

    /// With a change of the node's facts.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut NodeConfig<F>)) -> Self {
        change(&mut self.config);
        self
    }

    /// With other flags of [`node_flag`]; the one that says what the kernel can do stays.
    #[must_use]
    pub fn node_flags(self, flags: u32) -> Self {
        self.config(|config| config.flags = flags | node_flag::FIB_SOURCE)
    }

    /// With another address of the node.
    #[must_use]
    pub fn own_address(mut self, who: Who, flags: u32) -> Self {
        self.own.push((F::address(who), flags));
        self
    }

    /// With other flags of [`device_flag`] for a device.
    #[must_use]
    pub fn device_flags(mut self, interface: u32, flags: u32) -> Self {
        for (_, device) in self.devices.iter_mut().filter(|(index, _)| *index == interface) {
            device.flags = flags;
        }
        self
    }

    /// With a port of the masquerade range that somebody else uses.
    #[must_use]
    pub fn busy_port(mut self, port: u16) -> Self {
        self.busy_ports.push(port);
        self
    }

    /// With a key of a flow that is no more.
    #[must_use]
    pub fn left_behind(mut self, key: FlowKey<F>, at: FlowRef) -> Self {
        self.keys.push((key, at));
        self
    }

    /// With a rule for the network around somebody that leaves so many bits free, in the scope of a service's number or in
    /// that of the addresses that packets are sent to.
    #[must_use]
    pub fn rule(mut self, scope: u32, who: Who, free_bits: u8, rule: Rule) -> Self {
        let address = F::address(who);
        let bits = u8::try_from(8 * size_of::<F::Address>()).expect("an address has few bits");
        self.networks
            .push((NetworkKey::new(scope, address, bits - free_bits), rule));
        self
    }

    /// With one masquerade port, so that a test knows which is taken: the first of the range.
    #[must_use]
    pub fn one_port(self) -> Self {
        self.config(|config| config.masquerade_count = 1)
    }

    /// With a UDP socket of the host.
    #[must_use]
    pub fn listening(mut self, who: Who, port: u16) -> Self {
        self.sockets.push((who, port));
        self
    }

    /// An address under which the entry of another address is found, one of the first service's.
    #[must_use]
    pub fn mixed_up(mut self, who: Who, port: u16, protocol: Protocol) -> Self {
        self.mixed_up.push((who, port, protocol));
        self
    }

    /// Puts all of it into maps.
    pub fn fill(&self, maps: &impl Maps) {
        maps.put_value(&F::MAPS.node, &0_u32, &self.config);
        for (address, flags) in &self.own {
            maps.put_value(&F::MAPS.addresses, address, flags);
        }
        for (interface, device) in &self.devices {
            maps.put_value(&schema::DEVICES, interface, device);
        }
        self.fill_ports(maps);
        for (who, port, protocol) in &self.mixed_up {
            let key = |port| FrontendKey::<F>::new(Peer::new(F::address(*who), Port::new(port)), *protocol);
            let others = Frontend::new(&key(!port), 1, FrontendKind::ClusterIp);
            maps.put_value(&F::MAPS.frontends, &key(*port), &others);
        }
        for (key, rule) in &self.networks {
            maps.put_value(&F::MAPS.networks, key, rule);
        }
        for (key, at) in &self.keys {
            maps.put_value(&F::MAPS.flows, key, at);
        }
        // Cell 0 is never part of a block.
        let (mut cell, mut endpoint) = (1, 1);
        for (service, number) in self.services.iter().zip(1..) {
            for (kind, who, port) in &service.fronts {
                let key = FrontendKey::<F>::new(Peer::new(F::address(*who), Port::new(*port)), service.protocol);
                maps.put_value(&F::MAPS.frontends, &key, &Frontend::new(&key, number, *kind));
            }
            if service.has_block {
                fill_block::<F>(maps, service, number, (&mut cell, &mut endpoint));
            }
        }
    }

    fn fill_ports(&self, maps: &impl Maps) {
        let range = self.config.masquerade_first..self.config.masquerade_first + self.config.masquerade_count;
        for word in 0..1024_u32 {
            let free = (0..64).filter(|bit| {
                let port = word * 64 + bit;
                range.contains(&port) && !self.busy_ports.iter().any(|busy| u32::from(*busy) == port)
            });
            let bits = free.fold(0_u64, |bits, bit| bits | 1 << bit);
            if bits != 0 {
                maps.put_value(&schema::FREE_PORTS, &word, &bits);
            }
        }
    }
}

/// Writes a service's endpoints, its block and its flip word, in that order.
fn fill_block<F: TestFamily>(maps: &impl Maps, service: &ServiceDraft, number: u32, next: (&mut u32, &mut u32)) {
    let generation = 100 + number;
    let (cell, endpoint) = next;
    let word = FlipWord::new(*cell, generation);
    let header: Cell = bytemuck::cast(service.header(number, generation));
    maps.put_value(&schema::ENDPOINTS, &*cell, &header);
    for (who, port) in service.entries() {
        *cell += 1;
        let peer = Peer::<F>::new(F::address(who), Port::new(port));
        let entry = BlockEntry::new(peer.address.widen(), peer.port, *endpoint, number, generation);
        let entry: Cell = bytemuck::cast(entry);
        maps.put_value(&schema::ENDPOINTS, &*cell, &entry);
        let state = EndpointState {
            flags: serving::IN_USE | serving::SERVING | serving::ELIGIBLE,
            ..EndpointState::default()
        };
        maps.put_value(&schema::STATE, &*endpoint, &state);
        maps.put_value(&F::MAPS.targets, &FrontendKey::new(peer, service.protocol), &1_u32);
        *endpoint += 1;
    }
    *cell += 1;
    maps.put_value(&schema::SERVICES, &number, &word.0);
}

/// What the maps know of an endpoint.
///
/// # Panics
///
/// If they know nothing.
#[must_use]
pub fn state(maps: &impl Maps, endpoint: u32) -> EndpointState {
    maps.value(&schema::STATE, &endpoint)
        .expect("an endpoint of the fixture")
}

/// Makes every flow older by so many nanoseconds.
pub fn age<F: TestFamily>(maps: &impl Maps, by: u64) {
    for (index, value) in maps.entries(&F::MAPS.records) {
        let mut record: FlowRecord<F> = bytemuck::pod_read_unaligned(&value);
        record.last_seen = record.last_seen.saturating_sub(by);
        maps.put(&F::MAPS.records, &index, bytemuck::bytes_of(&record));
    }
}
