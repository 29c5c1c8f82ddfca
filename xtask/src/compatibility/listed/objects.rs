//! Which objects are followed, and what is read in them.

use super::{
    ADDRESS, AGENT, Behaviour, CLUSTER_OUTAGE, CLUSTER_REFUSALS, CLUSTER_SERVICES, ENDPOINTS, FAMILIES_NET, FRONTENDS,
    Fairlead, Group, HEALTH, MODEL, NODE, RANGES, SAME, SERVICE_ROWS, SETTINGS, WATCH, behaviour,
};

pub(super) const GROUP: Group = Group {
    title: "Objects",
    behaviours: &[
        behaviour(
            "modes",
            "A node runs one of the modes iptables, nftables and ipvs; where none is configured it is iptables. A mode \
             that does not exist is an error.",
            Fairlead::Differs {
                what: "There is one data path. `mode` says whose behaviour it shows where the modes differ, and \
                       without one it is that of nftables.",
                why: "nftables is what kube-proxy means to make its own default.",
            },
            &[
                SETTINGS.test("without_a_file_everything_is_as_in_mode_nftables"),
                SETTINGS.cases("a_wrong_value_is_one_line_with_its_field", &["mode", "mode_flag"]),
            ],
        ),
        behaviour(
            "mode-ipvs",
            "Differs in several ways from the other modes: schedulers; a Local policy without an endpoint here falls \
             back to the whole cluster; service addresses are on a device of the node; the service address is the \
             source of what the node itself sends to it.",
            Fairlead::Differs {
                what: "`mode: ipvs` selects the fall-back of the policies Local, which is for pods and the node as for \
                       others, node ports at every address but loopback, and the refusal of ports that no service has. \
                       Endpoints are drawn at random, service addresses are on no device, and a warning says so.",
                why: "a device with every service's address makes all of the node's ports reachable there, and whoever \
                      depends on a scheduler is better told than half served.",
            },
            &[
                SETTINGS.cases("what_has_no_meaning_here_is_warned_about", &["ipvs"]),
                ENDPOINTS.test("in_mode_ipvs_a_policy_of_local_means_the_cluster_where_the_node_has_nothing"),
                NODE.cases(
                    "node_ports_are_taken_at_the_addresses_that_are_configured",
                    &["v_empty", "v_primary"],
                ),
                RANGES.test("in_mode_ipvs_only_ports_that_no_service_has_are_refused"),
                SERVICE_ROWS.row("policy Local without exceptions keeps a pod to this node"),
            ],
        ),
        FOLLOWED,
        LABELS,
        behaviour(
            "headless",
            "A Service whose cluster address is `None` or empty is left alone.",
            SAME,
            &[MODEL.cases(
                "a_service_that_is_not_ours_is_passed_over_in_silence",
                &["headless", "without_ports", "no_address"],
            )],
        ),
        behaviour(
            "external-name",
            "A Service of type ExternalName is left alone, even when a cluster address is left over in it.",
            SAME,
            &[MODEL.cases("a_service_that_is_not_ours_is_passed_over_in_silence", &["a_name_only"])],
        ),
        behaviour(
            "families",
            "A Service is served in each family of which it has a cluster address; addresses of the other family are \
             not used.",
            SAME,
            &[
                FRONTENDS.test("a_dual_stack_service_is_a_service_of_each_family"),
                FRONTENDS.test("a_service_has_addresses_only_of_the_families_of_its_cluster_ips"),
                FAMILIES_NET.test("a_service_of_one_family_has_nothing_in_the_other"),
            ],
        ),
        behaviour(
            "identity-of-a-port",
            "A port of a Service is known by namespace, name, name of the port and protocol; one number for TCP and \
             UDP is two ports.",
            SAME,
            &[
                MODEL.cases(
                    "of_a_service_only_what_cannot_be_used_is_refused",
                    &["one_number_for_two_protocols"],
                ),
                FRONTENDS.test("a_port_with_another_protocol_is_another_claim"),
            ],
        ),
        behaviour(
            "no-change-no-work",
            "An object that comes again without a difference causes nothing.",
            SAME,
            &[
                MODEL.test("a_change_that_changes_nothing_touches_nothing"),
                CLUSTER_OUTAGE.test("what_is_listed_again_and_has_not_changed_is_not_written_again"),
            ],
        ),
        OUTAGE,
        behaviour(
            "pace-of-requests",
            "Speaks protobuf, and asks the API server no more than five times a second, with bursts of ten.",
            Fairlead::Differs {
                what: "Speaks JSON and has no limit of its own; the fields of `clientConnection` that say so are \
                       warned about.",
                why: "it asks for four lists and follows them, and a failed request waits for its next turn: there is \
                      nothing to limit.",
            },
            &[SETTINGS.cases("what_has_no_meaning_here_is_warned_about", &["how_many_requests"])],
        ),
        behaviour(
            "rights",
            "Needs list and watch of Services, EndpointSlices and ServiceCIDRs, the same and get of Nodes, and the \
             right to write events.",
            Fairlead::Differs {
                what: "List and watch of the four are enough. Nodes and ServiceCIDRs may be denied, and are then done \
                       without; events are written where that is allowed.",
                why: "a service can do without the two, and what an event would say is in the log, `status` and the \
                      metrics, too.",
            },
            &[
                WATCH.test("only_what_is_ours_is_asked_for"),
                WATCH.cases(
                    "a_kind_that_the_server_does_not_have_is_not_waited_for",
                    &["not_there", "not_shown"],
                ),
            ],
        ),
        behaviour(
            "leading-zeros",
            "Addresses and networks are read leniently: zeros in front of a part do not make it octal.",
            SAME,
            &[
                MODEL.test("leading_zeros_are_decimal"),
                ADDRESS.cases(
                    "an_address_is_read_as_kubernetes_reads_it",
                    &["zeros_are_decimal", "zeros_beyond_a_byte"],
                ),
                SETTINGS.cases("pods_are_recognised_as_configured", &["leading_zeros"]),
            ],
        ),
        behaviour(
            "slice-of-a-service",
            "An EndpointSlice belongs to the Service that its label names, in its own namespace; one without the label \
             is told of in the log and not used.",
            SAME,
            &[
                MODEL.cases("of_a_slice_only_what_cannot_be_used_is_refused", &["without_service"]),
                ENDPOINTS.test("a_slice_is_of_a_service_in_its_own_namespace"),
                MODEL.test("a_slice_that_moves_to_another_service_leaves_the_first"),
                MODEL.test("slices_may_come_before_their_service"),
            ],
        ),
        behaviour(
            "address-types",
            "Slices of IPv4 and IPv6 addresses are used, each in its family, and slices of names are not. An address \
             of the wrong family is not used.",
            SAME,
            &[
                MODEL.cases(
                    "of_a_slice_only_what_cannot_be_used_is_refused",
                    &["names", "unknown_family"],
                ),
                MODEL.cases("of_a_slice_only_the_bad_endpoint_is_refused", &["the_other_family"]),
            ],
        ),
        behaviour(
            "several-addresses-of-an-endpoint",
            "Of the addresses of an endpoint the first is used.",
            SAME,
            &[ENDPOINTS.test("of_several_addresses_of_an_endpoint_the_first_counts")],
        ),
        SLICE_PORTS,
        behaviour(
            "default-conditions",
            "An endpoint is ready and serving unless it says that it is not, and terminating only if it says so.",
            SAME,
            &[ENDPOINTS.cases(
                "what_an_endpoint_does_not_say_has_the_defaults_of_the_api",
                &[
                    "nothing",
                    "not_whether_it_serves",
                    "not_whether_it_terminates",
                    "not_whether_it_is_ready",
                ],
            )],
        ),
        behaviour(
            "endpoints-of-this-node",
            "An endpoint is local when its `nodeName` is the name of this node, which may be configured and is in \
             small letters; without one it is elsewhere.",
            SAME,
            &[
                ENDPOINTS.cases(
                    "what_an_endpoint_does_not_say_has_the_defaults_of_the_api",
                    &["nothing", "its_node", "its_node_in_other_letters"],
                ),
                SETTINGS.test("the_name_of_a_node_is_in_small_letters"),
            ],
        ),
        behaviour(
            "several-slices",
            "All slices of a Service count together. An endpoint that is in several is one, a local one if any of them \
             says so. Slices may give the same port different numbers, and all of these are used.",
            SAME,
            &[
                ENDPOINTS.test("of_two_entries_for_one_endpoint_the_local_one_counts"),
                ENDPOINTS.test("slices_may_give_one_port_name_different_numbers"),
            ],
        ),
        TRIGGERS,
        behaviour(
            "unready-addresses-that-are-published",
            "`publishNotReadyAddresses` is the business of who writes the slices: what a slice calls ready is ready.",
            SAME,
            &[ENDPOINTS.cases(
                "endpoints_are_in_the_views_that_policies_and_hints_give_them",
                &["no_policy_is_local"],
            )],
        ),
        behaviour(
            "endpoints-that-are-services",
            "Takes endpoints as slices have them, the cluster address of a Service among them.",
            Fairlead::Differs {
                what: "Such an endpoint is refused alone, by name, where the address is that of its own Service or of one \
                       that stands before it.",
                why: "nobody can answer there, and its share of the connections would be lost.",
            },
            &[
                ENDPOINTS.test("an_endpoint_with_the_address_of_a_service_is_refused_whichever_comes_first"),
                CLUSTER_REFUSALS.test("what_cannot_be_used_is_named_and_the_rest_is_used"),
            ],
        ),
    ],
};

const FOLLOWED: Behaviour = behaviour(
    "objects-that-are-followed",
    "Services and EndpointSlices of all namespaces, the Node of this machine, and ServiceCIDRs where the server has \
     them; no Endpoints.",
    Fairlead::Same("Endpoints are read in a folder of manifests only, where no controller makes slices of them."),
    &[
        WATCH.test("only_what_is_ours_is_asked_for"),
        WATCH.test("lists_are_followed_by_changes"),
        WATCH.cases("a_kind_that_the_server_does_not_have_is_not_waited_for", &["not_there"]),
        MODEL.test("nothing_is_wanted_before_everything_has_been_listed"),
    ],
);

const LABELS: Behaviour = behaviour(
    "labels-of-others",
    "Services that are labelled as another proxy's and slices that are labelled as headless, whatever the label's \
     value, are not even asked for. The label may come and go at any time. Of a slice the first means nothing, of a \
     Service the second.",
    SAME,
    &[
        WATCH.test("only_what_is_ours_is_asked_for"),
        MODEL.cases(
            "a_service_that_is_not_ours_is_passed_over_in_silence",
            &["of_another_proxy"],
        ),
        MODEL.test("a_service_with_an_address_is_served_although_it_is_labelled_headless"),
        MODEL.cases(
            "of_a_slice_only_what_cannot_be_used_is_refused",
            &["labelled_as_a_service_of_another_proxy", "labelled_headless"],
        ),
        CLUSTER_SERVICES.test("a_service_is_another_proxys_as_long_as_its_label_says_so"),
    ],
);

const OUTAGE: Behaviour = behaviour(
    "api-server-away",
    "A broken watch is taken up where it ended, or by a new list when that is too long ago, after pauses that grow to \
     half a minute. Everything is handed over again every 15 minutes, which changes nothing.",
    Fairlead::Same(
        "The pauses grow to 10 s, and chance adds up to as much again. Nothing is handed over again: \
         `configSyncPeriod` is warned about.",
    ),
    &[
        WATCH.cases(
            "a_server_that_was_away_is_caught_up_with",
            &["from_where_it_was", "by_a_new_list"],
        ),
        AGENT.test("trouble_with_a_source_is_reported_and_changes_nothing"),
        SETTINGS.cases("what_has_no_meaning_here_is_warned_about", &["how_often_to_list_again"]),
        CLUSTER_OUTAGE.test("connections_outlive_a_server_that_is_killed_and_an_agent_that_starts_without_it"),
        CLUSTER_OUTAGE.test("connections_outlive_a_server_that_says_nothing_for_a_while"),
    ],
);

const SLICE_PORTS: Behaviour = behaviour(
    "ports-of-a-slice",
    "A port of a slice goes with the Service's port of the same name and protocol. One without a number, or with 0, is \
     not used; one whose name is absent is not used either.",
    Fairlead::Differs {
        what: "An absent name is taken for the empty one.",
        why: "the API server fills the name in, so only a manifest can lack it, and there it is what was meant.",
    },
    &[
        MODEL.cases(
            "of_a_slice_only_what_cannot_be_used_is_refused",
            &["port_zero", "no_port", "one_bad_port", "bad_protocol"],
        ),
        ENDPOINTS.test("slices_may_give_one_port_name_different_numbers"),
        CLUSTER_REFUSALS.test("what_cannot_be_used_is_named_and_the_rest_is_used"),
    ],
);

const TRIGGERS: Behaviour = behaviour(
    "time-of-programming",
    "An annotation of a slice says when the change was made behind it; how long that took to be in force is counted, \
     unless it is from before the start.",
    SAME,
    &[
        HEALTH.test("a_change_is_timed_from_when_it_was_made_unless_that_was_before_the_agent"),
        HEALTH.test("metrics_have_the_names_of_kube_proxy"),
    ],
);
