//! The node's facts in the maps: configuration, addresses, devices, ports. Written by difference like everything else.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use proxy_common::{
    family::{Family, FamilyKind, V4, V6},
    net::{Address as _, Ip4, Ip6},
    node::{Device, NodeConfig, address_flag, node_flag},
    schema,
};

use super::{
    kernel::{KernelArray, KernelHash, MapSource},
    map::{Table, TableError},
};
use crate::{
    address,
    cli::SocketLb,
    desired::{DesiredNode, PodDetector},
    host::{HostFacts, addresses, links, ports::MasqueradePorts},
};

/// What does not change while an agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The cookie of the host's network namespace.
    pub host_netns: u64,
    /// Whether the kernel can say which source address it would use.
    pub fib_source: bool,
    /// Which sockets are served.
    pub socket_lb: SocketLb,
    /// How many flow records each family has.
    pub records: u32,
}

/// The maps of one family.
pub struct FamilyTables<F: Family> {
    /// `NODE`.
    pub config: Box<dyn Table<u32, NodeConfig<F>>>,
    /// `NODE_ADDRS`.
    pub addresses: Box<dyn Table<F::Address, u32>>,
    /// `SOURCES`.
    pub sources: Box<dyn Table<u32, F::Address>>,
}

/// The maps of the node's facts.
pub struct NodeTables {
    /// Those of IPv4.
    pub v4: FamilyTables<V4>,
    /// Those of IPv6.
    pub v6: FamilyTables<V6>,
    /// `DEVICES`.
    pub devices: Box<dyn Table<u32, Device>>,
    /// `FREE_PORTS`.
    pub free_ports: Box<dyn Table<u32, u64>>,
    /// `COVERED`: cookie -> interface index.
    pub covered: Box<dyn Table<u64, u32>>,
}

impl NodeTables {
    /// Opens them all.
    ///
    /// # Errors
    /// If one is missing, or is not what the schema says.
    pub fn open(maps: &(impl MapSource + ?Sized)) -> Result<Self, TableError> {
        Ok(NodeTables {
            v4: FamilyTables {
                config: Box::new(KernelArray::open(maps, &schema::NODE_V4)?),
                addresses: Box::new(KernelHash::<Ip4, u32>::open(maps, &schema::NODE_ADDRS_V4)?),
                sources: Box::new(KernelHash::<u32, Ip4>::open(maps, &schema::SOURCES_V4)?),
            },
            v6: FamilyTables {
                config: Box::new(KernelArray::open(maps, &schema::NODE_V6)?),
                addresses: Box::new(KernelHash::<Ip6, u32>::open(maps, &schema::NODE_ADDRS_V6)?),
                sources: Box::new(KernelHash::<u32, Ip6>::open(maps, &schema::SOURCES_V6)?),
            },
            devices: Box::new(KernelHash::open(maps, &schema::DEVICES)?),
            free_ports: Box::new(KernelArray::open(maps, &schema::FREE_PORTS)?),
            covered: Box::new(KernelHash::open(maps, &schema::COVERED)?),
        })
    }

    /// The addresses of the node that the maps know.
    ///
    /// # Errors
    /// If a map cannot be read.
    pub fn known_addresses(&self) -> Result<BTreeSet<IpAddr>, TableError> {
        let ip = |family, wide| address::narrow(family, &wide);
        let v4 = self
            .v4
            .addresses
            .entries()?
            .into_iter()
            .map(|(own, _)| ip(FamilyKind::V4, own.widen()));
        let v6 = self
            .v6
            .addresses
            .entries()?
            .into_iter()
            .map(|(own, _)| ip(FamilyKind::V6, own.widen()));
        Ok(v4.chain(v6).collect())
    }

    /// Brings all but `COVERED` to what it should be, and says how many entries had to be written.
    ///
    /// # Errors
    /// If a map cannot be read or written.
    pub fn sync(&mut self, wanted: &NodeContents) -> Result<usize, TableError> {
        let mut writes = 0;
        // Devices first: a program that meets a packet asks for its device. The configuration last: it may name the rest.
        writes += sync(&mut *self.devices, &wanted.devices, Extra::Removed)?;
        writes += sync(&mut *self.free_ports, &wanted.free_ports, Extra::Kept)?;
        writes += wanted.v4.sync(&mut self.v4)?;
        writes += wanted.v6.sync(&mut self.v6)?;
        Ok(writes)
    }
}

impl NodeTables {
    /// What differs from what is wanted, one line each. Masquerade ports are left out.
    ///
    /// # Errors
    /// If a map cannot be read.
    pub fn differences(&self, wanted: &NodeContents) -> Result<Vec<String>, TableError> {
        let mut lines = different("device", &*self.devices, &wanted.devices, |index| index.to_string())?;
        lines.extend(wanted.v4.differences(&self.v4)?);
        lines.extend(wanted.v6.differences(&self.v6)?);
        Ok(lines)
    }
}

/// What an agent has found out about the machine, read back from the maps.
///
/// # Errors
/// If a map cannot be read.
pub fn live_machine(tables: &NodeTables) -> Result<Machine, TableError> {
    let config = tables.v4.config.get(&0)?.unwrap_or_default();
    let has = |flag| config.flags & flag != 0;
    let socket_lb = match (has(node_flag::SOCKETS_ALL), has(node_flag::SOCKETS_UNCOVERED)) {
        (true, _) => SocketLb::All,
        (false, true) => SocketLb::Auto,
        (false, false) => SocketLb::Host,
    };
    Ok(Machine {
        host_netns: config.host_netns,
        fib_source: has(node_flag::FIB_SOURCE),
        socket_lb,
        records: config.records,
    })
}

fn different<K: Ord + Copy, V: PartialEq>(
    what: &str,
    table: &dyn Table<K, V>,
    wanted: &BTreeMap<K, V>,
    name: impl Fn(&K) -> String,
) -> Result<Vec<String>, TableError> {
    let there: BTreeMap<K, V> = table.entries()?.into_iter().collect();
    let wrong = wanted.iter().filter(|(key, value)| there.get(key) != Some(value));
    let extra = there.keys().filter(|key| !wanted.contains_key(key));
    let lines = wrong.map(|(key, _)| format!("{what} {}: is missing or wrong in the maps", name(key)));
    Ok(lines
        .chain(extra.map(|key| format!("{what} {}: is in the maps and not wanted", name(key))))
        .collect())
}

/// What the maps of one family should hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyContents<F: Family> {
    /// `NODE`.
    pub config: NodeConfig<F>,
    /// `NODE_ADDRS`.
    pub addresses: BTreeMap<F::Address, u32>,
    /// `SOURCES`.
    pub sources: BTreeMap<u32, F::Address>,
}

impl<F: Family> FamilyContents<F> {
    fn differences(&self, tables: &FamilyTables<F>) -> Result<Vec<String>, TableError> {
        let ip = |address: &F::Address| address::narrow(F::KIND, &address.widen()).to_string();
        let mut lines = different("node address", &*tables.addresses, &self.addresses, ip)?;
        lines.extend(different(
            "source address of device",
            &*tables.sources,
            &self.sources,
            ToString::to_string,
        )?);
        let found = tables.config.get(&0)?.unwrap_or_default();
        let ports = NodeConfig {
            masquerade_first: found.masquerade_first,
            masquerade_count: found.masquerade_count,
            ..self.config
        };
        if found != ports {
            lines.push(format!(
                "node configuration of v{}: is not what is wanted",
                F::KIND as u8
            ));
        }
        Ok(lines)
    }

    fn sync(&self, tables: &mut FamilyTables<F>) -> Result<usize, TableError> {
        let mut writes = sync(&mut *tables.addresses, &self.addresses, Extra::Removed)?;
        writes += sync(&mut *tables.sources, &self.sources, Extra::Removed)?;
        writes += sync(&mut *tables.config, &BTreeMap::from([(0, self.config)]), Extra::Kept)?;
        Ok(writes)
    }
}

/// What the maps of the node's facts should hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeContents {
    /// Those of IPv4.
    pub v4: FamilyContents<V4>,
    /// Those of IPv6.
    pub v6: FamilyContents<V6>,
    /// `DEVICES`.
    pub devices: BTreeMap<u32, Device>,
    /// `FREE_PORTS`.
    pub free_ports: BTreeMap<u32, u64>,
    /// Whether the kernel may give a port for masquerading to a socket.
    pub ports_overlap: bool,
}

/// What the maps should hold, given what is configured, what the host is, and which ports services have at the node.
#[must_use]
pub fn contents(node: &DesiredNode, facts: &HostFacts, machine: &Machine, node_ports: &BTreeSet<u16>) -> NodeContents {
    let ports = MasqueradePorts::choose(&facts.ports, node_ports);
    let edges = links::edges(&facts.links, Some(&node.detector));
    NodeContents {
        v4: family(node, facts, machine, &ports),
        v6: family(node, facts, machine, &ports),
        devices: edges
            .into_iter()
            .map(|edge| (edge.target.ifindex, edge.device))
            .collect(),
        free_ports: (0..).zip(ports.free).collect(),
        ports_overlap: ports.overlaps,
    }
}

fn family<F: Family>(
    node: &DesiredNode,
    facts: &HostFacts,
    machine: &Machine,
    ports: &MasqueradePorts,
) -> FamilyContents<F> {
    let rule = node.node_ports(F::KIND);
    let own = facts.local_addresses().into_iter();
    let addresses = own.filter(|own| address::family(*own) == F::KIND).map(|own| {
        let flags = if rule.accepts(own) { address_flag::NODE_PORTS } else { 0 };
        (narrow::<F>(own), flags)
    });
    let sources = addresses::sources(&facts.links, &facts.addresses, F::KIND);
    let network = pod_network::<F>(&node.detector);
    let (pods, pods_mask) = network.unwrap_or_default();
    let config = NodeConfig {
        host_netns: machine.host_netns,
        flags: flags(node, machine, F::KIND, network.is_some()),
        records: machine.records,
        masquerade_first: u32::from(*ports.range.start()),
        masquerade_count: ports.count(),
        pods,
        pods_mask,
    };
    FamilyContents {
        config,
        addresses: addresses.collect(),
        sources: sources
            .into_iter()
            .map(|(index, source)| (index, narrow::<F>(source)))
            .collect(),
    }
}

fn flags(node: &DesiredNode, machine: &Machine, family: FamilyKind, has_network: bool) -> u32 {
    let by_device = matches!(node.detector, PodDetector::Bridge(_) | PodDetector::InterfacePrefix(_));
    [
        (node.masquerade_all, node_flag::MASQUERADE_ALL),
        (has_network, node_flag::DETECT_NETWORK),
        (by_device, node_flag::DETECT_DEVICE),
        (machine.fib_source, node_flag::FIB_SOURCE),
        (node.node_ports(family).loopback, node_flag::LOOPBACK_NODE_PORTS),
        (machine.socket_lb == SocketLb::Auto, node_flag::SOCKETS_UNCOVERED),
        (machine.socket_lb == SocketLb::All, node_flag::SOCKETS_ALL),
        (node.mode.refuses_unknown_ports(), node_flag::REFUSES_UNANSWERED),
    ]
    .into_iter()
    .filter_map(|(is_set, flag)| is_set.then_some(flag))
    .fold(0, |flags, flag| flags | flag)
}

/// The network and mask by which pods are recognised in a family.
fn pod_network<F: Family>(detector: &PodDetector) -> Option<(F::Address, F::Address)> {
    let PodDetector::Network { v4, v6 } = detector else {
        return None;
    };
    let network: IpNet = match F::KIND {
        FamilyKind::V4 => (*v4)?.into(),
        FamilyKind::V6 => (*v6)?.into(),
    };
    Some((narrow::<F>(network.network()), narrow::<F>(network.netmask())))
}

fn narrow<F: Family>(address: IpAddr) -> F::Address {
    F::Address::narrow(&address::widen(address))
}

/// What becomes of keys that are not wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    /// They are removed: a hash.
    Removed,
    /// There are none: an array.
    Kept,
}

/// Writes what differs, and says how much that was. What is wanted comes before what is not.
pub(super) fn sync<K: Ord + Copy, V: PartialEq>(
    table: &mut dyn Table<K, V>,
    wanted: &BTreeMap<K, V>,
    extra: Extra,
) -> Result<usize, TableError> {
    let mut writes = 0;
    let mut there = Vec::new();
    match extra {
        Extra::Removed => there = table.entries()?,
        Extra::Kept => {
            for key in wanted.keys() {
                there.extend(table.get(key)?.map(|value| (*key, value)));
            }
        }
    }
    let there: BTreeMap<K, V> = there.into_iter().collect();
    for (key, value) in wanted {
        if there.get(key) != Some(value) {
            table.put(key, value)?;
            writes += 1;
        }
    }
    if extra == Extra::Removed {
        for key in there.keys().filter(|key| !wanted.contains_key(key)) {
            table.remove(key)?;
            writes += 1;
        }
    }
    Ok(writes)
}

#[cfg(test)]
mod tests {
    use proxy_common::node::device_flag;

    use super::*;
    use crate::{
        apply::memory::{MemoryTable, Power},
        desired::{AddressRule, NodePorts, ProxyMode},
        host::{addresses::NodeAddress, links::Link},
    };

    const MACHINE: Machine = Machine {
        host_netns: 7,
        fib_source: true,
        socket_lb: SocketLb::Auto,
        records: 64,
    };

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn facts() -> HostFacts {
        let link = |index, name: &str, layer| Link {
            index,
            name: name.into(),
            layer,
            ..Link::default()
        };
        let at = |index, address, flags| NodeAddress {
            index,
            address: ip(address),
            scope: 0,
            flags,
        };
        HostFacts {
            links: [link(1, "lo", 772), link(2, "eth0", 1)]
                .into_iter()
                .map(|link| (link.index, link))
                .collect(),
            addresses: vec![
                at(1, "127.0.0.1", 0),
                at(2, "192.0.2.1", 0),
                at(2, "192.0.2.2", 0),
                at(2, "2001:db8::1", 0),
                at(2, "2001:db8::2", 0x40),
            ],
            ..HostFacts::default()
        }
    }

    fn node() -> DesiredNode {
        let only = |address| NodePorts {
            addresses: AddressRule::Only([ip(address)].into()),
            loopback: false,
        };
        DesiredNode {
            mode: ProxyMode::Nftables,
            node_ports_v4: NodePorts {
                loopback: true,
                ..only("192.0.2.1")
            },
            node_ports_v6: only("2001:db8::1"),
            detector: PodDetector::Network {
                v4: Some("10.0.0.0/16".parse().expect("a network")),
                v6: None,
            },
            masquerade_all: false,
            service_networks: Vec::new(),
        }
    }

    fn tables(power: &Power) -> NodeTables {
        NodeTables {
            v4: FamilyTables {
                config: Box::new(MemoryTable::new("NODE_V4", 1, power)),
                addresses: Box::new(MemoryTable::new("NODE_ADDRS_V4", 8, power)),
                sources: Box::new(MemoryTable::new("SOURCES_V4", 8, power)),
            },
            v6: FamilyTables {
                config: Box::new(MemoryTable::new("NODE_V6", 1, power)),
                addresses: Box::new(MemoryTable::new("NODE_ADDRS_V6", 8, power)),
                sources: Box::new(MemoryTable::new("SOURCES_V6", 8, power)),
            },
            devices: Box::new(MemoryTable::new("DEVICES", 8, power)),
            free_ports: Box::new(MemoryTable::new("FREE_PORTS", 1_024, power)),
            covered: Box::new(MemoryTable::new("COVERED", 8, power)),
        }
    }

    #[test]
    fn node_ports_are_answered_where_the_rule_says() {
        let contents = contents(&node(), &facts(), &MACHINE, &BTreeSet::new());
        let v4: Vec<_> = contents
            .v4
            .addresses
            .iter()
            .map(|(address, flags)| (address.0, *flags))
            .collect();
        assert_eq!(
            v4,
            [
                ([127, 0, 0, 1], 0),
                ([192, 0, 2, 1], address_flag::NODE_PORTS),
                ([192, 0, 2, 2], 0)
            ]
        );
        assert_eq!(
            contents.v6.addresses.into_values().collect::<Vec<_>>(),
            [address_flag::NODE_PORTS]
        );
    }

    #[test]
    fn the_configuration_says_how_pods_and_sockets_are_treated() {
        let contents = contents(&node(), &facts(), &MACHINE, &BTreeSet::new());
        let (v4, v6) = (contents.v4.config, contents.v6.config);
        assert_eq!((v4.pods.0, v4.pods_mask.0), ([10, 0, 0, 0], [255, 255, 0, 0]));
        let sockets = node_flag::FIB_SOURCE | node_flag::SOCKETS_UNCOVERED | node_flag::REFUSES_UNANSWERED;
        assert_eq!(
            v4.flags,
            sockets | node_flag::DETECT_NETWORK | node_flag::LOOPBACK_NODE_PORTS
        );
        assert_eq!(v6.flags, sockets);
        assert_eq!((v4.host_netns, v4.records, v4.masquerade_first), (7, 64, 1_024));
    }

    #[test]
    fn a_detector_by_device_marks_the_device() {
        let node = DesiredNode {
            detector: PodDetector::InterfacePrefix("eth".into()),
            ..node()
        };
        let contents = contents(&node, &facts(), &MACHINE, &BTreeSet::new());
        assert_eq!(
            contents.devices.get(&2).map(|device| device.flags),
            Some(device_flag::PODS)
        );
        assert_eq!(
            contents.v4.config.flags & node_flag::DETECT_DEVICE,
            node_flag::DETECT_DEVICE
        );
    }

    #[test]
    fn only_what_differs_is_written() {
        let power = Power::default();
        let mut tables = tables(&power);
        let before = contents(&node(), &facts(), &MACHINE, &BTreeSet::new());
        let writes = tables.sync(&before).expect("memory");
        assert_eq!(writes as u64, power.writes());
        assert_eq!(tables.sync(&before).expect("memory"), 0);
        let mut facts = facts();
        facts.addresses.retain(|known| known.address != ip("192.0.2.2"));
        let after = contents(&node(), &facts, &MACHINE, &BTreeSet::new());
        assert_eq!(tables.sync(&after).expect("memory"), 1);
        let left: Vec<_> = tables.v4.addresses.entries().expect("memory");
        assert_eq!(left.into_iter().collect::<BTreeMap<_, _>>(), after.v4.addresses);
    }
}
