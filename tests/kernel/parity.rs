//! The programs and the library, on more packets than anybody would write down: they must agree on every one, whatever
//! it is.

use anyhow::Result;
use nix::libc;
use proxy_common::{
    family::{V4, V6},
    net::Protocol,
    reason::Reason,
};
use proxy_ebpf::{
    testing::{
        fixture::{Fixture, POD_PORT, UPLINK, service},
        machine::{Machine as _, Way},
        packet::{Complaint, Wire, data, icmp_error, opening},
        who::{TestFamily, Who::*},
    },
    verdict::Action,
};
use tests::{
    kernel::place,
    packets::{self, Row, row},
};

use crate::pair::Pair;

/// Runs a test in a namespace of its own, with both machines.
fn with_pair<F: TestFamily>(test: impl FnOnce(&mut Pair<F>) + Send) {
    let node = place::node().unwrap_or_else(|error| panic!("{error:#}"));
    let done = node.run(|| test(&mut Pair::load().unwrap_or_else(|error| panic!("{error:#}"))));
    done.unwrap_or_else(|error| panic!("{error:#}"));
}

fn agree_on_rows<F: TestFamily>(rows: &[Row<F>]) {
    with_pair(|pair: &mut Pair<F>| row::check_all(rows, |row| row.run(pair)));
}

#[test]
fn they_agree_on_every_row_of_ipv4() {
    agree_on_rows::<V4>(&packets::v4());
}

#[test]
fn they_agree_on_every_row_of_ipv6() {
    agree_on_rows::<V6>(&packets::v6());
}

/// A node with services of every protocol, of several endpoints, and flows of theirs; with one packet of each kind.
fn busy_node<F: TestFamily>(pair: &mut Pair<F>) -> Vec<(Way, Wire)> {
    let mut fixture = Fixture::<F>::default();
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        let service = service(protocol).everywhere(1, 80, 30080);
        fixture = fixture.with(service.near(Pod(3), 8080).far(FarPod(1), 8080).far(FarPod(2), 8080));
    }
    pair.reset(&fixture);
    let mut packets = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        for (interface, client, dialled) in [
            (POD_PORT, (Pod(2), 4000), (ClusterIp(1), 80)),
            (UPLINK, (Outsider(9), 4000), (Node, 30080)),
        ] {
            let request = opening::<F>(protocol, client, dialled);
            let inside = pair.send(Way::In(interface), &request).wire;
            let outside = pair.send(Way::Out(UPLINK), inside.clone()).wire;
            let error = |quoted: &Wire, to| icmp_error::<F>(Router, to, Complaint::TooBig(1300), quoted.packet());
            packets.push((Way::In(interface), request.wire()));
            packets.push((Way::In(interface), data::<F>(protocol, client, dialled).wire()));
            packets.push((Way::Out(UPLINK), inside.clone()));
            packets.push((Way::Out(interface), error(&inside, client.0).wire()));
            packets.push((Way::In(UPLINK), error(&outside, Node).wire()));
            let long = opening::<F>(protocol, client, dialled).payload(&[7; 60]);
            packets.extend(
                long.fragments(48)
                    .iter()
                    .map(|piece| (Way::In(interface), piece.wire())),
            );
        }
    }
    packets
}

/// Puts a packet through both, unless the kernel has no test-run for such a one; whether it has.
fn agree<F: TestFamily>(pair: &mut Pair<F>, way: Way, wire: &Wire) -> bool {
    let length = wire.bytes.len();
    let result: Result<_> = pair.try_send(way, wire);
    match result {
        Ok(sent) => {
            // Of what is not translated nothing is changed.
            if matches!(sent.action, Action::Pass | Action::Drop) && sent.reason != Reason::RewriteFailed {
                assert_eq!(sent.wire.bytes, wire.bytes, "{}", sent.reason.name());
            }
            true
        }
        Err(error) if length < 14 + F::HEADER_LEN as usize && is_invalid(&error) => false,
        Err(error) => panic!("{}: {error:#}", F::NAME),
    }
}

/// Newer kernels run no program on a packet that is shorter than its network header.
fn is_invalid(error: &anyhow::Error) -> bool {
    let io = error.root_cause().downcast_ref::<std::io::Error>();
    io.and_then(std::io::Error::raw_os_error) == Some(libc::EINVAL)
}

#[test]
fn they_agree_on_packets_cut_at_every_length() {
    fn of<F: TestFamily>() {
        with_pair(|pair: &mut Pair<F>| {
            for (way, wire) in busy_node(pair) {
                let shortest = (0..wire.packet().len()).find(|length| agree(pair, way, &wire.clone().cut(*length)));
                let shortest = shortest.expect("some length is run");
                assert!(shortest <= F::HEADER_LEN as usize);
                for length in shortest..=wire.packet().len() {
                    agree(pair, way, &wire.clone().cut(length));
                }
            }
        });
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn they_agree_on_packets_with_any_byte_changed() {
    fn of<F: TestFamily>() {
        with_pair(|pair: &mut Pair<F>| {
            let count = busy_node(pair).len();
            for index in 0..count {
                // Afresh, lest what the others did stand in the way.
                let (way, wire) = busy_node(pair).swap_remove(index);
                for at in 0..wire.packet().len() {
                    let byte = wire.packet()[at];
                    for changed in [0, 0xff, byte ^ 1, byte ^ 0x80] {
                        agree(pair, way, &wire.clone().with(at, changed));
                    }
                }
            }
        });
    }
    of::<V4>();
    of::<V6>();
}

/// Bytes that look like nothing, the same each time (Knuth's linear congruence).
struct Noise(u64);

impl Noise {
    fn byte(&mut self) -> u8 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0.to_be_bytes()[0]
    }

    fn below(&mut self, end: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % end
    }
}

#[test]
fn they_agree_on_noise() {
    fn of<F: TestFamily>() {
        with_pair(|pair: &mut Pair<F>| {
            let known = busy_node(pair);
            let mut noise = Noise(1);
            for turn in 0..3000 {
                let (way, mut wire) = known[turn % known.len()].clone();
                // A known packet with a piece of noise somewhere in it, or noise behind some of its begin.
                let (begin, length) = (noise.below(wire.packet().len()), noise.below(24));
                let base = wire.network();
                for byte in wire.bytes[base..].iter_mut().skip(begin).take(length) {
                    *byte = noise.byte();
                }
                agree(pair, way, &wire);
            }
        });
    }
    of::<V4>();
    of::<V6>();
}
