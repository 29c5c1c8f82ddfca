//! What a rewrite does another undoes, to the byte.

use proptest::prelude::*;
use proxy_common::{
    family::{V4, V6},
    net::{Peer, Port, Protocol},
};

use crate::{
    parse::{self, Packet, Segment},
    rewrite::{Plan, apply::apply},
    testing::{
        check::faults,
        frame::MemoryFrame,
        packet::{Wire, data},
        who::{TestFamily, Who},
    },
};

fn who() -> impl Strategy<Value = Who> {
    let numbered = prop::sample::select(vec![
        Who::Pod as fn(u8) -> Who,
        Who::FarPod,
        Who::ClusterIp,
        Who::Outsider,
    ]);
    (numbered, any::<u8>()).prop_map(|(who, n)| who(n))
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp])
}

fn rewritten<F: TestFamily>(wire: &Wire, plan: &Plan<F>) -> (Segment<F>, Wire) {
    let mut frame = MemoryFrame::new(wire);
    let Ok(Packet::Segment(segment)) = parse::packet::<F>(&frame) else {
        panic!("a segment")
    };
    apply(&mut frame, &segment, plan).expect("nothing refuses");
    (segment, frame.into_wire())
}

fn there_and_back<F: TestFamily>(protocol: Protocol, ends: [(Who, u16); 4], payload: &[u8]) {
    let peer = |(who, port)| Peer::<F>::new(F::address(who), Port::new(port));
    let wire = data::<F>(protocol, ends[0], ends[1]).payload(payload).wire();
    let plan = Plan {
        source: peer(ends[2]),
        destination: peer(ends[3]),
    };
    let (segment, there) = rewritten(&wire, &plan);
    assert_eq!(faults::<F>(there.packet()), [""; 0]);
    let back = Plan {
        source: segment.tuple.source,
        destination: segment.tuple.destination,
    };
    let (segment, again) = rewritten(&there, &back);
    assert!(plan.is_done(&segment.tuple));
    assert_eq!(again, wire);
}

proptest! {
    #[test]
    fn a_packet_that_is_rewritten_and_rewritten_back_is_what_it_was(
        protocol in protocol(),
        ends in [(who(), 1_u16..), (who(), 1_u16..), (who(), 1_u16..), (who(), 1_u16..)],
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        there_and_back::<V4>(protocol, ends, &payload);
        there_and_back::<V6>(protocol, ends, &payload);
    }
}
