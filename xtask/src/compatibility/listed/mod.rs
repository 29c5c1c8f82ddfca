//! The behaviours, by subject in the order of an object's way and then of a packet's.

mod objects;
mod endpoints;
mod cluster_ip;
mod node_port;
mod external;
mod refusals;
mod masquerade;
mod connections;

use super::{Behaviour, Fairlead, Group, Shown, Suite};

pub(crate) const GROUPS: &[Group] = &[
    objects::GROUP,
    endpoints::GROUP,
    cluster_ip::GROUP,
    node_port::GROUP,
    external::GROUP,
    refusals::GROUP,
    masquerade::GROUP,
    connections::GROUP,
];

/// As kube-proxy does, with nothing to add.
const SAME: Fairlead = Fairlead::Same("");

/// A behaviour, so that an entry of a list is short.
const fn behaviour(
    name: &'static str,
    kube_proxy: &'static str,
    fairlead: Fairlead,
    tests: &'static [Shown],
) -> Behaviour {
    Behaviour {
        name,
        kube_proxy,
        fairlead,
        tests,
    }
}

// Floor host.
const WATCH: Suite = Suite("proxy-agent/src/watch/tests.rs");
const MODEL: Suite = Suite("proxy-agent/src/model/tests.rs");
const ADDRESS: Suite = Suite("proxy-agent/src/model/address.rs");
const SETTINGS: Suite = Suite("proxy-agent/src/settings/tests.rs");
const ENDPOINTS: Suite = Suite("proxy-agent/src/desired/tests/endpoints.rs");
const FRONTENDS: Suite = Suite("proxy-agent/src/desired/tests/frontends.rs");
const RANGES: Suite = Suite("proxy-agent/src/desired/tests/ranges.rs");
const NODE: Suite = Suite("proxy-agent/src/desired/tests/node.rs");
const HISTORY: Suite = Suite("proxy-agent/src/desired/tests/random.rs");
const AGENT: Suite = Suite("proxy-agent/src/agent/tests.rs");
const HEALTH: Suite = Suite("proxy-agent/src/health/tests.rs");
const DIFF: Suite = Suite("proxy-agent/src/diff.rs");
const NETWORK_MAPS: Suite = Suite("proxy-agent/src/apply/tests/networks.rs");
const NODE_MAPS: Suite = Suite("proxy-agent/src/apply/node.rs");
const LINKS: Suite = Suite("proxy-agent/src/host/links.rs");
const SOURCES: Suite = Suite("proxy-agent/src/host/addresses.rs");
const PORTS: Suite = Suite("proxy-agent/src/host/ports.rs");
const CHOICE: Suite = Suite("proxy-ebpf/src/select/mod.rs");
const LIFETIMES: Suite = Suite("proxy-ebpf/src/tests/connections.rs");

// Floors host and kernel: rows of packets.
const SERVICE_ROWS: Suite = Suite("tests/src/packets/services.rs");
const REFUSAL_ROWS: Suite = Suite("tests/src/packets/refusals.rs");
const CLASH_ROWS: Suite = Suite("tests/src/packets/clashes.rs");
const ICMP_ROWS: Suite = Suite("tests/src/packets/icmp.rs");
const HOSTILE_ROWS: Suite = Suite("tests/src/packets/hostile.rs");
const FRAGMENT_ROWS: Suite = Suite("tests/src/packets/fragments.rs");

// Floor kernel.
const EXPLAIN: Suite = Suite("tests/kernel/explain.rs");

// Floor netns.
const CLUSTER_IP_NET: Suite = Suite("tests/netns/cluster_ip.rs");
const NODE_PORT_NET: Suite = Suite("tests/netns/node_port.rs");
const ANSWERS_NET: Suite = Suite("tests/netns/answers.rs");
const EXTERNAL_NET: Suite = Suite("tests/netns/external.rs");
const HAIRPIN_NET: Suite = Suite("tests/netns/hairpin.rs");
const UDP_NET: Suite = Suite("tests/netns/udp.rs");
const FAMILIES_NET: Suite = Suite("tests/netns/dual_stack.rs");
const FRAGMENTS_NET: Suite = Suite("tests/netns/fragments.rs");
const ICMP_NET: Suite = Suite("tests/netns/icmp.rs");
const CLASH_NET: Suite = Suite("tests/netns/clash.rs");
const COEXIST_NET: Suite = Suite("tests/netns/coexist.rs");
const HOST_PORT_NET: Suite = Suite("tests/netns/host_port.rs");
const POLICY_NET: Suite = Suite("tests/netns/policy.rs");
const NAME_CACHE_NET: Suite = Suite("tests/netns/name_cache.rs");
const SEGMENT_NET: Suite = Suite("tests/netns/segment.rs");
const SHAPES_NET: Suite = Suite("tests/netns/shapes.rs");
const RESTART_NET: Suite = Suite("tests/netns/restart.rs");
const CRASH_NET: Suite = Suite("tests/netns/crash.rs");

// Floor cluster.
const CLUSTER_SERVICES: Suite = Suite("tests/cluster/services.rs");
const CLUSTER_REFUSALS: Suite = Suite("tests/cluster/refusals.rs");
const CLUSTER_OUTAGE: Suite = Suite("tests/cluster/outage.rs");

// Floor vm.
const SCTP_VM: Suite = Suite("tests/vm/sctp.rs");
const DUMMY_VM: Suite = Suite("tests/vm/dummy.rs");

/// Rules of others beside the programs, none of which drop what connection tracking calls invalid.
const RULES_OF_OTHERS: Shown = COEXIST_NET.cases(
    "with_rules_of_others",
    &[
        "bridge_seen_by_netfilter",
        "bridge",
        "routed",
        "bridge_by_iptables",
        "routed_by_iptables",
    ],
);
