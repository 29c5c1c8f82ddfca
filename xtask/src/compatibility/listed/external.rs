//! External and load-balancer addresses, and what the external policy Local does to node ports as well.

use super::{
    ANSWERS_NET, EXPLAIN, EXTERNAL_NET, FRONTENDS, Fairlead, Group, MODEL, NODE_PORT_NET, RANGES, REFUSAL_ROWS, SAME,
    SEGMENT_NET, SERVICE_ROWS, behaviour,
};

pub(super) const GROUP: Group = Group {
    title: "External and load-balancer addresses",
    behaviours: &[
        behaviour(
            "external-address",
            "What is sent to an external or load-balancer address and a port of the service goes to an endpoint at the \
             first node it meets, from whatever device and from the node itself; no node need have the address.",
            SAME,
            &[
                SERVICE_ROWS.row("an outsider reaches a far endpoint, masqueraded,"),
                SERVICE_ROWS.row("a pod reaches a far endpoint, masqueraded,"),
                EXTERNAL_NET.test("the_outside_reaches_every_endpoint"),
                EXTERNAL_NET.test("the_inside_reaches_them_without_leaving_the_node"),
                SEGMENT_NET.test("traffic_follows_who_announces_the_address_from_node_to_node"),
                EXPLAIN.cases("a_service_is_reached", &["outside_to_load_balancer"]),
            ],
        ),
        behaviour(
            "external-policy-cluster",
            "With the external policy Cluster endpoints of the whole cluster are used, and see an address of the node, \
             whoever asks.",
            Fairlead::Same("A pod whose own sockets are translated is seen itself: see below."),
            &[
                SERVICE_ROWS.row("an outsider reaches a far endpoint, masqueraded,"),
                SERVICE_ROWS.row("a pod reaches a far endpoint, masqueraded,"),
                NODE_PORT_NET.test("the_outside_reaches_every_endpoint_through_every_node"),
            ],
        ),
        behaviour(
            "source-ranges",
            "`loadBalancerSourceRanges` keeps senders from load-balancer addresses whose own address is in none of the \
             ranges, pods and nodes as well; where an address of this node is in one, what comes from the load \
             balancer's address itself is let through.",
            Fairlead::Differs {
                what: "As kube-proxy, but that the node itself is let through where its primary address is in a range, or \
                       any address of it as long as that is not known, whichever it sends from, and is told that the \
                       host is unreachable where it is not.",
                why: "a socket has no address yet when it connects, and will mostly have that one.",
            },
            &[
                REFUSAL_ROWS.row("a sender in a source range is served"),
                REFUSAL_ROWS.row("a pod in a source range is served"),
                REFUSAL_ROWS.row("a sender in no source range is dropped"),
                RANGES.test("a_node_that_gets_another_address_may_use_other_services"),
                RANGES.test("a_node_whose_primary_address_is_not_known_may_where_any_of_its_addresses_may"),
                ANSWERS_NET.test("source_ranges_say_who_may_use_a_load_balancers_address"),
            ],
        ),
        behaviour(
            "source-ranges-that-hold-all",
            "A range of length 0 lifts the filter for its family; ranges of the other family only, or none at all, are \
             no filter for this one. Blanks around a range do not matter.",
            SAME,
            &[
                RANGES.cases(
                    "who_may_use_a_load_balancers_address",
                    &[
                        "none",
                        "blanks_and_host_bits",
                        "everybody",
                        "those_of_the_other_family_only",
                        "everybody_of_the_other_family",
                    ],
                ),
                MODEL.cases(
                    "of_a_service_only_what_cannot_be_used_is_refused",
                    &["a_bad_source_range", "source_ranges"],
                ),
            ],
        ),
        behaviour(
            "source-ranges-and-connections",
            "Ranges are looked at when a connection begins, never later.",
            SAME,
            &[ANSWERS_NET.test("a_connection_outlives_the_range_that_has_let_it_in")],
        ),
        behaviour(
            "source-ranges-without-endpoints",
            "Of a service without endpoints a sender out of range hears nothing; in mode iptables it is refused like \
             all others.",
            SAME,
            &[
                REFUSAL_ROWS.row("who is not admitted is dropped, not told that there is no endpoint"),
                RANGES.test("source_ranges_of_a_service_without_endpoints_depend_on_the_mode"),
            ],
        ),
        behaviour(
            "source-ranges-and-node-ports",
            "Ranges do not hold at node ports.",
            SAME,
            &[
                REFUSAL_ROWS.row("source ranges are for load-balancer addresses alone: node port"),
                ANSWERS_NET.test("source_ranges_are_for_load_balancers_addresses_alone"),
            ],
        ),
        behaviour(
            "external-addresses-are-believed",
            "Who may write external addresses, or the status of a load balancer, draws traffic to any address; the \
             proxy does not ask who it was (CVE-2020-8554).",
            SAME,
            &[FRONTENDS.test("every_kind_of_address_leads_to_a_service")],
        ),
        behaviour(
            "external-policy-local",
            "With the external policy Local somebody from outside reaches endpoints of this node only, and they see \
             who it is.",
            SAME,
            &[
                SERVICE_ROWS.row("policy Local keeps an outsider's address"),
                EXTERNAL_NET.test("the_local_policy_keeps_the_client"),
                NODE_PORT_NET.test("the_local_policy_keeps_the_client_and_stays_on_the_node"),
                EXPLAIN.test("a_local_policy_leaves_only_local_endpoints"),
            ],
        ),
        behaviour(
            "external-policy-local-for-pods",
            "For a pod the policy Local is as if it had used the cluster address: all endpoints, and they see the pod. \
             Where pods are not told apart, they are like anybody from outside.",
            SAME,
            &[
                SERVICE_ROWS.row("policy Local lets a pod go to other nodes as itself"),
                REFUSAL_ROWS.row("external policy Local drops a pod's packets too where pods are not told apart"),
                EXPLAIN.cases("a_service_is_reached", &["pod_to_a_local_node_port"]),
                EXPLAIN.test("a_local_policy_leaves_only_local_endpoints"),
            ],
        ),
        behaviour(
            "external-policy-local-for-the-node",
            "For the node itself the policy Local does not count: all endpoints, which see the node.",
            SAME,
            &[
                EXPLAIN.cases("a_service_is_reached", &["node_to_a_local_node_port"]),
                EXPLAIN.test("a_local_policy_leaves_only_local_endpoints"),
                NODE_PORT_NET.test("the_local_policy_lets_pods_and_the_node_go_elsewhere"),
            ],
        ),
    ],
};
