//! Which ports may stand in for a client's when it is masqueraded: none that a socket of the node might have.

use std::{collections::BTreeSet, fs, ops::RangeInclusive};

use super::sockets;

/// What the node itself uses ports for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortFacts {
    /// `net.ipv4.ip_local_port_range`: ports that the kernel gives to sockets.
    pub local: RangeInclusive<u16>,
    /// `net.ipv4.ip_local_reserved_ports`: ports that the administrator keeps for something.
    pub reserved: Vec<RangeInclusive<u16>>,
    /// Ports on which something listens.
    pub listening: BTreeSet<u16>,
}

impl Default for PortFacts {
    /// As the kernel has it after a start.
    fn default() -> Self {
        PortFacts {
            local: 32_768..=60_999,
            reserved: Vec::new(),
            listening: BTreeSet::new(),
        }
    }
}

/// The API server's default for node ports (`--service-node-port-range`).
pub const NODE_PORTS: RangeInclusive<u16> = 30_000..=32_767;
/// With fewer ports than this, those of sockets are taken into the range too.
const ENOUGH: u32 = 4_096;
/// Ports below this need a privilege.
const LOWEST: u16 = 1_024;

/// The ports for masquerading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasqueradePorts {
    /// A range outside those of the sockets and of the node ports.
    pub range: RangeInclusive<u16>,
    /// Which ports of the range are free: port p is bit p % 64 of word p / 64.
    pub free: Vec<u64>,
    /// Whether the kernel may give ports of the range to sockets: its own range leaves no room for another.
    pub overlaps: bool,
}

impl MasqueradePorts {
    /// Chooses the range. `node_ports` are those that services have, wherever they lie.
    #[must_use]
    pub fn choose(facts: &PortFacts, node_ports: &BTreeSet<u16>) -> Self {
        let (range, overlaps) = range(&facts.local);
        let mut free = vec![0_u64; 1_024];
        let taken = |port: &u16| {
            node_ports.contains(port)
                || facts.listening.contains(port)
                || facts.reserved.iter().any(|reserved| reserved.contains(port))
        };
        for port in range.clone().filter(|port| !taken(port)) {
            free[usize::from(port / 64)] |= 1 << (port % 64);
        }
        MasqueradePorts { range, free, overlaps }
    }

    /// How many ports the range has.
    #[must_use]
    pub fn count(&self) -> u32 {
        size(&self.range)
    }
}

fn range(local: &RangeInclusive<u16>) -> (RangeInclusive<u16>, bool) {
    largest_gap(local)
        .filter(|gap| size(gap) >= ENOUGH)
        .map_or((LOWEST..=NODE_PORTS.start() - 1, true), |gap| (gap, false))
}

/// The longest run of ports that neither sockets nor node ports use.
fn largest_gap(local: &RangeInclusive<u16>) -> Option<RangeInclusive<u16>> {
    let mut taken = [local.clone(), NODE_PORTS].map(|range| (u32::from(*range.start()), u32::from(*range.end())));
    taken.sort_unstable();
    let mut from = u32::from(LOWEST);
    let mut gaps = Vec::new();
    for (start, end) in taken.into_iter().chain([(65_536, 65_536)]) {
        gaps.push(from..start.max(from));
        from = from.max(end + 1);
    }
    let longest = gaps.into_iter().max_by_key(ExactSizeIterator::len)?;
    Some(u16::try_from(longest.start).ok()?..=u16::try_from(longest.end - 1).ok()?)
}

fn size(range: &RangeInclusive<u16>) -> u32 {
    (u32::from(*range.end()) + 1).saturating_sub(u32::from(*range.start()))
}

/// Reads what the process's network namespace uses ports for. What cannot be read is taken to be as after a start.
#[must_use]
pub fn read() -> PortFacts {
    PortFacts {
        local: local_range(&file("/proc/sys/net/ipv4/ip_local_port_range"))
            .unwrap_or_else(|| PortFacts::default().local),
        reserved: ranges(&file("/proc/sys/net/ipv4/ip_local_reserved_ports")),
        listening: sockets::ports().map_or_else(|_| listed(), |ports| ports.into_iter().collect()),
    }
}

fn file(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The same for a kernel that cannot be asked for sockets: it takes a while where there are many connections.
fn listed() -> BTreeSet<u16> {
    let files = [
        ("/proc/thread-self/net/tcp", is_tcp_listener as fn(&str) -> bool),
        ("/proc/thread-self/net/tcp6", is_tcp_listener),
        ("/proc/thread-self/net/udp", |_| true),
        ("/proc/thread-self/net/udp6", |_| true),
    ];
    let mut listening = BTreeSet::new();
    for (path, is_listening) in files {
        let text = file(path);
        let sockets = text.lines().skip(1).filter(|line| is_listening(line));
        listening.extend(sockets.filter_map(local_port));
    }
    listening
}

/// The fourth field is the state; 0A is LISTEN.
fn is_tcp_listener(line: &str) -> bool {
    line.split_ascii_whitespace().nth(3) == Some("0A")
}

/// The second field is the local address and port, in hexadecimal digits.
fn local_port(line: &str) -> Option<u16> {
    let (_, port) = line.split_ascii_whitespace().nth(1)?.rsplit_once(':')?;
    u16::from_str_radix(port, 16).ok()
}

fn local_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_ascii_whitespace().map_while(|number| number.parse().ok());
    Some(numbers.next()?..=numbers.next()?)
}

/// `8080,9000-9010`.
fn ranges(text: &str) -> Vec<RangeInclusive<u16>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.trim().split(',').filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::as_after_a_start(32_768..=60_999, 1_024..=29_999, false)]
    #[case::from_the_node_ports_on(20_000..=60_999, 1_024..=19_999, false)]
    #[case::nearly_everything_above(10_000..=60_999, 1_024..=9_999, false)]
    #[case::only_low_ports_left(8_000..=65_535, 1_024..=7_999, false)]
    #[case::everything(1_024..=65_535, 1_024..=29_999, true)]
    #[case::across_the_node_ports(31_000..=50_000, 1_024..=29_999, false)]
    #[case::below_the_node_ports(5_000..=29_000, 32_768..=65_535, false)]
    fn masquerade_ports_are_none_of_the_nodes_own(
        #[case] local: RangeInclusive<u16>,
        #[case] range: RangeInclusive<u16>,
        #[case] overlaps: bool,
    ) {
        let facts = PortFacts {
            local,
            ..PortFacts::default()
        };
        let ports = MasqueradePorts::choose(&facts, &BTreeSet::new());
        assert_eq!((ports.range, ports.overlaps), (range, overlaps));
    }

    #[test]
    fn reserved_listening_and_node_ports_are_not_free() {
        let facts = PortFacts {
            reserved: ranges("10001,10003-10004\n"),
            listening: BTreeSet::from([10_006]),
            ..PortFacts::default()
        };
        let ports = MasqueradePorts::choose(&facts, &BTreeSet::from([10_008]));
        let free = |port: usize| ports.free[port / 64] & (1 << (port % 64)) != 0;
        let found: Vec<_> = (10_000..10_010).filter(|port| free(*port)).collect();
        assert_eq!(found, [10_000, 10_002, 10_005, 10_007, 10_009]);
        assert!(!free(30_000) && free(29_999));
    }

    #[test]
    fn listeners_are_told_from_connections() {
        let listener = "  0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 1 1";
        let connection = "  1: 0100007F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  0  0 2 1";
        assert!(is_tcp_listener(listener) && !is_tcp_listener(connection));
        assert_eq!(local_port(listener), Some(8080));
    }
}
