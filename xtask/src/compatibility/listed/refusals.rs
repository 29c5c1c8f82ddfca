//! What a sender hears of a service that has nobody for it.

use super::{
    CLUSTER_IP_NET, EXTERNAL_NET, FRONTENDS, Fairlead, Group, NODE_PORT_NET, REFUSAL_ROWS, SAME, SERVICE_ROWS,
    behaviour,
};

pub(super) const GROUP: Group = Group {
    title: "Refused, dropped, passed on",
    behaviours: &[
        behaviour(
            "no-endpoint-at-a-cluster-address",
            "A cluster address without any endpoint of use refuses by an unreachable port, whatever the protocol, pods \
             and the node itself alike.",
            SAME,
            &[
                REFUSAL_ROWS.row("a service without endpoints refuses at {to:?}, {protocol:?}"),
                REFUSAL_ROWS.row("policy Local refuses where no node has an endpoint"),
                CLUSTER_IP_NET.test("a_service_without_endpoints_refuses"),
            ],
        ),
        behaviour(
            "no-endpoint-at-other-addresses",
            "External addresses, load-balancer addresses and node ports without any endpoint of use refuse in the same \
             way.",
            SAME,
            &[
                REFUSAL_ROWS.row("a service without endpoints refuses at {to:?}, {protocol:?}"),
                NODE_PORT_NET.test("a_node_port_without_endpoints_refuses"),
            ],
        ),
        behaviour(
            "no-endpoint-for-the-node-in-mode-iptables",
            "In mode iptables the node itself is not refused at a load-balancer address without endpoints: its packets \
             go on to the load balancer.",
            Fairlead::Differs {
                what: "It is refused, as in mode nftables.",
                why: "the load balancer knows of no endpoint either, and the answer is known at once.",
            },
            &[EXTERNAL_NET.test("without_endpoints_the_node_itself_is_refused_too")],
        ),
        behaviour(
            "before-endpoints-are-known",
            "A Service whose endpoints are not known yet is a Service without endpoints.",
            SAME,
            &[REFUSAL_ROWS.row("a service whose endpoints are not written yet refuses")],
        ),
        behaviour(
            "local-policy-without-local-endpoint",
            "Where a policy is Local and only other nodes have endpoints, packets are dropped, which lets a load \
             balancer try another node.",
            SAME,
            &[
                REFUSAL_ROWS.row("internal policy Local drops where only other nodes have endpoints"),
                REFUSAL_ROWS.row("external policy Local drops where only other nodes have endpoints"),
                NODE_PORT_NET.test("the_local_policy_drops_where_no_endpoint_is"),
                CLUSTER_IP_NET.test("internal_traffic_policy_local_reaches_nobody_where_all_endpoints_are_elsewhere"),
            ],
        ),
        behaviour(
            "local-policy-without-local-endpoint-for-sockets",
            "What the node itself sends is dropped there as well.",
            Fairlead::Differs {
                what: "A socket that is translated when it connects is told that the host is unreachable.",
                why: "the answer is known at once, and a program that waits for a time-out learns no more.",
            },
            &[CLUSTER_IP_NET.test("internal_traffic_policy_local_reaches_nobody_where_all_endpoints_are_elsewhere")],
        ),
        behaviour(
            "node-port-at-another-address",
            "The number of a node port at an address of the node that takes no node ports is passed on.",
            SAME,
            &[SERVICE_ROWS.row("a node port is not answered at another address")],
        ),
        behaviour(
            "address-of-a-load-balancer-that-proxies",
            "What is sent to the address of a load balancer with `ipMode: Proxy` is passed on.",
            SAME,
            &[FRONTENDS.cases("a_load_balancer_that_proxies_is_left_alone", &["proxy"])],
        ),
        behaviour(
            "node-port-at-loopback-that-is-off",
            "A node port at a loopback address that takes none is passed on, and the node refuses it.",
            SAME,
            &[NODE_PORT_NET.cases(
                "loopback_takes_node_ports_where_it_is_configured",
                &["nftables", "iptables_without_localhost"],
            )],
        ),
        behaviour(
            "verdicts-on-new-connections-only",
            "Only what begins is refused or dropped; what has begun goes on when the service has lost its endpoints.",
            SAME,
            &[
                CLUSTER_IP_NET.test("connections_outlive_the_endpoint_in_the_manifest_and_new_ones_go_elsewhere"),
                CLUSTER_IP_NET.test("a_deleted_service_is_gone_and_a_new_one_is_there"),
            ],
        ),
        behaviour(
            "senders-that-cannot-be",
            "What a device brings is translated whatever address it says it comes from.",
            Fairlead::Differs {
                what: "A packet from a device whose source is an address of this node, a service's, the receiver's \
                       own, or one that no packet has, is passed on untouched and counted as `BadSource`.",
                why: "its answer would never find its way, and it would hold a place among the flows.",
            },
            &[
                REFUSAL_ROWS.row("a packet from {source:?} to a service is left alone"),
                REFUSAL_ROWS.row("a packet from a service to a service is left alone"),
            ],
        ),
    ],
};
