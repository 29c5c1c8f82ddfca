//! Opening a flow: a record, an endpoint whose tuple is free, a masquerade port, and last the key that makes it known.

use proxy_common::{
    endpoint::NO_ENDPOINT,
    family::Family,
    flow::{FlowKey, FlowRecord, FlowRef, Life, flag},
    phase::{Answer, Phase},
    reason::Reason,
};

use super::{records, reserve};
use crate::{
    node::{Inserted, Node, Route, Tables},
    select::Endpoint,
    verdict::Verdict,
    work::{Binding, Work},
};

/// Opens a flow for the packet in `work`, to one of its candidates, or straight to where it is sent. Each step has the
/// stack for itself.
///
/// # Errors
///
/// What becomes of the packet if there is no room, no port or no endpoint for the flow. Without room a direct flow
/// goes on untracked.
#[inline(always)]
pub fn open<F: Family>(node: &impl Node<F>, work: &mut Work<F>) -> Result<(), Verdict> {
    claim(node, work)?;
    // Other endpoints come first, then another port. Written out, since the verifier of Linux 6.1 takes a loop whose
    // counter lies on the stack for an endless one.
    let bound = bind_endpoint(node, work, 0)?
        || bind_endpoint(node, work, 1)?
        || bind_endpoint(node, work, 2)?
        || bind_endpoint(node, work, 3)?;
    if !bound {
        shift(node, work)?;
    }
    if bind_address(node, work)? {
        bind_port(node, work)?;
    }
    publish(node, work)
}

/// Prepares a flow that goes straight to its backend, so that its tuple is its own.
#[inline(always)]
pub fn prepare_direct<F: Family>(work: &mut Work<F>) {
    work.binding = Binding {
        flags: flag::DIRECT,
        ..Binding::default()
    };
    work.binding.endpoint = Endpoint {
        peer: work.segment.tuple.destination,
        number: NO_ENDPOINT,
    };
}

/// Opens a flow for the packet in `work`, which leaves with an address of this node and a port that might be given to a
/// client, so that it is given to none; if one has it, the flow gets another, as clients do.
///
/// # Errors
///
/// What becomes of the packet if there is no room or no port for the flow. Without room it goes on as it is.
#[inline(always)]
pub fn open_here<F: Family>(node: &impl Node<F>, work: &mut Work<F>) -> Result<(), Verdict> {
    prepare_direct(work);
    work.binding.flags |= flag::MASQUERADE;
    work.binding.masquerade = work.segment.tuple.source;
    claim_here(node, work)?;
    if bind_here(node, work)? {
        bind_port_here(node, work)?;
        make_known(node, work);
    }
    Ok(())
}

/// A record for the flow.
#[inline(never)]
fn claim<F: Family, N: Node<F>>(node: &N, work: &mut Work<F>) -> Result<(), Verdict> {
    records::claim(node, work, records::LOOKS).map_err(|reason| refused(work, reason))
}

/// The same for a flow that begins here, which may go on without: it is not looked for as far.
#[inline(never)]
fn claim_here<F: Family, N: Node<F>>(node: &N, work: &mut Work<F>) -> Result<(), Verdict> {
    records::claim(node, work, records::NEAR).map_err(|reason| refused(work, reason))
}

/// What becomes of a packet whose flow finds no room.
#[inline(always)]
fn refused<F: Family>(work: &Work<F>, reason: Reason) -> Verdict {
    let direct = work.binding.flags & flag::DIRECT != 0;
    if direct {
        Verdict::pass(Reason::NoService)
    } else {
        Verdict::drop(reason)
    }
}

/// Gives a claimed record back, and says what becomes of the packet.
#[inline(always)]
fn give_up<F: Family>(node: &impl Node<F>, work: &Work<F>, reason: Reason) -> Verdict {
    records::free(node, work.flow);
    refused(work, reason)
}

/// Takes the endpoint of this turn if the flow's canonical tuple towards it is free; whether it is. A direct flow has
/// but one.
#[inline(never)]
fn bind_endpoint<F: Family, N: Node<F>>(node: &N, work: &mut Work<F>, turn: u32) -> Result<bool, Verdict> {
    let direct = work.binding.flags & flag::DIRECT != 0;
    if turn >= if direct { 1 } else { work.candidates.count() } {
        return Ok(false);
    }
    work.binding.inner_port = work.segment.tuple.source.port;
    if !direct {
        work.binding.endpoint = match work.candidates.endpoint(node, turn) {
            Ok(endpoint) => endpoint,
            Err(verdict) => {
                records::free(node, work.flow);
                return Err(verdict);
            }
        };
    }
    match reserve::canonical(node, work) {
        Inserted::Yes => Ok(true),
        Inserted::Full => Err(give_up(node, work, Reason::FlowTableFull)),
        Inserted::Exists => Ok(false),
    }
}

/// Makes the canonical tuple towards the last endpoint free by another port of the client.
#[inline(never)]
fn shift<F: Family, N: Node<F>>(node: &N, work: &mut Work<F>) -> Result<(), Verdict> {
    reserve::shifted(node, work).map_err(|reason| {
        let clash = reason == Reason::PortsExhausted;
        give_up(node, work, if clash { Reason::TupleClash } else { reason })
    })
}

/// Gives the flow a masquerade address, if the backend must not see the client or could not answer it; whether it has
/// one.
#[inline(never)]
fn bind_address<F: Family, N: Node<F>>(node: &N, work: &mut Work<F>) -> Result<bool, Verdict> {
    let (client, backend) = (&work.segment.tuple.source.address, &work.binding.endpoint.peer.address);
    if work.binding.flags & flag::DIRECT != 0 || !is_hidden(node, client, backend, work.masquerade) {
        return Ok(false);
    }
    match masquerade_address(node, work) {
        Ok(address) => {
            work.binding.masquerade.address = address;
            work.binding.flags |= flag::MASQUERADE;
            Ok(true)
        }
        Err(reason) => {
            reserve::forget_canonical(node, work);
            Err(give_up(node, work, reason))
        }
    }
}

/// Gives the flow a masquerade port.
#[inline(never)]
fn bind_port<F: Family, N: Node<F>>(node: &N, work: &mut Work<F>) -> Result<(), Verdict> {
    reserve::masqueraded(node, work, reserve::TRIES).map_err(|reason| {
        reserve::forget_canonical(node, work);
        give_up(node, work, reason)
    })
}

/// Takes the canonical tuple of a flow that begins here; whether it was free: else another processor was first, and its
/// flow is taken.
#[inline(never)]
fn bind_here<F: Family, N: Node<F>>(node: &N, work: &mut Work<F>) -> Result<bool, Verdict> {
    work.binding.inner_port = work.segment.tuple.source.port;
    match reserve::canonical(node, work) {
        Inserted::Yes => Ok(true),
        Inserted::Full => Err(give_up(node, work, Reason::FlowTableFull)),
        Inserted::Exists => {
            records::free(node, work.flow);
            work.flow = node.flow(&work.key).unwrap_or(FlowRef::LEAVING);
            Ok(false)
        }
    }
}

/// Gives a flow that begins here a port that nobody else has towards this backend, if its own is taken.
#[inline(never)]
fn bind_port_here<F: Family, N: Node<F>>(node: &N, work: &mut Work<F>) -> Result<(), Verdict> {
    if reserve::own_port(node, work) == Inserted::Yes {
        return Ok(());
    }
    reserve::masqueraded(node, work, reserve::FEW).map_err(|reason| {
        reserve::forget_canonical(node, work);
        records::free(node, work.flow);
        Verdict::drop(reason)
    })
}

/// Fills the record of a flow that begins here. It has all its keys: its requests enter nowhere.
#[inline(never)]
fn make_known<F: Family, N: Node<F>>(node: &N, work: &Work<F>) {
    let at = work.flow;
    fill(node, at, work);
    begin(node, at);
}

/// Lets a flow that has its keys be known.
#[inline(always)]
fn begin<F: Family>(node: &impl Tables<F>, at: FlowRef) {
    let claimed = Life::new(at.sequence, Phase::Claimed);
    node.exchange_life(at.index, claimed, claimed.in_phase(Phase::Opening));
}

/// Whether the backend must not see the client: it is not to, or it is the client itself and would answer without passing
/// us. A backend at an address of this node is reached without leaving it, and sees the client in any case.
#[inline(always)]
pub fn is_hidden<F: Family>(
    node: &impl Tables<F>,
    client: &F::Address,
    backend: &F::Address,
    masquerade: bool,
) -> bool {
    (masquerade || client == backend) && node.own_address(backend).is_none()
}

/// The address that the backend sees: what the kernel would use towards it.
#[inline(always)]
fn masquerade_address<F: Family>(node: &impl Node<F>, work: &Work<F>) -> Result<F::Address, Reason> {
    let routed_from = node
        .device(work.interface)
        .map_or(work.interface, |device| device.routed_from);
    match node.route(
        routed_from,
        &work.segment.tuple.source.address,
        &work.binding.endpoint.peer.address,
    ) {
        Route::Out(_, Some(address)) => Ok(address),
        Route::Out(interface, None) => node.source_address(interface).ok_or(Reason::NoSourceAddress),
        Route::None => Err(Reason::NoSourceAddress),
    }
}

/// Fills the record and inserts the key that requests have; if another processor was first, its flow is taken.
#[inline(never)]
fn publish<F: Family, N: Node<F>>(node: &N, work: &mut Work<F>) -> Result<(), Verdict> {
    let at = work.flow;
    fill(node, at, work);
    node.count_opened(work.binding.endpoint.number);
    work.key = FlowKey::wire(&work.segment.tuple);
    match reserve::key(node, &work.key, at) {
        Inserted::Yes => {
            // A packet that was faster has moved the phase on already.
            begin(node, at);
            Ok(())
        }
        Inserted::Full => {
            withdraw(node, at, work);
            Err(refused(work, Reason::FlowTableFull))
        }
        Inserted::Exists => {
            withdraw(node, at, work);
            work.key = FlowKey::wire(&work.segment.tuple);
            work.flow = node.flow(&work.key).ok_or_else(|| refused(work, Reason::TupleClash))?;
            Ok(())
        }
    }
}

#[inline(always)]
fn fill<F: Family>(node: &impl Node<F>, at: FlowRef, work: &Work<F>) {
    let (tuple, binding) = (&work.segment.tuple, &work.binding);
    node.fill_record(
        at.index,
        &FlowRecord {
            life: Life::default(),
            last_seen: node.now(),
            client: tuple.source.address,
            dialled: tuple.destination.address,
            backend: binding.endpoint.peer.address,
            masquerade: binding.masquerade.address,
            client_port: tuple.source.port,
            inner_port: binding.inner_port,
            dialled_port: tuple.destination.port,
            backend_port: binding.endpoint.peer.port,
            masquerade_port: binding.masquerade.port,
            protocol: tuple.protocol.number(),
            flags: binding.flags,
            service: binding.service,
            endpoint: binding.endpoint.number,
            opening_sequence: work.segment.sequence,
            answer: Answer::default(),
        },
    );
}

/// Takes back what was reserved for a flow that did not come to be.
#[inline(always)]
fn withdraw<F: Family>(node: &impl Node<F>, at: FlowRef, work: &mut Work<F>) {
    reserve::forget_canonical(node, work);
    if work.binding.flags & flag::MASQUERADE != 0 {
        reserve::forget_masqueraded(node, work);
    }
    node.count_released(work.binding.endpoint.number);
    records::free(node, at);
}
