//! Node ports.

use super::{
    AGENT, Behaviour, EXPLAIN, EXTERNAL_NET, Fairlead, Group, NODE, NODE_MAPS, NODE_PORT_NET, REFUSAL_ROWS, SAME,
    SERVICE_ROWS, SETTINGS, Shown, behaviour,
};

/// Rows of the one table of configured addresses.
const fn rows(names: &'static [&'static str]) -> Shown {
    NODE.cases("node_ports_are_taken_at_the_addresses_that_are_configured", names)
}

pub(super) const GROUP: Group = Group {
    title: "Node ports",
    behaviours: &[
        behaviour(
            "node-port",
            "What is sent to a node port over its protocol, at an address of this node that takes node ports, goes to \
             an endpoint; at any other address it is none of the proxy's business.",
            SAME,
            &[
                SERVICE_ROWS.row("a node port is not answered at another address"),
                SERVICE_ROWS.row("a node port is answered at every address that takes them"),
                NODE_PORT_NET.test("the_outside_reaches_every_endpoint_through_every_node"),
                EXPLAIN.cases(
                    "what_is_none_of_ours_goes_to_no_endpoint",
                    &["node_port_at_a_foreign_address"],
                ),
            ],
        ),
        behaviour(
            "node-port-from-inside",
            "Pods and the node itself reach node ports, of this node and of others.",
            SAME,
            &[
                NODE_PORT_NET.test("pods_reach_the_node_ports_of_both_nodes"),
                NODE_PORT_NET.test("nodes_reach_their_own_and_other_node_ports"),
            ],
        ),
        behaviour(
            "node-port-addresses-by-default",
            "Without configuration only the primary addresses of the node take node ports; in mode iptables every \
             address does.",
            SAME,
            &[rows(&["n_empty", "i_empty"])],
        ),
        behaviour(
            "node-port-addresses-primary",
            "The word `primary` means the first address of each family in the Node object, internal ones before \
             external ones, and never a loopback address.",
            SAME,
            &[
                rows(&["n_primary", "i_primary", "primary_and_a_network"]),
                NODE.test("a_configured_address_stands_before_that_of_the_object"),
                SETTINGS.test("node_port_addresses_are_words_and_networks"),
            ],
        ),
        behaviour(
            "node-port-addresses-by-network",
            "Networks choose among the addresses of their family; a family that none of them is of takes every \
             address, and so does one with a network of length 0. Where no address is in a network, no node port is \
             served, and nobody complains.",
            SAME,
            &[
                rows(&[
                    "n_every_address",
                    "i_every_address",
                    "every_v4_address",
                    "a_v4_network",
                    "i_a_v4_network",
                    "a_network_each",
                    "networks",
                    "none_of_ours",
                ]),
                NODE_MAPS.test("node_ports_are_answered_where_the_rule_says"),
            ],
        ),
        behaviour(
            "where-no-node-ports-are-taken-in-mode-iptables",
            "In mode iptables drops what is for a node port of a service that has the policy Local and no endpoint on \
             this node at all of the node's addresses, those that take no node ports too.",
            Fairlead::Differs {
                what: "At an address that takes no node ports every port is the node's own, and one on which nobody \
                       listens is refused.",
                why: "who listens there is to be heard, whatever services there are.",
            },
            &[NODE_PORT_NET.test("where_no_node_ports_are_taken_the_host_answers")],
        ),
        behaviour(
            "node-port-addresses-at-run-time",
            "Addresses that come to the node or leave it count from the next full pass on.",
            Fairlead::Same("They count at once: the kernel tells of them."),
            &[
                NODE_PORT_NET.test("node_ports_follow_the_addresses_of_the_node"),
                NODE_MAPS.test("only_what_differs_is_written"),
                AGENT.test("an_address_that_comes_to_the_node_reaches_the_services"),
            ],
        ),
        behaviour(
            "loopback-takes-no-node-ports",
            "127.0.0.0/8 and ::1 take no node ports, even when every address does; ::1 does not in mode iptables \
             either.",
            SAME,
            &[
                rows(&["n_empty", "n_every_address", "i_every_address"]),
                NODE_PORT_NET.cases(
                    "loopback_takes_node_ports_where_it_is_configured",
                    &["nftables", "iptables"],
                ),
            ],
        ),
        behaviour(
            "localhost-in-mode-iptables",
            "In mode iptables 127.0.0.1 takes node ports when its addresses are configured to, as they are by default, \
             unless `iptables.localhostNodePorts` says no; the endpoint sees the node.",
            SAME,
            &[
                rows(&["i_empty", "i_loopback", "i_a_v4_network", "i_primary"]),
                NODE.test("loopback_node_ports_of_mode_iptables_can_be_switched_off"),
                NODE_PORT_NET.cases(
                    "loopback_takes_node_ports_where_it_is_configured",
                    &["iptables", "iptables_without_localhost"],
                ),
            ],
        ),
        LOCALHOST,
        behaviour(
            "route-localnet",
            "For node ports at 127.0.0.1 mode iptables sets `route_localnet`, and then drops what comes from the wire \
             for 127.0.0.0/8.",
            Fairlead::Differs {
                what: "The setting is left alone, and nothing has to be guarded: packets from devices find no node \
                       port at a loopback address.",
                why: "sockets are translated where they connect, so that no packet to a loopback address has to leave \
                      the machine.",
            },
            &[
                rows(&["i_empty"]),
                REFUSAL_ROWS.row("a packet from {source:?} to a service is left alone"),
                NODE_PORT_NET.cases("loopback_takes_node_ports_where_it_is_configured", &["iptables"]),
            ],
        ),
        behaviour(
            "no-socket-holds-a-node-port",
            "Nobody listens on a node port to keep it: a program of the node that does gets the port, and no \
             connections.",
            SAME,
            &[NODE_PORT_NET.test("a_server_at_a_node_port_hears_nothing_of_its_connections")],
        ),
        behaviour(
            "udp-sockets-of-the-node",
            "A datagram to a node port goes to an endpoint although a program of the node listens there.",
            Fairlead::Differs {
                what: "The program keeps what is sent to it.",
                why: "replies to what a CNI has masqueraded come to random ports, which may be node ports; whose they \
                      are shows by the socket.",
            },
            &[
                SERVICE_ROWS.row("a socket of the host keeps what is sent to it"),
                SERVICE_ROWS.row("without one the datagram is the node port's"),
            ],
        ),
        behaviour(
            "service-addresses-before-node-ports",
            "A service address that is an address of the node too stands before node ports and before the node's own \
             servers, at the service's ports; the node's other ports are its own.",
            SAME,
            &[
                SERVICE_ROWS.row("a service address stands before the node that has it"),
                EXTERNAL_NET.test("a_host_network_backend_may_share_its_address_with_the_load_balancer"),
                NODE_PORT_NET.test("a_port_of_the_node_that_is_no_service_is_still_its_own"),
            ],
        ),
    ],
};

const LOCALHOST: Behaviour = behaviour(
    "localhost-in-mode-nftables",
    "Where `nodePortAddresses` names loopback expressly, by a network or by the words `localhost` and `all`, a small \
     server of the proxy takes TCP connections to node ports there; with the external policy Local it listens only \
     while this node has an endpoint. This is new and not on by default.",
    Fairlead::Differs {
        what: "TCP and UDP sockets of the node are translated there when they connect or send, and reach endpoints of \
               the whole cluster with the policy Local too.",
        why: "it is the way of every other socket of the node, for which the policy Local does not count either; \
              nothing has to be copied.",
    },
    &[
        rows(&[
            "n_all",
            "n_localhost",
            "n_localhost_and_primary",
            "n_loopback_by_network",
        ]),
        NODE_PORT_NET.cases(
            "loopback_takes_node_ports_where_it_is_configured",
            &["nftables_with_localhost"],
        ),
    ],
);
