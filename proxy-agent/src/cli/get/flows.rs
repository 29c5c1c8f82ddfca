//! Translated flows.

use std::{net::SocketAddr, time::Duration};

use nix::time::{ClockId, clock_gettime};
use proxy_common::{
    family::{Family, V4, V6},
    flow::{FlowRecord, flag},
    net::{Address as _, Peer},
    phase::Phase,
    schema::{self, MapSpec},
};
use serde::Serialize;

use super::{Filter, Row, View, failed, protocol_name};
use crate::{
    address,
    apply::{
        kernel::KernelArray,
        map::{Table as _, TableError},
    },
    datapath::Pins,
    error::Error,
};

/// A flow.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FlowRow {
    protocol: &'static str,
    client: SocketAddr,
    dialled: SocketAddr,
    backend: SocketAddr,
    seen_by_backend: SocketAddr,
    phase: &'static str,
    idle_seconds: u64,
    service: Option<String>,
    direct: bool,
    endpoint: u32,
}

pub(super) fn rows(view: &View, filter: &Filter) -> Result<Vec<FlowRow>, Error> {
    let now = now().map_err(failed)?;
    let mut rows = family::<V4>(view, filter, &schema::RECORDS_V4, now).map_err(failed)?;
    rows.extend(family::<V6>(view, filter, &schema::RECORDS_V6, now).map_err(failed)?);
    Ok(rows)
}

/// How many flows there are in both families.
///
/// # Errors
/// If a map or the clock cannot be read.
pub fn count(pins: &Pins) -> Result<usize, Error> {
    let now = now().map_err(failed)?;
    let v4 = live::<V4>(pins, &schema::RECORDS_V4, now).map_err(failed)?;
    let v6 = live::<V6>(pins, &schema::RECORDS_V6, now).map_err(failed)?;
    Ok(v4.len() + v6.len())
}

fn live<F: Family>(pins: &Pins, spec: &MapSpec, now: u64) -> Result<Vec<FlowRecord<F>>, TableError> {
    let records = KernelArray::<FlowRecord<F>>::open(&pins.maps(), spec)?.entries()?;
    let is_live = |record: &FlowRecord<F>| {
        let phase = record.life.phase();
        record.life.is_live() && phase != Phase::Claimed && !record.is_past(phase, now)
    };
    Ok(records.into_iter().map(|(_, record)| record).filter(is_live).collect())
}

fn family<F: Family>(view: &View, filter: &Filter, spec: &MapSpec, now: u64) -> Result<Vec<FlowRow>, TableError> {
    let records = live::<F>(&view.pins, spec, now)?;
    let wanted = records.iter().filter(|record| {
        let ends = [
            record.client(),
            record.dialled(),
            record.backend(),
            record.seen_by_backend(),
        ];
        filter.wants(view.service(record.service), record.protocol())
            && filter.wants_address(ends.map(|end| socket::<F>(end).ip()))
    });
    Ok(wanted.map(|record| row(view, record, now)).collect())
}

fn row<F: Family>(view: &View, record: &FlowRecord<F>, now: u64) -> FlowRow {
    FlowRow {
        protocol: protocol_name(record.protocol()),
        client: socket::<F>(record.client()),
        dialled: socket::<F>(record.dialled()),
        backend: socket::<F>(record.backend()),
        seen_by_backend: socket::<F>(record.seen_by_backend()),
        phase: phase_name(record.life.phase()),
        idle_seconds: Duration::from_nanos(now.saturating_sub(record.last_seen)).as_secs(),
        service: view.service(record.service).map(ToString::to_string),
        direct: record.is(flag::DIRECT),
        endpoint: record.endpoint,
    }
}

fn socket<F: Family>(peer: Peer<F>) -> SocketAddr {
    SocketAddr::new(address::narrow(F::KIND, &peer.address.widen()), peer.port.get())
}

const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Claimed => "claimed",
        Phase::Opening => "opening",
        Phase::Answered => "answered",
        Phase::Established => "established",
        Phase::ClientDone => "client-done",
        Phase::BackendDone => "backend-done",
        Phase::Closed => "closed",
        Phase::Reset => "reset",
        Phase::ClientReset => "client-reset",
        Phase::BackendReset => "backend-reset",
    }
}

/// The programs' clock, ns.
fn now() -> nix::Result<u64> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
    Ok(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

impl Row for FlowRow {
    const COLUMNS: &'static [&'static str] = &[
        "PROTOCOL",
        "CLIENT",
        "DIALLED",
        "BACKEND",
        "PHASE",
        "IDLE",
        "SEEN BY BACKEND",
        "SERVICE",
        "ENDPOINT",
    ];
    const WIDE: usize = 6;
    fn cells(&self) -> Vec<String> {
        vec![
            self.protocol.to_owned(),
            self.client.to_string(),
            self.dialled.to_string(),
            self.backend.to_string(),
            self.phase.to_owned(),
            format!("{}s", self.idle_seconds),
            self.seen_by_backend.to_string(),
            self.service.clone().unwrap_or_else(|| "-".to_owned()),
            self.endpoint.to_string(),
        ]
    }
}
