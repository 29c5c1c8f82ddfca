//! How long a flow is remembered after its last packet, ns.

use crate::{net::Protocol, phase::Phase};

const SECOND: u64 = 1_000_000_000;

/// How much of a second may pass before `last_seen` is written again: a store a packet would move a cache line between
/// the cores for nothing.
pub const REFRESH: u64 = SECOND;

/// How long a translated address is remembered for fragments without ports (RFC 791 section 3.2 and RFC 8200 section
/// 4.5 give the receiver 15 to 60 s to reassemble).
pub const FRAGMENT: u64 = 30 * SECOND;

/// A TCP segment's lifetime twice: how long a closed connection's ports stay its own (RFC 9293 section 3.4.1 gives
/// 2 min for one; Linux lives with 60 s for both; conntrack takes 120 s, as do we).
const TWICE_SEGMENT_LIFETIME: u64 = 120 * SECOND;

/// After how long without packets a connection counts as ended by the RST that was seen in it: what conntrack remembers
/// of one (`nf_conntrack_tcp_timeout_close`). After as long a UDP query and its answer give their port to another, if
/// there is none left.
pub const QUIET: u64 = 10 * SECOND;

/// After how long without packets a closed connection gives its port to another, if there is none left: the second FIN
/// has been seen by then, but it or what came before it may be lost on its way and sent again.
pub const CLOSING: u64 = 3 * SECOND;

/// How long a flow must have been without packets before its port is given to another, if there is none left.
#[inline(always)]
#[must_use]
pub fn hold(protocol: Protocol, phase: Phase) -> u64 {
    look_up(&HOLDS, protocol, phase)
}

/// How long a flow without packets is remembered.
#[inline(always)]
#[must_use]
pub fn lifetime(protocol: Protocol, phase: Phase) -> u64 {
    look_up(&LIFETIMES, protocol, phase)
}

/// Times by protocol and phase.
type Table = [u64; 4 * Phase::PLACES];

#[inline(always)]
fn look_up(table: &Table, protocol: Protocol, phase: Phase) -> u64 {
    // The compiler knows which places there are; the verifier must see that no other is read.
    table[core::hint::black_box(place(protocol, phase)) % table.len()]
}

/// Where a protocol and a phase stand in the table. The lowest two bits tell the three protocols apart.
#[inline(always)]
const fn place(protocol: Protocol, phase: Phase) -> usize {
    ((protocol.number() as usize & 3) * Phase::PLACES) | phase as usize
}

/// A table and no branches: of branches the verifier would follow each, at each record that the clock hand looks at.
static LIFETIMES: Table = tables().0;
static HOLDS: Table = tables().1;

/// Lifetimes, and holds.
const fn tables() -> (Table, Table) {
    let (mut lifetimes, mut holds) = ([0; 4 * Phase::PLACES], [u64::MAX; 4 * Phase::PLACES]);
    let mut protocol = 0;
    while protocol < ALL_PROTOCOLS.len() {
        let mut phase = 0;
        while phase < Phase::COUNT {
            let (of, at) = (ALL_PROTOCOLS[protocol], Phase::from_number(phase));
            lifetimes[place(of, at)] = rule(of, at);
            holds[place(of, at)] = hold_rule(of, at);
            phase += 1;
        }
        protocol += 1;
    }
    (lifetimes, holds)
}

const fn hold_rule(protocol: Protocol, phase: Phase) -> u64 {
    match (protocol, phase) {
        // Its contents are those of another flow still.
        (_, Phase::Claimed) => u64::MAX,
        // It was refused.
        (Protocol::Tcp, Phase::Reset) => 0,
        (Protocol::Tcp, Phase::Closed) => CLOSING,
        (Protocol::Tcp, Phase::ClientReset | Phase::BackendReset) => QUIET,
        // A query has ended if there was one answer at most and nothing since, a conversation after the least time that a
        // NAT must grant (RFC 4787 REQ-5).
        (Protocol::Udp, Phase::Opening | Phase::Answered) => QUIET,
        (Protocol::Udp, _) => rule(protocol, Phase::Answered),
        (Protocol::Tcp | Protocol::Sctp, _) => rule(protocol, phase),
    }
}

const ALL_PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];

const fn rule(protocol: Protocol, phase: Phase) -> u64 {
    match protocol {
        Protocol::Tcp => match phase {
            // Longer than the last but one SYN of a client with Linux's default of six retries waits.
            Phase::Claimed | Phase::Opening => 120 * SECOND,
            Phase::Answered => 60 * SECOND,
            // RFC 5382 REQ-5 asks for at least 2 h 4 min; kube-proxy sets conntrack to 24 h.
            Phase::Established => 24 * 3600 * SECOND,
            // Half-closed connections may still carry data one way; kube-proxy gives them 1 h. A forged RST must not end a
            // conversation that pauses: it has as long, where nobody needs the record.
            Phase::ClientDone | Phase::BackendDone | Phase::ClientReset | Phase::BackendReset => 3600 * SECOND,
            Phase::Closed => TWICE_SEGMENT_LIFETIME,
            Phase::Reset => QUIET,
        },
        // RFC 4787 REQ-5: at least 2 min, 5 min recommended; one-way traffic is no conversation.
        Protocol::Udp => match phase {
            Phase::Claimed | Phase::Opening => 30 * SECOND,
            Phase::Answered => 120 * SECOND,
            Phase::Established
            | Phase::ClientDone
            | Phase::BackendDone
            | Phase::Closed
            | Phase::Reset
            | Phase::ClientReset
            | Phase::BackendReset => 300 * SECOND,
        },
        // Longer than seven heartbeats of 30 s (RFC 9260 section 16), as conntrack counts.
        Protocol::Sctp => match phase {
            Phase::Claimed | Phase::Opening => 30 * SECOND,
            Phase::Answered => 60 * SECOND,
            Phase::Established
            | Phase::ClientDone
            | Phase::BackendDone
            | Phase::Closed
            | Phase::Reset
            | Phase::ClientReset
            | Phase::BackendReset => 210 * SECOND,
        },
    }
}
