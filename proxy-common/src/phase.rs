//! How far a flow has come, and what a packet does to that.

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
    /// TCP: a RST was seen. A forged one is forgotten when the flow goes on.
    Reset = 7,
}

impl Phase {
    /// How many there are.
    pub const COUNT: u8 = 8;

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
            _ => Phase::Claimed,
        }
    }

    /// Whether no answer has been seen.
    #[inline(always)]
    #[must_use]
    pub const fn is_unanswered(self) -> bool {
        matches!(self, Phase::Claimed | Phase::Opening)
    }

    /// Whether a new SYN on the same tuple begins another connection instead of belonging to this one.
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

    #[inline(always)]
    const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

/// The phase after a packet. `flags` are empty for anything but TCP.
#[inline(always)]
#[must_use]
pub const fn advance(phase: Phase, protocol: Protocol, direction: Direction, flags: TcpFlags) -> Phase {
    match protocol {
        Protocol::Tcp => advance_tcp(phase, direction, flags),
        Protocol::Udp | Protocol::Sctp => match (phase, direction) {
            (Phase::Claimed | Phase::Opening, Direction::Reply) => Phase::Answered,
            (Phase::Answered, Direction::Request) => Phase::Established,
            (other, _) => other,
        },
    }
}

#[inline(always)]
const fn advance_tcp(phase: Phase, direction: Direction, flags: TcpFlags) -> Phase {
    if flags.has(TcpFlags::RST) {
        return Phase::Reset;
    }
    if flags.has(TcpFlags::FIN) {
        return match (phase, direction) {
            // The second FIN: a client that closed first, then its backend, or the other way about.
            (Phase::ClientDone, Direction::Reply) | (Phase::BackendDone, Direction::Request) => Phase::Closed,
            // A retransmitted last FIN.
            (Phase::Closed, _) => Phase::Closed,
            (_, Direction::Request) => Phase::ClientDone,
            (_, Direction::Reply) => Phase::BackendDone,
        };
    }
    match (phase, direction) {
        // SYN-ACK, or the data of a connection whose SYN-ACK took another way.
        (Phase::Claimed | Phase::Opening, Direction::Reply) => Phase::Answered,
        // The third packet of the handshake.
        (Phase::Answered, Direction::Request) if !flags.has(TcpFlags::SYN) => Phase::Established,
        // The RST was not the connection's: both go on.
        (Phase::Reset, _) if !flags.has(TcpFlags::SYN) => Phase::Established,
        (other, _) => other,
    }
}
