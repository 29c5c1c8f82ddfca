//! Whom an endpoint sees, how pods are told from others, and what else kube-proxy does to packets on their way.

use super::{
    AGENT, Behaviour, CLASH_NET, CLASH_ROWS, CLUSTER_IP_NET, COEXIST_NET, EXPLAIN, EXTERNAL_NET, Fairlead, Group,
    HAIRPIN_NET, LIFETIMES, LINKS, NODE, NODE_MAPS, NODE_PORT_NET, POLICY_NET, PORTS, RULES_OF_OTHERS, SAME,
    SERVICE_ROWS, SETTINGS, SHAPES_NET, SOURCES, behaviour,
};

pub(super) const GROUP: Group = Group {
    title: "Masquerade, and the node's firewall",
    behaviours: &[
        behaviour(
            "masquerade-at-a-cluster-address",
            "An endpoint sees an address of the node if everything is to be masqueraded, or if pods are told apart and \
             the sender is none; else the sender. The internal policy has no say in it.",
            SAME,
            &[
                SERVICE_ROWS.row("an outsider at a cluster address is masqueraded"),
                SERVICE_ROWS.row("nobody at a cluster address is masqueraded where pods are not told apart"),
                SERVICE_ROWS.row("all are masqueraded if all shall be"),
                SERVICE_ROWS.row("a pod reaches a far endpoint by the cluster address, {protocol:?}"),
                EXPLAIN.cases(
                    "a_service_is_reached",
                    &["pod_to_cluster_ip", "outside_to_cluster_ip", "node_to_cluster_ip"],
                ),
                SETTINGS.test("everything_is_masqueraded_as_the_mode_is_told"),
            ],
        ),
        behaviour(
            "masquerade-at-other-addresses",
            "At external addresses, load-balancer addresses and node ports everybody is masqueraded with the policy \
             Cluster, and with Local only the node itself.",
            SAME,
            &[
                SERVICE_ROWS.row("an outsider reaches a far endpoint, masqueraded,"),
                SERVICE_ROWS.row("a pod reaches a far endpoint, masqueraded,"),
                SERVICE_ROWS.row("policy Local keeps an outsider's address"),
                SERVICE_ROWS.row("policy Local lets a pod go to other nodes as itself"),
                EXPLAIN.cases(
                    "a_service_is_reached",
                    &[
                        "outside_to_a_local_node_port",
                        "pod_to_a_local_node_port",
                        "node_to_a_local_node_port",
                    ],
                ),
            ],
        ),
        behaviour(
            "what-the-node-sends",
            "What the node itself sends to a service has the address that it has towards the service's, unless it is \
             masqueraded; at a cluster address it is not where nobody is known as a pod.",
            Fairlead::Differs {
                what: "An endpoint always sees the address that the node has towards this endpoint.",
                why: "sockets are translated where they connect, before an address is chosen for them.",
            },
            &[CLUSTER_IP_NET.test("an_endpoint_sees_the_address_that_the_node_has_towards_it")],
        ),
        behaviour(
            "pods-whose-sockets-are-translated",
            "Sees packets: what a namespace behind no device of the node sends, or one inside a pod's, is none of its \
             business before it comes to the node.",
            Fairlead::Differs {
                what: "A namespace that has no device of the node at its end, such as that of a pod on macvlan, is served \
                       by its sockets where `--socket-lb` is `auto`, and every one where it is `all`. An endpoint sees \
                       such a pod itself, whatever the policy, and counts it as one of this node. With `host` they are \
                       left alone.",
                why: "no packet of theirs meets the programs.",
            },
            &[SHAPES_NET.test("pods_without_a_device_of_the_node_have_services_by_their_sockets_alone")],
        ),
        behaviour(
            "hairpin",
            "A pod that is its own endpoint sees an address of the node, so that it answers to the service and not to \
             itself; one in the node's own network reaches itself too.",
            SAME,
            &[
                SERVICE_ROWS.row("a pod reaches itself through a service, {protocol:?}"),
                SERVICE_ROWS.row("a pod reaches itself from the port it listens on, {protocol:?}"),
                HAIRPIN_NET.test("a_pod_reaches_itself_through_every_kind_of_address"),
                HAIRPIN_NET.test("a_source_port_equal_to_the_target_port_works"),
                EXTERNAL_NET.test("a_host_network_backend_may_share_its_address_with_the_load_balancer"),
            ],
        ),
        behaviour(
            "endpoints-in-the-hosts-network",
            "An endpoint in the network of the very node that is asked sees the sender: nothing leaves the node that \
             could be masqueraded.",
            SAME,
            &[
                SERVICE_ROWS.row("a backend on this very node sees the client"),
                EXTERNAL_NET.test("a_host_network_backend_may_share_its_address_with_the_load_balancer"),
            ],
        ),
        PORTS_OF_MASQUERADE,
        behaviour(
            "ports-run-out",
            "When no port is left towards an endpoint, what begins fails, and what has begun goes on.",
            SAME,
            &[
                CLASH_ROWS.row("without a free masquerade port a connection is dropped, and the others live"),
                LIFETIMES.test("of_ports_whose_connections_have_ended_the_one_is_taken_that_ended_the_longest_ago"),
            ],
        ),
        behaviour(
            "mark",
            "One bit of the packet's mark, which can be configured, says that it is to be masqueraded, and is cleared \
             again.",
            Fairlead::Differs {
                what: "The mark is neither read nor written; `masqueradeBit` is warned about.",
                why: "what is to be done with a packet is remembered with its flow, and marks are others' to use.",
            },
            &[SETTINGS.cases("what_has_no_meaning_here_is_warned_about", &["which_mark"])],
        ),
        behaviour(
            "what-is-no-service",
            "Packets between pods, and from pods to anywhere else, are never touched.",
            SAME,
            &[
                SERVICE_ROWS.row("what has nothing to do with a service passes"),
                SERVICE_ROWS.row("a connection straight to an endpoint is left as it is"),
                SHAPES_NET.test("the_clients_address_arrives_where_it_must"),
                EXPLAIN.cases("what_is_none_of_ours_goes_to_no_endpoint", &["no_service"]),
            ],
        ),
        behaviour(
            "forwarding-that-is-denied",
            "Adds nothing to a firewall that drops what it forwards: who has one lets the pods' traffic through \
             himself.",
            SAME,
            &[
                RULES_OF_OTHERS,
                POLICY_NET.test("what_a_firewall_does_not_forward_no_service_carries_through"),
            ],
        ),
        behaviour(
            "forwarding-that-is-denied-in-mode-iptables",
            "In mode iptables adds rules to the FORWARD chain that accept what is to be masqueraded and what belongs \
             to it.",
            Fairlead::Differs {
                what: "Adds nothing in any mode: what a firewall does not forward, no service carries through.",
                why: "the rules of a host are its administrator's, as kube-proxy's own mode nftables has it.",
            },
            &[POLICY_NET.test("what_a_firewall_does_not_forward_no_service_carries_through")],
        ),
        behaviour(
            "invalid-packets-in-mode-iptables",
            "In mode iptables drops what is forwarded and what connection tracking calls invalid, so that a reply that \
             was not translated ends nobody's connection, unless tracking is set to be liberal.",
            Fairlead::Differs {
                what: "Drops nothing in any mode. Rules of others that do so do no harm where connection tracking sees \
                       both directions.",
                why: "a reply is translated by the flow it belongs to, whatever connection tracking calls it: none goes \
                      out as it came in.",
            },
            &[COEXIST_NET.cases(
                "with_rules_of_others",
                &["routed_without_invalid", "bridge_without_invalid"],
            )],
        ),
        behaviour(
            "health-check-port-in-the-firewall",
            "In mode iptables accepts connections to the health-check node port in the INPUT chain; in mode nftables \
             it does not.",
            Fairlead::Missing("There is no health-check node port."),
            &[],
        ),
        behaviour(
            "pods-by-cluster-network",
            "A pod is who has an address in `clusterCIDR`, of which there is one in each family. A family without one \
             tells nobody apart.",
            SAME,
            &[
                SETTINGS.cases(
                    "pods_are_recognised_as_configured",
                    &["none", "one", "one_each", "a_list", "a_flag"],
                ),
                NODE_MAPS.test("the_configuration_says_how_pods_and_sockets_are_treated"),
                SERVICE_ROWS.row("an outsider at a cluster address is masqueraded"),
            ],
        ),
        behaviour(
            "pods-by-node-network",
            "A pod is who has an address in the pod networks of the Node object. The proxy does not start without \
             them, waits five minutes for them, and ends when they change.",
            Fairlead::Differs {
                what: "Starts at once, tells nobody apart until the object has the networks, and follows when they \
                       change.",
                why: "services work without them, and an end helps nobody.",
            },
            &[
                SETTINGS.cases("pods_are_recognised_as_configured", &["of_the_node"]),
                NODE.test("pods_of_this_node_are_known_by_the_networks_of_its_object"),
                AGENT.test("the_node_is_handed_over_at_first_and_when_it_changes"),
            ],
        ),
        behaviour(
            "pods-by-device",
            "A pod is who comes in by the bridge that is configured, or by a device whose name begins as configured; \
             what the node itself sends comes in by none.",
            SAME,
            &[
                SETTINGS.cases("pods_are_recognised_as_configured", &["a_bridge", "a_prefix"]),
                LINKS.test("pods_are_behind_the_devices_that_the_detector_names"),
                NODE_MAPS.test("a_detector_by_device_marks_the_device"),
                SERVICE_ROWS.row("a pod is known by its device"),
                SERVICE_ROWS.row("who comes by the uplink is no pod, known by device"),
            ],
        ),
    ],
};

const PORTS_OF_MASQUERADE: Behaviour = behaviour(
    "masquerade-address-and-port",
    "The address is that of the device by which the packet leaves; the port is any that is free, by chance.",
    Fairlead::Differs {
        what: "The address is the same, but that a route's preferred source stands before it; ports come from a range of \
               their own that the node gives to none of its sockets.",
        why: "a route's source is what the node itself would send from; and sockets of the node do not ask the programs for their ports, so one of them could have the same port \
              towards the same endpoint.",
    },
    &[
        SOURCES.test("a_packet_carries_the_address_of_the_device_it_leaves_by"),
        PORTS.test("masquerade_ports_are_none_of_the_nodes_own"),
        PORTS.test("reserved_listening_and_node_ports_are_not_free"),
        NODE_PORT_NET.test("the_outside_reaches_every_endpoint_through_every_node"),
        CLASH_NET.test("nodes_and_masqueraded_clients_share_one_endpoint"),
    ],
);
