//! The program that explains says what the library decides, and changes nothing.

use proxy_common::{
    block::View,
    explain::{Explanation, Outcome},
    family::{V4, V6},
    flow::FlowKey,
    net::Address as _,
    reason::Reason,
    schema,
};
use proxy_ebpf::{
    node::Tables as _,
    parse::{self, Packet},
    pipeline,
    testing::{
        frame::MemoryFrame,
        machine::{Machine as _, Way},
        maps::Maps as _,
        node::MemoryNode,
        packet::Wire,
        who::TestFamily,
    },
    track,
    verdict::{Action, Verdict},
};
use tests::{
    kernel::place,
    packets::{self, Expected, Row, row},
};

use crate::{machine::explain, pair::Pair};

/// What the library decides on a packet that comes in.
fn decided<F: TestFamily>(node: &MemoryNode<F>, interface: u32, wire: &Wire) -> Explanation {
    if wire.ethertype() != F::ETHERTYPE {
        return plain(Verdict::pass(Reason::NotIp), false);
    }
    let segment = match parse::packet::<F>(&MemoryFrame::new(wire)) {
        Ok(Packet::Segment(segment)) => segment,
        Ok(Packet::Icmp(header)) => return plain(pipeline::query(node, &header.destination), false),
        Err(reason) => return plain(Verdict::pass(reason), false),
    };
    let known = track::find(node, &FlowKey::wire(&segment.tuple)).is_some();
    let config = node.config().expect("the fixture has it");
    match pipeline::decide(node, config, interface, &segment.tuple) {
        Err(verdict) => plain(verdict, known),
        Ok(decision) => {
            let endpoint = decision
                .candidates
                .endpoint::<F>(node, 0)
                .expect("the fixture's blocks hold together");
            Explanation {
                outcome: Outcome::Translate as u8,
                reason: Reason::Translated as u8,
                kind: decision.dialled.kind as u8,
                view: if decision.view == View::Local { 1 } else { 2 },
                masquerade: (decision.masquerade || endpoint.peer.address == segment.tuple.source.address).into(),
                known: known.into(),
                backend_port: endpoint.peer.port,
                service: decision.dialled.service,
                endpoint: endpoint.number,
                generation: decision.generation,
                zero: 0,
                backend: endpoint.peer.address.widen(),
            }
        }
    }
}

fn plain(verdict: Verdict, known: bool) -> Explanation {
    let outcome = match verdict.action() {
        Action::Pass => Outcome::Pass,
        Action::Translate => Outcome::Translate,
        Action::Drop => Outcome::Drop,
        Action::Reject => Outcome::Reject,
    };
    Explanation {
        outcome: outcome as u8,
        reason: verdict.reason_number(),
        known: known.into(),
        ..Explanation::default()
    }
}

/// Everything that a packet may change.
fn state<F: TestFamily>(pair: &Pair<F>) -> Vec<proxy_ebpf::testing::maps::Entries> {
    let maps = [
        F::MAPS.flows,
        F::MAPS.records,
        F::MAPS.fragments,
        schema::STATE,
        schema::HANDS,
        schema::COUNTERS,
    ];
    maps.iter().map(|map| pair.kernel.programs.entries(map)).collect()
}

fn check<F: TestFamily>(rows: &[Row<F>]) {
    let node = place::node().unwrap_or_else(|error| panic!("{error:#}"));
    let done = node.run(|| {
        let mut pair = Pair::<F>::load().unwrap_or_else(|error| panic!("{error:#}"));
        row::check_all(rows, |row| explained(&mut pair, row));
    });
    done.unwrap_or_else(|error| panic!("{error:#}"));
}

/// Asks about each packet of a row before it is sent.
fn explained<F: TestFamily>(pair: &mut Pair<F>, row: &Row<F>) -> Result<(), String> {
    pair.reset(&row.fixture);
    for step in &row.steps {
        if let Way::In(interface) = step.way {
            let before = state(pair);
            let said = explain(&pair.kernel, interface, &step.packet).map_err(|error| error.to_string())?;
            if state(pair) != before {
                return Err("the question left something behind".to_owned());
            }
            // One that the node itself sends meets no hook on a device: of it the twin says what the socket hooks do.
            let own = decided(&pair.host.node, interface, &step.packet);
            let of_the_node = sender::<F>(&step.packet).is_some_and(|at| pair.host.node.own_address(&at).is_some());
            if !of_the_node && said != own {
                return Err(format!("the program says\n{said:?}\nthe library decides\n{own:?}"));
            }
            opens_as_said(&said, &step.expected)?;
        }
        pair.send(step.way, step.packet.clone());
    }
    Ok(())
}

fn sender<F: TestFamily>(wire: &Wire) -> Option<F::Address> {
    match parse::packet::<F>(&MemoryFrame::new(wire)).ok()? {
        Packet::Segment(segment) => Some(segment.tuple.source.address),
        Packet::Icmp(header) => Some(header.source),
    }
}

/// A packet of a flow that is not known yet does what was said.
fn opens_as_said(said: &Explanation, expected: &Expected) -> Result<(), String> {
    let did = match expected {
        Expected::Drops(reason) | Expected::Refuses(reason, _) => *reason as u8,
        Expected::Becomes(_) | Expected::Passes(_) => return Ok(()),
    };
    // A full table, a clash and a redirect are not decided on, but happened on.
    let happens = [Reason::FlowTableFull, Reason::PortsExhausted, Reason::Redirect].map(|reason| reason as u8);
    if said.reason == did || happens.contains(&did) {
        Ok(())
    } else {
        Err(format!("said reason {}, did {did}", said.reason))
    }
}

#[test]
fn the_question_is_answered_as_the_library_decides_for_ipv4() {
    check::<V4>(&packets::v4());
}

#[test]
fn the_question_is_answered_as_the_library_decides_for_ipv6() {
    check::<V6>(&packets::v6());
}
