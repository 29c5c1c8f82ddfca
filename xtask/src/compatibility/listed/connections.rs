//! What netfilter gives kube-proxy for nothing, and a proxy beside it must do itself.

use super::{
    Behaviour, CLASH_NET, CLASH_ROWS, CLUSTER_IP_NET, COEXIST_NET, CRASH_NET, DIFF, ENDPOINTS, FRAGMENT_ROWS,
    FRAGMENTS_NET, Fairlead, Group, HOST_PORT_NET, HOSTILE_ROWS, ICMP_NET, ICMP_ROWS, NODE_PORT_NET, POLICY_NET,
    RESTART_NET, RULES_OF_OTHERS, SAME, SERVICE_ROWS, SHAPES_NET, behaviour,
};

pub(super) const GROUP: Group = Group {
    title: "Connections and packets",
    behaviours: &[
        behaviour(
            "fragments",
            "A datagram in pieces is translated as a whole.",
            SAME,
            &[
                FRAGMENT_ROWS.row("all fragments of a datagram go the same way, there and back"),
                FRAGMENT_ROWS.row("all fragments of a datagram are masqueraded"),
                FRAGMENTS_NET.test("large_datagrams_arrive_whole_in_both_directions"),
            ],
        ),
        behaviour(
            "fragments-out-of-order",
            "Pieces may come in any order: they are put together first.",
            Fairlead::Missing(
                "A piece that comes before the first one is passed on untouched, and its datagram is lost.",
            ),
            &[FRAGMENT_ROWS.row("a later fragment passes if the first was not seen")],
        ),
        behaviour(
            "fragments-of-sctp",
            "SCTP in pieces is translated like everything else.",
            Fairlead::Missing(
                "It is where the endpoint's port is the service's, and else passed on untouched: its checksum covers \
                 all pieces.",
            ),
            &[
                FRAGMENT_ROWS.row("fragments of SCTP are translated where no port changes"),
                FRAGMENT_ROWS.row("fragments of SCTP pass where the port would change"),
            ],
        ),
        ERRORS,
        behaviour(
            "replies-that-cross-nodes",
            "A reply is turned back at the node that has masqueraded the request, wherever the endpoint is.",
            SAME,
            &[
                SERVICE_ROWS.row("an outsider reaches a far endpoint, masqueraded,"),
                NODE_PORT_NET.test("the_outside_reaches_every_endpoint_through_every_node"),
            ],
        ),
        behaviour(
            "connections-outlive-the-proxy",
            "Connections go on when their service or endpoint is deleted, when the proxy is stopped or killed, and \
             when it comes back.",
            Fairlead::Same("New ones are opened meanwhile, too."),
            &[
                CLUSTER_IP_NET.test("connections_outlive_the_endpoint_in_the_manifest_and_new_ones_go_elsewhere"),
                CLUSTER_IP_NET.test("a_deleted_service_is_gone_and_a_new_one_is_there"),
                RESTART_NET.test("a_stop_in_order_leaves_the_data_path_and_a_start_adopts_it"),
                CRASH_NET.test("kills_at_any_moment_of_a_change_break_nothing"),
            ],
        ),
        behaviour(
            "endpoints-that-terminate-keep-their-connections",
            "An endpoint that terminates gets no new connections while others are ready, and keeps those it has.",
            SAME,
            &[
                ENDPOINTS.cases(
                    "an_endpoint_in_no_view_keeps_its_flows",
                    &["it_leaves_while_others_are_ready"],
                ),
                DIFF.test("a_terminating_endpoint_leaves_the_block_but_serves"),
            ],
        ),
        behaviour(
            "ports-and-tuples-that-clash",
            "Two connections that would be one after translation get different ports.",
            Fairlead::Same("Another endpoint is tried first."),
            &[
                CLASH_ROWS.row("a connection straight to the pod and one through the service live side by side"),
                CLASH_ROWS.row("two services with one backend, from one client port, {protocol:?}"),
                CLASH_ROWS.row("a cluster address and a load-balancer address from one client port"),
                CLASH_NET.test("direct_and_by_every_address_from_one_port_at_once"),
                CLASH_NET.test("thousands_of_connections_of_node_and_outside_live_side_by_side"),
            ],
        ),
        behaviour(
            "firewall-sees-endpoints",
            "A firewall of the node sees the endpoint's address where it filters what is forwarded.",
            SAME,
            &[
                RULES_OF_OTHERS,
                POLICY_NET.test("a_policy_knows_both_pods_of_a_service"),
            ],
        ),
        behaviour(
            "policies-see-pods",
            "What a pod sends to a cluster address reaches the endpoint from the pod's own address, which is what \
             network policies are written for.",
            SAME,
            &[
                POLICY_NET.test("a_policy_knows_both_pods_of_a_service"),
                SHAPES_NET.test("the_clients_address_arrives_where_it_must"),
                CLUSTER_IP_NET.test("a_pod_reaches_every_endpoint_in_every_shape"),
                SERVICE_ROWS.row("a pod reaches a far endpoint by the cluster address, {protocol:?}"),
            ],
        ),
        behaviour(
            "replies-to-others",
            "A reply to what somebody else has masqueraded, a CNI for one, is known as one, whatever port it comes to.",
            Fairlead::Missing(
                "A datagram to a random port that happens to be a node port is taken for a request, unless a socket of \
                 the node has the port. TCP is not affected: a reply opens nothing.",
            ),
            &[
                COEXIST_NET.cases(
                    "with_rules_of_others",
                    &[
                        "routed_masqueraded",
                        "bridge_masqueraded",
                        "routed_masqueraded_by_iptables",
                    ],
                ),
                COEXIST_NET.test("a_cni_that_masquerades_what_goes_to_another_node"),
                COEXIST_NET.test("a_cni_that_masquerades_with_a_clients_port"),
                CLASH_ROWS.row("a port that a CNI masquerades with is given to no client, {protocol:?}"),
                CLASH_ROWS.row("what a CNI masquerades with a client's port leaves by another"),
                SERVICE_ROWS.row("a socket of the host keeps what is sent to it"),
                SERVICE_ROWS.row("TCP with flags {flags:#04x} opens nothing"),
            ],
        ),
        behaviour(
            "datagrams-straight-to-an-endpoint",
            "A datagram straight to an endpoint is told from one that was sent to its service from the same port.",
            Fairlead::Missing(
                "Where one port of a client is used towards both, it is taken for part of the translated conversation: \
                 only TCP connections keep a place of their own.",
            ),
            &[CLASH_ROWS.row("a connection straight to the pod and one through the service live side by side")],
        ),
        behaviour(
            "unusual-headers",
            "A packet is translated whatever options or extension headers it has.",
            Fairlead::Missing(
                "Those with a source route, more than eight options, or more than six extension headers are passed on \
                 untouched.",
            ),
            &[
                HOSTILE_ROWS.row("several options stay as they are"),
                HOSTILE_ROWS.row("more options than anybody needs"),
                HOSTILE_ROWS.row("a loose source route"),
                HOSTILE_ROWS.row("more extension headers than anybody needs"),
                HOSTILE_ROWS.row("a route through other routers"),
            ],
        ),
        behaviour(
            "host-ports",
            "Ports of the node that a CNI forwards to a pod by rules of its own work beside the proxy, at the node's \
             addresses and at 127.0.0.1.",
            SAME,
            &[
                HOST_PORT_NET.test("a_host_port_leads_to_its_pod_and_service_addresses_to_all"),
                HOST_PORT_NET.test("a_node_port_and_then_a_host_port_from_one_port_of_a_client"),
            ],
        ),
        behaviour(
            "connection-tracking",
            "The kernel's connection tracking knows every connection by the address that was dialled and by that of \
             the endpoint, and its tools show them.",
            Fairlead::Differs {
                what: "Tracking works and sees sender and endpoint, never the service; `fairlead get flows` shows \
                       which service it was.",
                why: "packets are translated before netfilter meets them and after it has let them go.",
            },
            &[COEXIST_NET.test("with_connection_tracking")],
        ),
        behaviour(
            "packets-from-the-middle",
            "A TCP packet in whose connection no SYN was seen is not taken for a new connection, unless connection \
             tracking takes it up.",
            Fairlead::Same("It never is."),
            &[
                SERVICE_ROWS.row("TCP with flags {flags:#04x} opens nothing"),
                SERVICE_ROWS.row("an SCTP packet that opens nothing passes"),
            ],
        ),
    ],
};

const ERRORS: Behaviour = behaviour(
    "icmp-errors",
    "Errors about packets of a translated connection are translated, in both directions and with the packet that they \
     quote: MTUs are found, and routes can be traced.",
    Fairlead::Same("Redirects about them are dropped, as netfilter does."),
    &[
        ICMP_ROWS.row("a complaint about a request reaches the client, as about the service"),
        ICMP_ROWS.row("a complaint of this node about a request names the service"),
        ICMP_ROWS.row("a complaint about a reply reaches the backend"),
        ICMP_ROWS.row("a complaint that quotes little is translated"),
        ICMP_ROWS.row("no redirect about a service gets through"),
        ICMP_NET.test("large_transfers_cross_a_narrower_link"),
        ICMP_NET.test("errors_from_beyond_reach_the_endpoint_behind_a_node_port"),
        ICMP_NET.test("redirects_never_teach_a_pod_a_way_to_a_service"),
    ],
);
