//! Something that packets are put through: the library over memory, or the loaded programs.

use proxy_common::{node::Hook, reason::Reason};

use super::{fixture::Fixture, frame::MemoryFrame, maps::Maps, node::MemoryNode, packet::Wire, who::TestFamily};
use crate::{
    frame::Frame as _,
    pipeline::{self, Arrival},
    reject,
    verdict::{Action, Verdict},
    work::Work,
};

/// Which way a packet goes: in by an interface, or out by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It comes in.
    In(u32),
    /// It goes out.
    Out(u32),
}

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What was done.
    pub action: Action,
    /// Under which reason it was counted.
    pub reason: Reason,
    /// The packet afterwards: changed, unchanged, or the refusal of it.
    pub wire: Wire,
}

/// Something that packets are put through.
pub trait Machine<F: TestFamily> {
    /// Puts a fixture in place of all that was.
    fn reset(&mut self, fixture: &Fixture<F>);
    /// Puts a packet through.
    fn send(&mut self, way: Way, packet: impl Into<Wire>) -> Sent;
    /// Its maps.
    fn maps(&self) -> &impl Maps;
}

/// The library over a node in memory.
pub struct Host<F: TestFamily> {
    /// The node.
    pub node: MemoryNode<F>,
    work: Work<F>,
}

impl<F: TestFamily> Host<F> {
    /// A node with a fixture in its maps.
    #[must_use]
    pub fn new(fixture: &Fixture<F>) -> Self {
        Host {
            node: MemoryNode::new(fixture),
            work: Work::default(),
        }
    }
}

impl<F: TestFamily> Machine<F> for Host<F> {
    fn reset(&mut self, fixture: &Fixture<F>) {
        *self = Host::new(fixture);
    }

    fn send(&mut self, way: Way, packet: impl Into<Wire>) -> Sent {
        run(&self.node, &mut self.work, way, &packet.into())
    }

    fn maps(&self) -> &impl Maps {
        &self.node.maps
    }
}

/// Puts a packet through the library as the hooks do.
pub fn run<F: TestFamily>(node: &MemoryNode<F>, work: &mut Work<F>, way: Way, wire: &Wire) -> Sent {
    let mut frame = MemoryFrame::new(wire);
    let hook = match way {
        Way::In(_) => Hook::Ingress,
        Way::Out(_) => Hook::Egress,
    };
    let verdict = if wire.ethertype() != F::ETHERTYPE {
        Verdict::pass(Reason::NotIp)
    } else if let Way::In(interface) = way {
        pipeline::ingress(&mut frame, node, &arrival(interface, wire), work)
    } else {
        pipeline::egress(&mut frame, node, work)
    };
    let reason = Reason::from_number(verdict.reason_number()).expect("a verdict has a reason");
    node.count(reason.counter(hook));
    let action = verdict.action();
    let wire = if action == Action::Reject {
        refusal(&frame, work)
    } else {
        frame.into_wire()
    };
    Sent { action, reason, wire }
}

fn arrival(interface: u32, wire: &Wire) -> Arrival {
    let to: [u8; 6] = wire.bytes[..6].try_into().expect("a frame has a receiver");
    let other_host = to != super::packet::PORT_MAC;
    let number = wire
        .bytes
        .get(14..16)
        .map_or(0, |tag| u16::from_be_bytes([tag[0], tag[1]]) & 0x0fff);
    Arrival {
        interface,
        other_host,
        mac: if other_host { to } else { [0; 6] },
        tagged: wire.is_tagged() && number != 0,
    }
}

/// The refusal of a packet, sent back to where it came from.
fn refusal<F: TestFamily>(frame: &MemoryFrame, work: &mut Work<F>) -> Wire {
    assert!(reject::prepare(frame, work), "a refused packet has headers");
    let refusal = &work.refusal;
    let base = frame.bytes().len() - frame.len() as usize;
    let link = &frame.bytes()[..base];
    let headers = &refusal.headers.0[..reject::headers_length::<F>() as usize];
    let quote = &frame.packet()[..refusal.quote as usize];
    let bytes = [&link[6..12], &link[..6], &link[12..], headers, quote].concat();
    Wire { bytes, segments: 0 }
}
