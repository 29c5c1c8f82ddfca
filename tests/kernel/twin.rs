//! The program that explains says what the library decides, and changes nothing.

use proxy_common::{
    explain::Explanation,
    family::{V4, V6},
    reason::Reason,
    schema,
};
use proxy_ebpf::{
    explain,
    testing::{
        frame::MemoryFrame,
        machine::{Machine as _, Way},
        maps::Maps as _,
        node::MemoryNode,
        packet::Wire,
        who::TestFamily,
    },
    verdict::Verdict,
    work::Work,
};
use tests::{
    kernel::place,
    packets::{self, Expected, Row, row},
};

use crate::{machine, pair::Pair};

/// What the library says of a packet that comes in.
fn decided<F: TestFamily>(node: &MemoryNode<F>, interface: u32, wire: &Wire) -> Explanation {
    if wire.ethertype() == F::ETHERTYPE {
        explain::explain(&MemoryFrame::new(wire), node, interface, &mut Work::default())
    } else {
        explain::of_verdict(Verdict::pass(Reason::NotIp))
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
            let said = machine::explain(&pair.kernel, interface, &step.packet).map_err(|error| error.to_string())?;
            if state(pair) != before {
                return Err("the question left something behind".to_owned());
            }
            let own = decided(&pair.host.node, interface, &step.packet);
            if said != own {
                return Err(format!("the program says\n{said:?}\nthe library decides\n{own:?}"));
            }
            opens_as_said(&said, &step.expected)?;
        }
        pair.send(step.way, step.packet.clone());
    }
    Ok(())
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
