//! What a Service is when it is read, and which of its endpoints may be chosen.

use super::{
    AGENT, Behaviour, CHOICE, CLUSTER_IP_NET, CLUSTER_SERVICES, ENDPOINTS, FRONTENDS, Fairlead, Group, HISTORY, MODEL,
    REFUSAL_ROWS, SAME, SERVICE_ROWS, Shown, behaviour,
};

/// Rows of the one table of policies, hints and conditions.
const fn rows(names: &'static [&'static str]) -> Shown {
    ENDPOINTS.cases("endpoints_are_in_the_views_that_policies_and_hints_give_them", names)
}

pub(super) const GROUP: Group = Group {
    title: "Services and their endpoints",
    behaviours: &[
        behaviour(
            "addresses-of-a-service",
            "A port is reached at the cluster address, external addresses, load-balancer addresses and the node port, \
             each as far as the Service has it in the family.",
            SAME,
            &[
                FRONTENDS.test("every_kind_of_address_leads_to_a_service"),
                FRONTENDS.test("a_service_has_addresses_only_of_the_families_of_its_cluster_ips"),
            ],
        ),
        behaviour(
            "load-balancer-by-name",
            "A load balancer that has a host name and no address is not looked at.",
            SAME,
            &[FRONTENDS.test("a_load_balancer_that_proxies_is_left_alone")],
        ),
        behaviour(
            "load-balancer-that-proxies",
            "With `ipMode: Proxy`, or any other but `VIP`, the load balancer's address is left to the load balancer; \
             with `VIP`, or without the field, the node answers for it.",
            SAME,
            &[FRONTENDS.cases(
                "a_load_balancer_that_proxies_is_left_alone",
                &["unset", "vip", "proxy", "unknown", "empty"],
            )],
        ),
        behaviour(
            "load-balancer-without-node-ports",
            "With `allocateLoadBalancerNodePorts: false` a port has no node port, and is reached at the load \
             balancer's address all the same.",
            SAME,
            &[FRONTENDS.cases("a_load_balancer_that_proxies_is_left_alone", &["vip"])],
        ),
        OLDER,
        ODD_ADDRESSES,
        behaviour(
            "views-that-policies-ask-for",
            "Endpoints of the whole cluster are kept unless the internal policy is Local and nothing outside can reach \
             the port; those of this node are kept if the internal policy is Local, or the external one and the port \
             can be reached from outside.",
            SAME,
            &[rows(&[
                "no_policy_is_local",
                "internal_local_some_local",
                "internal_local_with_hints",
                "external_local_with_hints",
                "external_local_without_an_external_address",
                "external_local_by_an_external_address",
                "both_policies_are_local",
            ])],
        ),
        behaviour(
            "where-the-policies-hold",
            "The internal policy holds at the cluster address alone, the external one at all others and never there; \
             it holds for a Service of type ClusterIP with external addresses too.",
            SAME,
            &[
                rows(&["external_local_by_an_external_address"]),
                REFUSAL_ROWS.row("external policy Local says nothing about the cluster address"),
                REFUSAL_ROWS.row("internal policy Local says nothing about other addresses"),
            ],
        ),
        behaviour(
            "cluster-endpoints",
            "The cluster's endpoints are those that are ready. If none is, anywhere, they are those that terminate and \
             still serve, and hints do not count among them.",
            SAME,
            &[rows(&[
                "no_policy_is_local",
                "the_unready_are_left_out",
                "all_leaving",
                "leaving_takes_no_notice_of_hints",
                "one_ready_elsewhere",
            ])],
        ),
        behaviour(
            "local-endpoints",
            "This node's endpoints are those here that are ready, or else those here that terminate and still serve, \
             whatever there is elsewhere. Hints do not narrow them.",
            SAME,
            &[rows(&[
                "external_local_with_hints",
                "internal_local_with_hints",
                "one_ready_elsewhere",
                "one_ready_here",
                "all_leaving",
            ])],
        ),
        HINTS,
        behaviour(
            "who-decides-about-hints",
            "Only the hints in slices count; annotations of the Service do not.",
            SAME,
            &[rows(&["hints_narrow"])],
        ),
        behaviour(
            "any-endpoint-at-all",
            "A service with an endpoint that is ready, or that terminates and serves, anywhere, is not without \
             endpoints, even if none of them may be used here.",
            SAME,
            &[
                rows(&[
                    "internal_local_all_remote",
                    "internal_local_none_ready",
                    "no_endpoints",
                    "leaving_and_dead",
                ]),
                REFUSAL_ROWS.row("internal policy Local drops where only other nodes have endpoints"),
            ],
        ),
        behaviour(
            "endpoints-that-do-not-serve",
            "What is not ready and does not terminate is never used; what terminates and serves no more is never used.",
            SAME,
            &[
                rows(&["internal_local_none_ready", "leaving_and_dead"]),
                ENDPOINTS.cases(
                    "an_endpoint_that_does_not_serve_is_not_there",
                    &["unready", "leaving_and_dead"],
                ),
            ],
        ),
        behaviour(
            "metric-of-missing-local-endpoints",
            "A metric counts the services that want an endpoint of this node and have none, although they have some \
             elsewhere.",
            Fairlead::Missing(
                "There is no such metric; packets that are dropped for it are counted as `NoLocalEndpoint`.",
            ),
            &[REFUSAL_ROWS.row("external policy Local drops where only other nodes have endpoints")],
        ),
        behaviour(
            "health-check-node-port",
            "A load balancer's Service with the external policy Local has a port at which the node says how many \
             endpoints it has.",
            Fairlead::Missing("Nobody listens there: a connection to it is the node's own, and is refused by it."),
            &[],
        ),
        behaviour(
            "changes-at-run-time",
            "Every field may change at any time, the zone of the node too: what is in force is what the objects say.",
            SAME,
            &[
                HISTORY.test("a_history_of_changes_leads_where_the_objects_alone_lead"),
                AGENT.test("the_node_is_handed_over_at_first_and_when_it_changes"),
                MODEL.test("a_new_list_is_a_difference_at_its_end"),
            ],
        ),
        behaviour(
            "a-fair-choice",
            "Each new connection goes to an endpoint by chance, each of them as likely as the others.",
            SAME,
            &[
                CHOICE.test("each_endpoint_is_drawn_as_often_as_the_others"),
                CLUSTER_IP_NET.test("a_pod_reaches_every_endpoint_in_every_shape"),
                SERVICE_ROWS.row("a pod reaches a far endpoint by the cluster address, {protocol:?}"),
            ],
        ),
    ],
};

const OLDER: Behaviour = behaviour(
    "one-address-of-two-services",
    "Has no rule for two Services that claim one external address and port, or one node port.",
    Fairlead::Differs {
        what: "The older one has it, of two of one age the first by name; the other is told of, and takes over when \
               the first goes.",
        why: "who has an address must not depend on the order of events, or change with a restart.",
    },
    &[
        FRONTENDS.cases(
            "the_older_service_has_an_address_and_the_next_takes_over",
            &["the_older", "of_one_age_the_first_by_name"],
        ),
        CLUSTER_SERVICES.test("the_older_of_two_services_keeps_an_external_address_and_the_other_inherits_it"),
    ],
);

const ODD_ADDRESSES: Behaviour = behaviour(
    "addresses-of-no-use",
    "Takes addresses as the API server has let them through.",
    Fairlead::Differs {
        what: "Loopback, multicast and unspecified addresses of a service or an endpoint, and link-local ones of an \
               endpoint or among the external addresses, are refused alone, by object and field.",
        why: "no packet can reach them, or they are the machine's own.",
    },
    &[
        MODEL.cases(
            "of_a_service_only_what_cannot_be_used_is_refused",
            &[
                "a_loopback_address",
                "a_multicast_address",
                "a_link_local_external_address",
            ],
        ),
        MODEL.cases(
            "of_a_slice_only_the_bad_endpoint_is_refused",
            &["loopback", "link_local", "unspecified", "multicast"],
        ),
    ],
);

const HINTS: Behaviour = behaviour(
    "hints",
    "If every ready endpoint has a hint for nodes, and one of them is for this node, those for this node are used; \
     else if every one has a hint for zones, and one is for the zone of this node, those for the zone; else all. An \
     endpoint may be for several. Without a zone the node has no such choice.",
    SAME,
    &[rows(&[
        "hints_narrow",
        "hints_for_several_zones",
        "hints_for_nodes",
        "hints_for_other_nodes_only",
        "hints_for_other_nodes_and_this_zone",
        "hints_for_nodes_of_some_only",
        "no_zone_label",
        "an_empty_zone_label",
        "a_zone_without_endpoints",
        "one_without_a_hint_switches_hints_off",
        "an_unready_one_without_a_hint_does_not",
    ])],
);
