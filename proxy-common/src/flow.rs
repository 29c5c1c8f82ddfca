//! One translated connection: its keys in `FLOWS` and its record in `RECORDS`.
//!
//! A flow has a *wire* key for each form in which its packets enter the node (requests; replies too if they are
//! addressed to a masquerade address) and one *canonical* key, `client <-> backend`, for both directions. Keys hold a
//! reference to the record: its index and the sequence it had. A record that is given to another flow has another
//! sequence, so a key left behind refers to nothing.

use bytemuck::{Pod, Zeroable};

use crate::{
    family::Family,
    lifetime::lifetime,
    net::{Peer, Port, Protocol, Tuple},
    phase::{Answer, Phase},
    plain::plain,
};

/// The key of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FlowKey<F: Family> {
    source: F::Address,
    destination: F::Address,
    source_port: Port,
    destination_port: Port,
    protocol: u8,
    form: u8,
    zero: [u8; 2],
}

plain! { FlowKey: 16, 40; }

const WIRE: u8 = 0;
const CANONICAL: u8 = 1;

impl<F: Family> FlowKey<F> {
    /// The key of packets that enter the node in this form.
    #[inline(always)]
    #[must_use]
    pub const fn wire(tuple: &Tuple<F>) -> Self {
        Self::new(tuple, WIRE)
    }

    /// The key of `client <-> backend`, the same for both directions: the smaller end stands first.
    #[inline(always)]
    #[must_use]
    pub fn canonical(tuple: &Tuple<F>) -> Self {
        let (a, b) = (&tuple.source, &tuple.destination);
        let ordered = if a.address == b.address {
            a.port <= b.port
        } else {
            a.address < b.address
        };
        if ordered {
            Self::new(tuple, CANONICAL)
        } else {
            Self::new(&tuple.reversed(), CANONICAL)
        }
    }

    #[inline(always)]
    const fn new(tuple: &Tuple<F>, form: u8) -> Self {
        FlowKey {
            source: tuple.source.address,
            destination: tuple.destination.address,
            source_port: tuple.source.port,
            destination_port: tuple.destination.port,
            protocol: tuple.protocol.number(),
            form,
            zero: [0; 2],
        }
    }
}

/// What a key refers to: a record, as long as its sequence is still this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct FlowRef {
    /// Index of `RECORDS`.
    pub index: u32,
    /// [`Life::sequence`] of the record when the key was made.
    pub sequence: u32,
}

impl FlowRef {
    /// What a key refers to while its owner deletes it: nobody else touches it.
    pub const LEAVING: FlowRef = FlowRef {
        index: u32::MAX,
        sequence: 1,
    };
    /// What a key refers to that its owner could not delete: whoever needs it takes it.
    pub const LEFT_BEHIND: FlowRef = FlowRef {
        index: u32::MAX,
        sequence: 3,
    };
}

/// A record's owner and phase in one word, so that both change by one compare-and-exchange. The sequence is odd while
/// the record belongs to a flow and even while it is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Life(pub u64);

impl Life {
    /// The life of a record's current owner.
    #[inline(always)]
    #[must_use]
    pub const fn new(sequence: u32, phase: Phase) -> Self {
        Life((sequence as u64) << 32 | phase as u64)
    }

    /// How often the record has changed hands.
    #[inline(always)]
    #[must_use]
    pub const fn sequence(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The flow's phase. Meaningless while the record is free.
    #[inline(always)]
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lowest byte of the word is the phase"
    )]
    pub const fn phase(self) -> Phase {
        Phase::from_number(self.0 as u8)
    }

    /// Whether the record belongs to a flow.
    #[inline(always)]
    #[must_use]
    pub const fn is_live(self) -> bool {
        self.sequence() & 1 == 1
    }

    /// The life of the record's next owner.
    #[inline(always)]
    #[must_use]
    pub const fn claimed(self) -> Self {
        let step = if self.is_live() { 2 } else { 1 };
        Self::new(self.sequence().wrapping_add(step), Phase::Claimed)
    }

    /// The life of the record when its owner gives it back.
    #[inline(always)]
    #[must_use]
    pub const fn freed(self) -> Self {
        Self::new(self.sequence().wrapping_add(1), Phase::Claimed)
    }

    /// The same owner in another phase.
    #[inline(always)]
    #[must_use]
    pub const fn in_phase(self, phase: Phase) -> Self {
        Self::new(self.sequence(), phase)
    }
}

/// All that is remembered of a flow. Everything but `life`, `last_seen` and `answer` is fixed when its keys
/// are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FlowRecord<F: Family> {
    /// Who owns the record, and the flow's phase.
    pub life: Life,
    /// When a packet of the flow was last seen: `CLOCK_MONOTONIC`, ns, exact to one second.
    pub last_seen: u64,
    /// The client.
    pub client: F::Address,
    /// The address that the client dialled; for a direct flow the backend's.
    pub dialled: F::Address,
    /// The backend.
    pub backend: F::Address,
    /// The source address that the backend sees if `flags` say [`flag::MASQUERADE`].
    pub masquerade: F::Address,
    /// The port the client sends from.
    pub client_port: Port,
    /// The client's port inside the host: `client_port` unless another flow has the same canonical tuple.
    pub inner_port: Port,
    /// The port that the client dialled.
    pub dialled_port: Port,
    /// The backend's port.
    pub backend_port: Port,
    /// The source port that the backend sees if `flags` say [`flag::MASQUERADE`].
    pub masquerade_port: Port,
    /// The protocol's number.
    pub protocol: u8,
    /// Of [`flag`].
    pub flags: u8,
    /// The service's number; 0 for a direct flow.
    pub service: u32,
    /// The endpoint's number; [`crate::endpoint::NO_ENDPOINT`] for a direct flow.
    pub endpoint: u32,
    /// Sequence number of the SYN that opened the flow, host byte order: tells a retransmission from a new attempt.
    pub opening_sequence: u32,
    /// The answer to the SYN. It may change while the record is the flow's.
    pub answer: Answer,
}

plain! { FlowRecord: 64, 112; }

/// Bits of [`FlowRecord::flags`].
pub mod flag {
    /// The backend sees an address of this node instead of the client's.
    pub const MASQUERADE: u8 = 1;
    /// The client dialled the backend itself; the flow holds its tuples and translates nothing but a port.
    pub const DIRECT: u8 = 2;
}

impl<F: Family> FlowRecord<F> {
    /// The protocol.
    #[inline(always)]
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        match Protocol::from_number(self.protocol) {
            Some(protocol) => protocol,
            None => Protocol::Tcp,
        }
    }

    /// Whether a flow in this phase has had no packet for longer than it is remembered; `now` is `CLOCK_MONOTONIC`, ns. The
    /// phase may have been read apart from the record. What a claimed record says is its former owner's: it never is past.
    #[inline(always)]
    #[must_use]
    pub fn is_past(&self, phase: Phase, now: u64) -> bool {
        phase != Phase::Claimed && now.saturating_sub(self.last_seen) > lifetime(self.protocol(), phase)
    }

    /// The client as it stands on the wire.
    #[inline(always)]
    #[must_use]
    pub const fn client(&self) -> Peer<F> {
        Peer::new(self.client, self.client_port)
    }

    /// The client as it stands inside the host.
    #[inline(always)]
    #[must_use]
    pub const fn inner_client(&self) -> Peer<F> {
        Peer::new(self.client, self.inner_port)
    }

    /// What the client dialled.
    #[inline(always)]
    #[must_use]
    pub const fn dialled(&self) -> Peer<F> {
        Peer::new(self.dialled, self.dialled_port)
    }

    /// Who answers.
    #[inline(always)]
    #[must_use]
    pub const fn backend(&self) -> Peer<F> {
        Peer::new(self.backend, self.backend_port)
    }

    /// Who the backend believes to be talking to, if `flags` say [`flag::MASQUERADE`].
    #[inline(always)]
    #[must_use]
    pub const fn masquerade(&self) -> Peer<F> {
        Peer::new(self.masquerade, self.masquerade_port)
    }

    /// Who the backend believes to be talking to.
    #[inline(always)]
    #[must_use]
    pub const fn seen_by_backend(&self) -> Peer<F> {
        if self.is(flag::MASQUERADE) {
            self.masquerade()
        } else {
            self.inner_client()
        }
    }

    /// Whether the flow is direct and begins behind this node's own stack, so that its requests only leave and its replies
    /// only enter: those of a client that something else has given an address and a port of the node.
    #[inline(always)]
    #[must_use]
    pub const fn begins_here(&self) -> bool {
        self.is(flag::DIRECT) && self.is(flag::MASQUERADE)
    }

    /// Whether a flag is set.
    #[inline(always)]
    #[must_use]
    pub const fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Requests as they enter the node.
    #[inline(always)]
    #[must_use]
    pub const fn request(&self) -> Tuple<F> {
        Tuple {
            source: self.client(),
            destination: self.dialled(),
            protocol: self.protocol(),
        }
    }

    /// Requests as the host sees them.
    #[inline(always)]
    #[must_use]
    pub const fn canonical(&self) -> Tuple<F> {
        Tuple {
            source: self.inner_client(),
            destination: self.backend(),
            protocol: self.protocol(),
        }
    }

    /// Replies as they enter the node.
    #[inline(always)]
    #[must_use]
    pub const fn reply(&self) -> Tuple<F> {
        Tuple {
            source: self.backend(),
            destination: self.seen_by_backend(),
            protocol: self.protocol(),
        }
    }
}
