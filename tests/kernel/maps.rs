//! Services in the kernel's maps: what a restart writes, what a full map does, how long a change takes.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use proxy_agent::{
    agent::{DataPath as _, Subject},
    apply::{
        Applier, KernelPath, adopt,
        grace::Grace,
        kernel::{Access, KernelArray, KernelHash},
        map::Table as _,
        maps::ServiceMaps,
    },
    cli::CapacityArgs,
    datapath::barrier::Barrier,
    desired::{
        Changes, DesiredEndpoint, DesiredFrontend, DesiredNode, DesiredService, FamilyKind, FrontendKind, NodePorts,
        PodDetector, Protocol, ProxyMode, ServicePortId, Views,
    },
    host,
};
use proxy_common::{
    family::V4,
    flow::{FlowKey, FlowRecord, FlowRef, Life, flag},
    net::{Ip4, Port},
    phase::Phase,
    schema,
};

use crate::fixture::{Node, apply, until};

fn ip(family: FamilyKind, net: u8, number: u32) -> IpAddr {
    let [_, a, b, c] = number.to_be_bytes();
    let text = match family {
        FamilyKind::V4 => format!("10.{}.{b}.{c}", net.wrapping_add(a)),
        FamilyKind::V6 => format!("fd00:{net}::{number:x}"),
    };
    text.parse().expect("an address")
}

fn service(family: FamilyKind, number: u32, endpoints: u32) -> (ServicePortId, Option<DesiredService>) {
    let id = ServicePortId {
        namespace: "shop".into(),
        name: format!("web-{number}").into(),
        port: "http".into(),
        protocol: Protocol::Tcp,
        family,
    };
    let endpoint = |which| DesiredEndpoint {
        address: ip(family, 1, number * 4 + which),
        port: 8080,
        views: Views::Both,
    };
    let desired = DesiredService {
        frontends: vec![DesiredFrontend {
            address: ip(family, 96, number),
            port: 80,
            kind: FrontendKind::ClusterIp,
        }],
        flags: 0,
        source_ranges: Vec::new(),
        affinity_seconds: 0,
        endpoints: (0..endpoints).map(endpoint).collect(),
    };
    (id, Some(desired))
}

fn services(count: u32) -> Changes {
    let both = (1..=count).flat_map(|number| [FamilyKind::V4, FamilyKind::V6].map(|family| service(family, number, 3)));
    let node = DesiredNode {
        mode: ProxyMode::Nftables,
        node_ports_v4: NodePorts::default(),
        node_ports_v6: NodePorts::default(),
        detector: PodDetector::Network { v4: None, v6: None },
        masquerade_all: false,
        service_networks: Vec::new(),
    };
    Changes {
        services: both.collect(),
        node: Some(node),
        complete: true,
        ..Changes::default()
    }
}

fn applier(node: &Node) -> Applier {
    let mut barrier = Barrier::new().expect("maps");
    let maps = ServiceMaps::open(&node.pins().maps(), Access::Write).expect("pinned maps");
    let grace = Grace::start(move || barrier.wait(), || {}).expect("a thread");
    Applier::adopt(maps, grace).expect("sound maps")
}

#[test]
fn a_restart_without_a_change_writes_nothing() {
    let node = Node::new();
    let changes = services(500);
    let mut path = node.open();
    apply(&mut path, &changes);
    drop(path);
    let mut applier = applier(&node);
    let report = applier.apply(&changes);
    assert_eq!(
        (
            report.published,
            report.removed,
            report.failures.len(),
            applier.usage().writes
        ),
        (0, 0, 0, 0)
    );
}

#[test]
fn what_the_maps_hold_contradicts_nothing_after_many_changes() {
    let node = Node::new();
    let mut path = node.open();
    for round in 0..20 {
        let count = 50 + round % 7 * 10;
        let mut changes = services(count);
        changes
            .services
            .extend((count + 1..120).map(|number| (service(FamilyKind::V4, number, 0).0, None)));
        apply(&mut path, &changes);
        assert_eq!(path.idle(), []);
    }
    let maps = ServiceMaps::open(&node.pins().maps(), Access::Read).expect("pinned maps");
    assert_eq!(adopt::read(&maps).expect("readable").findings, []);
}

#[test]
fn a_full_map_fails_only_what_does_not_fit() {
    let mut node = Node::new();
    node.settings.capacities = CapacityArgs {
        max_frontends: Some(16),
        max_flows: Some(64),
        ..CapacityArgs::default()
    };
    let mut path = node.open();
    let failures = path.apply(&services(20));
    assert_eq!(failures.len(), 8, "four of each family: {failures:?}");
    assert!(
        failures
            .iter()
            .all(|failure| matches!(failure.of, Subject::Service(_)) && failure.reason.contains("is full"))
    );
    let gone = (1..=16).map(|number| (service(FamilyKind::V4, number, 0).0, None));
    apply(
        &mut path,
        &Changes {
            services: gone.collect(),
            complete: true,
            ..Changes::default()
        },
    );
    let again = services(20).services.into_iter().filter(|(id, _)| {
        failures
            .iter()
            .any(|failure| failure.of == Subject::Service(id.clone()) && id.family == FamilyKind::V4)
    });
    apply(
        &mut path,
        &Changes {
            services: again.collect(),
            complete: true,
            ..Changes::default()
        },
    );
}

#[test]
fn one_change_among_ten_thousand_services_takes_less_than_two_milliseconds() {
    let node = Node::new();
    let mut path = node.open();
    apply(&mut path, &services(5_000));
    // A machine that is busy with something else delays everything: one of these rounds has to be undisturbed.
    let mut best = Duration::MAX;
    for round in 0..5 {
        let mut times: Vec<_> = (0..200)
            .map(|number| time_of_one(&mut path, number + 1, 1 + (number + round) % 3))
            .collect();
        times.sort_unstable();
        println!("one change: median {:?}, 99th percentile {:?}", times[100], times[198]);
        best = best.min(times[198]);
    }
    assert!(best < Duration::from_millis(2), "{best:?}");
}

fn time_of_one(path: &mut KernelPath, number: u32, endpoints: u32) -> Duration {
    let change = service(FamilyKind::V4, number, endpoints);
    let begin = Instant::now();
    apply(
        path,
        &Changes {
            services: [change].into(),
            complete: true,
            ..Changes::default()
        },
    );
    begin.elapsed()
}

#[test]
fn a_grace_period_lets_memory_be_used_again() {
    let node = Node::new();
    drop(node.open());
    let mut applier = applier(&node);
    let before = applier.usage().cells;
    for round in 0..50 {
        let change = service(FamilyKind::V4, 1, 1 + round % 3);
        applier.apply(&Changes {
            services: [change].into(),
            complete: true,
            ..Changes::default()
        });
    }
    assert!(applier.usage().cells > before + 10, "nothing is used again at once");
    until("the old blocks are free", || {
        applier.settle();
        applier.usage().waiting == 0
    });
    assert_eq!(applier.usage().cells, before + 1 + 2);
}

#[test]
fn flows_go_with_the_address_that_masquerades_them() {
    let node = Node::new();
    drop(node.open());
    let maps = node.pins().maps();
    let mut records = KernelArray::<FlowRecord<V4>>::open(&maps, &schema::RECORDS_V4).expect("the map");
    let mut flows = KernelHash::<FlowKey<V4>, FlowRef>::open(&maps, &schema::FLOWS_V4).expect("the map");
    let record = |index: u8| FlowRecord::<V4> {
        life: Life::new(1, Phase::Established),
        client: Ip4([203, 0, 113, index]),
        dialled: Ip4([198, 51, 100, 80]),
        backend: Ip4([10, 1, 0, 1]),
        masquerade: Ip4([192, 0, 2, index]),
        masquerade_port: Port::new(10_000 + u16::from(index)),
        protocol: 6,
        flags: flag::MASQUERADE,
        ..FlowRecord::default()
    };
    for index in [1, 2] {
        let flow = record(index);
        records.put(&index.into(), &flow).expect("room");
        for key in [FlowKey::wire(&flow.request()), FlowKey::wire(&flow.reply())] {
            flows
                .put(
                    &key,
                    &FlowRef {
                        index: index.into(),
                        sequence: 1,
                    },
                )
                .expect("room");
        }
    }
    let gone = ["192.0.2.1".parse().expect("an address")].into();
    assert_eq!(host::flows::forget(&maps, &gone).expect("the maps can be written"), 1);
    let left: Vec<_> = flows
        .entries()
        .expect("the map")
        .into_iter()
        .map(|(_, flow)| flow.index)
        .collect();
    assert_eq!(left, [2, 2]);
}
