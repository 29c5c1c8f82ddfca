//! How far a flow has come, and what a packet does to that.

use bytemuck::{Pod, Zeroable};

use crate::net::Protocol;

/// Which way a packet of a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the backend.
    Request,
    /// From the backend to the client.
    Reply,
}

/// How far a flow has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Phase {
    /// The record has an owner, but not all keys yet: nobody else may give it up.
    #[default]
    Claimed = 0,
    /// No answer yet: a SYN, or datagrams one way.
    Opening = 1,
    /// The backend has answered.
    Answered = 2,
    /// Both sides have been heard after the answer.
    Established = 3,
    /// TCP: the client has sent its FIN.
    ClientDone = 4,
    /// TCP: the backend has sent its FIN.
    BackendDone = 5,
    /// TCP: both FINs are seen. Held for twice the segment lifetime, so that no late packet meets a new flow.
    Closed = 6,
    /// TCP: a RST was seen before both sides had been heard: the connection was refused or given up.
    Reset = 7,
    /// TCP: a RST of the client was seen in a conversation. Nothing tells a forged one from the connection's own but what
    /// comes next: if the client goes on, it is [`Phase::Established`] again; if there is a handshake, it is a new
    /// connection with the same backend. What the backend had under way when it got the RST says nothing.
    ClientReset = 8,
    /// TCP: the same with a RST of the backend.
    BackendReset = 9,
}

impl Phase {
    /// How many there are.
    pub const COUNT: u8 = 10;

    /// How many places a table of phases has: whatever [`Phase::COUNT`] needs, rounded up to a power of two.
    pub const PLACES: usize = 16;

    /// The phase that a number names; anything unknown counts as claimed, which nobody touches.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Phase::Opening,
            2 => Phase::Answered,
            3 => Phase::Established,
            4 => Phase::ClientDone,
            5 => Phase::BackendDone,
            6 => Phase::Closed,
            7 => Phase::Reset,
            8 => Phase::ClientReset,
            9 => Phase::BackendReset,
            _ => Phase::Claimed,
        }
    }

    /// Whether no answer has been seen.
    #[inline(always)]
    #[must_use]
    pub const fn is_unanswered(self) -> bool {
        matches!(self, Phase::Claimed | Phase::Opening)
    }

    /// Whether a conversation may have ended by a RST, or that was forged.
    #[inline(always)]
    #[must_use]
    pub const fn is_doubted(self) -> bool {
        matches!(self, Phase::ClientReset | Phase::BackendReset)
    }

    /// Whether the connection has ended by its own account: a new SYN on the same tuple begins another.
    #[inline(always)]
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Phase::Closed | Phase::Reset)
    }
}

/// TCP's control bits as far as tracking reads them (RFC 9293 section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;

    /// Whether the packet opens a connection: SYN and none of ACK, RST, FIN.
    #[inline(always)]
    #[must_use]
    pub const fn opens(self) -> bool {
        self.0 & (Self::SYN | Self::ACK | Self::RST | Self::FIN) == Self::SYN
    }

    /// Whether the packet is the answer to one that opens a connection.
    #[inline(always)]
    #[must_use]
    pub const fn answers(self) -> bool {
        self.0 & (Self::SYN | Self::ACK | Self::RST | Self::FIN) == Self::SYN | Self::ACK
    }

    #[inline(always)]
    const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

/// The answer to a SYN, as a record remembers it: nothing, or its sequence number. Only who has seen it can acknowledge
/// it: a client that does not get what is sent to its address, because it is not its own, cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Answer(pub u64);

impl Answer {
    /// The answer with this sequence number.
    #[inline(always)]
    #[must_use]
    pub const fn new(sequence: u32) -> Self {
        Answer(1 << 32 | sequence as u64)
    }

    /// Whether a packet acknowledges it, and no more than 2^16 bytes behind it: what may be sent before the first
    /// acknowledgement is what a window without a scale says (RFC 9293 section 3.1). If the answer was not seen, because
    /// it took another way, any packet does, unless a RST was seen (`phase`): who forges SYN and RST would make a
    /// conversation. Without branches, of which the verifier would follow each.
    #[inline(always)]
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half of the word is the sequence number"
    )]
    pub const fn is_acknowledged_by(self, flags: TcpFlags, acknowledgement: u32, phase: Phase) -> bool {
        let behind = acknowledgement.wrapping_sub(self.0 as u32).wrapping_sub(1);
        // 0 where the upper half is zero, 1 elsewhere.
        let outside = ((behind >> 16) + 0xffff) >> 16;
        let seen = (self.0 >> 32) as u32 & 1;
        let acknowledges = (flags.0 / TcpFlags::ACK) as u32 & 1;
        let reset = (phase as u32 ^ Phase::Reset as u32).wrapping_sub(1) >> 31;
        ((seen | reset) ^ 1) | (acknowledges & seen & (outside ^ 1)) != 0
    }
}

/// What moves a flow's phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The flow's protocol.
    pub protocol: Protocol,
    /// Which way the packet goes.
    pub direction: Direction,
    /// TCP's control bits; empty for anything else.
    pub flags: TcpFlags,
    /// TCP: whether the packet acknowledges the SYN's answer.
    pub acknowledges: bool,
}

impl Event {
    /// The number of the event: the lowest three of the control bits, then direction, acknowledgement, protocol.
    #[inline(always)]
    const fn place(self) -> usize {
        let flags = (self.flags.0 & (TcpFlags::FIN | TcpFlags::SYN | TcpFlags::RST)) as usize;
        // Of the three protocols' numbers only TCP's has the bit of 2.
        let tcp = self.protocol.number() as usize >> 1 & 1;
        flags | (self.direction as usize) << 3 | (self.acknowledges as usize) << 4 | tcp << 5
    }

    #[expect(clippy::cast_possible_truncation, reason = "three bits")]
    const fn from_place(place: usize) -> Self {
        Event {
            protocol: if place >> 5 & 1 == 1 {
                Protocol::Tcp
            } else {
                Protocol::Udp
            },
            direction: if place >> 3 & 1 == 0 {
                Direction::Request
            } else {
                Direction::Reply
            },
            flags: TcpFlags((place & 7) as u8),
            acknowledges: place >> 4 & 1 == 1,
        }
    }
}

const EVENTS: usize = 64;

#[inline(always)]
const fn place(event: Event, phase: Phase) -> usize {
    (event.place() * Phase::PLACES) | phase as usize
}

/// The phase after a packet.
#[inline(always)]
#[must_use]
pub fn advance(phase: Phase, event: Event) -> Phase {
    let place = place(event, phase);
    // The compiler knows which places there are; the verifier must see that no other is read.
    Phase::from_number(NEXT[core::hint::black_box(place) % NEXT.len()])
}

/// A table and no branches: the verifier would follow each of them wherever a packet is noted.
static NEXT: [u8; EVENTS * Phase::PLACES] = next();

const fn next() -> [u8; EVENTS * Phase::PLACES] {
    let mut table = [0; EVENTS * Phase::PLACES];
    let mut place = 0;
    while place < EVENTS {
        let mut phase = 0;
        while phase < Phase::COUNT {
            let after = rule(Phase::from_number(phase), Event::from_place(place));
            table[(place * Phase::PLACES) | phase as usize] = after as u8;
            phase += 1;
        }
        place += 1;
    }
    table
}

const fn rule(phase: Phase, event: Event) -> Phase {
    if matches!(event.protocol, Protocol::Tcp) {
        return rule_of_tcp(phase, event);
    }
    match (phase, event.direction) {
        (Phase::Claimed | Phase::Opening, Direction::Reply) => Phase::Answered,
        (Phase::Answered, Direction::Request) => Phase::Established,
        (other, _) => other,
    }
}

const fn rule_of_tcp(phase: Phase, event: Event) -> Phase {
    if event.flags.has(TcpFlags::RST) {
        return after_rst(phase, event.direction);
    }
    let syn = event.flags.has(TcpFlags::SYN);
    match (phase, event.direction) {
        // SYN-ACK, or the data of a connection whose SYN-ACK took another way.
        (Phase::Claimed | Phase::Opening | Phase::Reset, Direction::Reply) => Phase::Answered,
        // A short answer to a Fast Open (RFC 7413) ends before the client has acknowledged anything.
        (Phase::Answered, Direction::Reply) if event.flags.has(TcpFlags::FIN) => Phase::BackendDone,
        // The third packet of the handshake, or what follows it; a RST before it was not the backend's.
        (Phase::Answered | Phase::Reset, Direction::Request) if event.acknowledges && !syn => after_data(phase, event),
        // A new connection is answered: the RST was the old one's.
        (Phase::ClientReset | Phase::BackendReset, Direction::Reply) if syn => Phase::Answered,
        // The RST was not the sender's: it goes on.
        (Phase::ClientReset, Direction::Request) | (Phase::BackendReset, Direction::Reply) if !syn => {
            after_data(phase, event)
        }
        (Phase::Established | Phase::ClientDone | Phase::BackendDone, _) => after_data(phase, event),
        (other, _) => other,
    }
}

const fn after_rst(phase: Phase, sender: Direction) -> Phase {
    match (phase, sender) {
        (Phase::Claimed | Phase::Opening | Phase::Answered | Phase::Reset, _) => Phase::Reset,
        (Phase::Established | Phase::ClientDone | Phase::BackendDone, Direction::Request) => Phase::ClientReset,
        (Phase::Established | Phase::ClientDone | Phase::BackendDone, Direction::Reply) => Phase::BackendReset,
        (Phase::ClientReset | Phase::BackendReset | Phase::Closed, _) => phase,
    }
}

/// A packet of a conversation: it goes on, or one side has sent its last.
const fn after_data(phase: Phase, event: Event) -> Phase {
    if !event.flags.has(TcpFlags::FIN) {
        return match phase {
            Phase::ClientDone | Phase::BackendDone => phase,
            Phase::Claimed
            | Phase::Opening
            | Phase::Answered
            | Phase::Established
            | Phase::Closed
            | Phase::Reset
            | Phase::ClientReset
            | Phase::BackendReset => Phase::Established,
        };
    }
    match (phase, event.direction) {
        // The second FIN: a client that closed first, then its backend, or the other way about.
        (Phase::ClientDone, Direction::Reply) | (Phase::BackendDone, Direction::Request) => Phase::Closed,
        (_, Direction::Request) => Phase::ClientDone,
        (_, Direction::Reply) => Phase::BackendDone,
    }
}
