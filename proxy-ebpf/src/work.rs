//! What is known of a packet so far, handed from stage to stage.
//!
//! A kernel program has 512 bytes of stack for all functions that call each other, and an IPv6 flow is more than that.
//! So the stages are called one after the other, not by each other, and what one leaves for the next lies here, in
//! memory of the processor that handles the packet.

use proxy_common::{
    family::Family,
    flow::{FlowKey, FlowRef, Life},
    net::{Peer, Port},
    reason::Reason,
};

use crate::{
    frame::{Bytes, Scratch},
    parse::{NetworkHeader, Segment, icmp::IcmpError},
    reject::Refusal,
    rewrite::Plan,
    select::{Candidates, Endpoint},
    verdict::Verdict,
};

/// What is known of a packet so far. A field means something only after the stage that fills it.
#[derive(Clone, Copy, Debug)]
pub struct Work<F: Family> {
    /// What becomes of it.
    pub verdict: Verdict,
    /// The interface that it came in by.
    pub interface: u32,
    /// Whether a bridge passes the frame on between its ports: then only a direct flow is looked for.
    pub bridged: bool,
    /// The network header.
    pub header: NetworkHeader<F>,
    /// The segment, if it is one.
    pub segment: Segment<F>,
    /// What the message says, if it is an ICMP error.
    pub error: IcmpError<F>,
    /// What the packet becomes.
    pub plan: Plan<F>,
    /// What a new flow has got so far.
    pub binding: Binding<F>,
    /// The endpoints that a new flow may be sent to.
    pub candidates: Candidates,
    /// Whether the backend must see an address of the node.
    pub masquerade: bool,
    /// The key that is looked up or inserted.
    pub key: FlowKey<F>,
    /// The packet's flow.
    pub flow: FlowRef,
    /// Where bytes are put that are summed up.
    pub scratch: Scratch,
    /// The answer, if the packet is refused.
    pub refusal: Refusal,
    /// Where a search stands.
    pub search: Search,
}

/// Where a search for a record or a port stands. Here and not in variables: of a variable the verifier remembers what
/// each turn of a loop has found out about it, and follows each combination.
#[derive(Clone, Copy, Debug, Default)]
pub struct Search {
    /// The first port of the range, host byte order.
    pub first: u32,
    /// How many ports the range has.
    pub count: u32,
    /// Which of them is next.
    pub place: u32,
    /// How far the one after it is.
    pub step: u32,
    /// The best of the ports that are taken, host byte order; 0: none can be had.
    pub port: u32,
    /// For how long its holder has been without packets, ns.
    pub idle: u64,
    /// How readily the best record so far is given up.
    pub loss: u8,
    /// That record.
    pub best: FlowRef,
    /// Its owner and phase when it was looked at: it is given up only if both are the same still.
    pub best_life: Life,
}

impl<F: Family> Default for Work<F> {
    fn default() -> Self {
        Work {
            verdict: Verdict::pass(Reason::NoFlow),
            interface: 0,
            bridged: false,
            header: NetworkHeader::default(),
            segment: Segment::default(),
            error: IcmpError::default(),
            plan: Plan::default(),
            binding: Binding::default(),
            candidates: Candidates::default(),
            masquerade: false,
            key: FlowKey::default(),
            flow: FlowRef::default(),
            scratch: Bytes([0; _]),
            refusal: Refusal::default(),
            search: Search::default(),
        }
    }
}

/// What a new flow has got so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Binding<F: Family> {
    /// The service's number; 0 for a direct flow.
    pub service: u32,
    /// The backend.
    pub endpoint: Endpoint<F>,
    /// The client's port in the canonical tuple.
    pub inner_port: Port,
    /// Of [`proxy_common::flow::flag`].
    pub flags: u8,
    /// What the backend sees, if the flags say so.
    pub masquerade: Peer<F>,
}
