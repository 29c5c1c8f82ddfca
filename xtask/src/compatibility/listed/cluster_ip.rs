//! Cluster addresses.

use super::{
    ANSWERS_NET, CLUSTER_IP_NET, CLUSTER_SERVICES, DUMMY_VM, EXPLAIN, FRONTENDS, Fairlead, Group, ICMP_NET, ICMP_ROWS,
    NAME_CACHE_NET, NETWORK_MAPS, RANGES, REFUSAL_ROWS, SAME, SCTP_VM, SEGMENT_NET, SERVICE_ROWS, UDP_NET, behaviour,
};

pub(super) const GROUP: Group = Group {
    title: "Cluster addresses",
    behaviours: &[
        behaviour(
            "cluster-address",
            "What is sent to the cluster address and a port of the service over its protocol goes to an endpoint: from \
             pods, from the node itself, from other machines that have a route to the node.",
            SAME,
            &[
                SERVICE_ROWS.row("a pod reaches a far endpoint by the cluster address, {protocol:?}"),
                CLUSTER_IP_NET.test("a_pod_reaches_every_endpoint_in_every_shape"),
                CLUSTER_IP_NET.test("a_node_reaches_every_endpoint"),
                UDP_NET.test("real_dns_over_udp_and_tcp"),
                CLUSTER_SERVICES.test("a_service_is_reached_from_pods_nodes_and_the_outside"),
            ],
        ),
        behaviour(
            "translation-and-back",
            "Address and port become the endpoint's; answers come from the address that was dialled, and so do errors \
             about the packets on the way.",
            SAME,
            &[
                SERVICE_ROWS.row("a pod reaches a far endpoint by the cluster address, {protocol:?}"),
                ICMP_ROWS.row("a complaint about a request reaches the client, as about the service"),
                ICMP_ROWS.row("a complaint about a reply reaches the backend"),
                ICMP_NET.test("a_trace_through_a_service_shows_the_hops_and_ends_at_its_address"),
            ],
        ),
        behaviour(
            "a-connection-keeps-its-endpoint",
            "What has begun stays with its endpoint, whatever becomes of the set.",
            SAME,
            &[
                UDP_NET.test("a_conversation_stays_with_its_endpoint"),
                CLUSTER_IP_NET.test("connections_outlive_the_endpoint_in_the_manifest_and_new_ones_go_elsewhere"),
            ],
        ),
        behaviour(
            "internal-policy-local",
            "With the internal policy Local only endpoints of this node are used, for every sender, one from outside \
             the cluster included.",
            SAME,
            &[
                SERVICE_ROWS.row("internal policy Local takes the endpoint on this node, {protocol:?}"),
                REFUSAL_ROWS.row("internal policy Local drops where only other nodes have endpoints"),
                CLUSTER_IP_NET.test("internal_traffic_policy_local_stays_on_the_node"),
            ],
        ),
        behaviour(
            "senders-from-outside",
            "A cluster address that is reached from outside, by a route to a node, works; the endpoint sees the node.",
            SAME,
            &[
                SERVICE_ROWS.row("an outsider at a cluster address is masqueraded"),
                EXPLAIN.cases("a_service_is_reached", &["outside_to_cluster_ip"]),
            ],
        ),
        behaviour(
            "unknown-port",
            "A port or protocol that no service has at a cluster address is refused; in mode ipvs at external and \
             load-balancer addresses too.",
            Fairlead::Same("At other than cluster addresses it is passed on in mode ipvs too."),
            &[
                REFUSAL_ROWS.row("a port that the service has not is refused to {client:?}, {protocol:?}"),
                REFUSAL_ROWS.row("nobody is told who may not be told"),
                EXPLAIN.cases(
                    "what_is_none_of_ours_goes_to_no_endpoint",
                    &["another_protocol", "another_port", "another_port_from_the_node"],
                ),
                ANSWERS_NET.test("a_port_that_a_service_has_not_is_refused"),
            ],
        ),
        behaviour(
            "unknown-port-in-mode-iptables",
            "In mode iptables a port or protocol that no service has at a cluster address is passed on untouched.",
            SAME,
            &[
                REFUSAL_ROWS.row("where it is not asked for, nothing is refused"),
                RANGES.test("in_mode_iptables_what_no_service_answers_passes"),
                ANSWERS_NET.test("in_mode_iptables_packets_that_no_service_answers_are_passed_on"),
            ],
        ),
        behaviour(
            "ping-of-a-service",
            "A ping of a cluster address is refused as an unreachable port; in mode iptables it is passed on, and \
             nobody answers.",
            Fairlead::Differs {
                what: "It is dropped; in mode iptables it is passed on.",
                why: "nothing at such an address has ever answered a ping, and no program waits for its refusal.",
            },
            &[
                REFUSAL_ROWS.row("a ping of a service is not passed on"),
                REFUSAL_ROWS.row("where it is not asked for, nothing is refused"),
                ICMP_NET.test("a_service_address_is_no_host"),
            ],
        ),
        behaviour(
            "free-cluster-address",
            "What is sent to an address of the ServiceCIDRs that no Service has is dropped; in mode iptables it is \
             passed on.",
            Fairlead::Differs {
                what: "What begins a conversation is dropped, and a process of the node is told that the host is \
                       unreachable. What begins none, such as a segment in the midst of a connection, is passed on, as \
                       in mode iptables.",
                why: "it is the packets that begin something that are looked at: to look at all others too would cost \
                      those who use no service.",
            },
            &[
                REFUSAL_ROWS.row("an address that no service has drops, {protocol:?}"),
                REFUSAL_ROWS.row("where it is not asked for, nothing is refused"),
                NETWORK_MAPS.test("addresses_of_services_are_known_as_long_as_some_service_has_them"),
                ANSWERS_NET.test("an_address_that_no_service_has_is_not_passed_on"),
                ANSWERS_NET.test("a_process_is_told_at_once_that_no_service_has_an_address"),
            ],
        ),
        behaviour(
            "ports-and-services-beside-each-other",
            "Ports and protocols at one address, and Services beside each other, come and go without a trace in the \
             others.",
            SAME,
            &[
                FRONTENDS.test("a_port_that_comes_or_goes_leaves_the_others_as_they_are"),
                FRONTENDS.test("a_port_with_another_protocol_is_another_claim"),
                CLUSTER_IP_NET.test("a_deleted_service_is_gone_and_a_new_one_is_there"),
                CLUSTER_SERVICES.test("endpoints_come_and_go_and_the_service_with_them"),
            ],
        ),
        behaviour(
            "sctp",
            "SCTP is served as TCP and UDP are, if the kernel has it; the proxy does not load the kernel's module.",
            SAME,
            &[
                SERVICE_ROWS.row("a pod reaches a far endpoint by the cluster address, {protocol:?}"),
                SERVICE_ROWS.row("an SCTP packet that opens nothing passes"),
                SCTP_VM.test("associations_reach_services_from_pods_and_from_outside"),
            ],
        ),
        behaviour(
            "sctp-and-raw-sockets-of-the-node",
            "What the node itself sends is translated whatever socket it comes from.",
            Fairlead::Missing(
                "TCP and UDP sockets of the node are translated when they connect or send; the kernel has no such hook \
                 for SCTP and for raw sockets, whose packets go on untouched.",
            ),
            &[],
        ),
        behaviour(
            "cluster-address-of-the-node",
            "A cluster address that is an address of the node is translated all the same, unless somebody's rules keep \
             the packets from it, as those of NodeLocal DNSCache do.",
            Fairlead::Differs {
                what: "It is left to the node for as long as the node has it.",
                why: "whoever gives a node such an address means to answer there, as NodeLocal DNSCache does, and its \
                      rules are in netfilter, which has no say here.",
            },
            &[
                FRONTENDS.test("a_cluster_ip_of_this_node_is_left_to_the_node_and_other_addresses_are_not"),
                CLUSTER_IP_NET.test("a_cluster_address_that_the_node_has_is_left_to_the_node"),
                NAME_CACHE_NET.test("a_node_with_a_name_cache_is_asked_itself_and_asks_the_service"),
                DUMMY_VM.test("a_cluster_address_of_the_node_is_the_nodes_and_a_load_balancers_is_not"),
            ],
        ),
        behaviour(
            "no-host-has-the-address",
            "Service addresses are on no device: no node answers for them on the link. In mode ipvs they are on one, \
             and `strictARP` keeps it silent.",
            SAME,
            &[
                ICMP_NET.test("a_service_address_is_no_host"),
                SEGMENT_NET.test("nodes_answer_for_their_own_addresses_and_for_no_services"),
            ],
        ),
    ],
};
