//! How evenly new connections are spread over a service's endpoints, by the programs and the kernel's own dice.

use proxy_common::{
    family::{V4, V6},
    net::Protocol,
};
use proxy_ebpf::testing::{
    fixture::{Fixture, POD_PORT, service, state},
    packet::tcp,
    who::{
        TestFamily,
        Who::{ClusterIp, FarPod, Pod},
    },
};
use rstest::rstest;
use tests::kernel::{
    bpf::{self, Context},
    place,
    programs::Programs,
};

/// So many standard deviations of a normal distribution are exceeded once in a billion times.
const DEVIATIONS: f64 = 6.0;

/// What chi-square exceeds that rarely if every endpoint is as likely as the others (Wilson and Hilferty, 1931).
fn limit(endpoints: u16) -> f64 {
    let free = f64::from(endpoints) - 1.0;
    let variance = 2.0 / (9.0 * free);
    free * (1.0 - variance + DEVIATIONS * variance.sqrt()).powi(3)
}

/// Opens connections from many clients and says how many each endpoint got.
fn opened<F: TestFamily>(endpoints: u16, connections: u16) -> Vec<u64> {
    let of_endpoints = (0..endpoints).fold(service(Protocol::Tcp).cluster_ip(1, 80), |service, n| {
        service.far(FarPod(1), 10_000 + n)
    });
    let programs = Programs::load_sized(&["ingress"], |spec| spec.capacity.min(4096));
    let programs = programs.unwrap_or_else(|error| panic!("{error:#}"));
    Fixture::<F>::default().with(of_endpoints).fill(&programs);
    for connection in 0..connections {
        let packet = tcp::<F>((Pod(2), 10_000 + connection), (ClusterIp(1), 80)).syn();
        let context = Context::new(POD_PORT, 0);
        bpf::run_by_test(programs.program("ingress"), &packet.wire().bytes, &context, 1, 0).expect("the program runs");
    }
    (1..=u32::from(endpoints))
        .map(|number| state(&programs, number).opened)
        .collect()
}

fn is_even<F: TestFamily>(endpoints: u16) {
    let connections = 3000.max(endpoints * 20);
    let node = place::node().unwrap_or_else(|error| panic!("{error:#}"));
    let opened = node.run(|| opened::<F>(endpoints, connections));
    let opened = opened.unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(opened.iter().sum::<u64>(), u64::from(connections), "{}", F::NAME);
    let each = f64::from(connections) / f64::from(endpoints);
    let square = |count: &u64| (*count as f64 - each).powi(2) / each;
    let chi: f64 = opened.iter().map(square).sum();
    println!(
        "{}, {endpoints} endpoints: chi-square {chi:.1} of at most {:.1}",
        F::NAME,
        limit(endpoints)
    );
    assert!(chi < limit(endpoints), "{}: {chi}: {opened:?}", F::NAME);
}

#[rstest]
fn every_endpoint_is_as_likely_as_the_others(#[values(3, 10, 1000)] endpoints: u16) {
    is_even::<V4>(endpoints);
    is_even::<V6>(endpoints);
}

#[test]
fn the_limit_is_that_of_the_tables() {
    // Of 2, 9 and 999 degrees of freedom, for one in a billion.
    for (endpoints, known) in [(3, 41.4), (10, 63.0), (1000, 1291.0)] {
        assert!(
            (limit(endpoints) / known - 1.0).abs() < 0.2,
            "{endpoints}: {}",
            limit(endpoints)
        );
    }
}
