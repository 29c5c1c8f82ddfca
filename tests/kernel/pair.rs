//! The programs and the library side by side: each packet goes through both, and both must do the same and remember the
//! same.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use nix::time::{ClockId, clock_gettime};
use proxy_common::{
    endpoint::EndpointState,
    flow::{FlowRecord, flag},
    fragment::FragmentPorts,
    schema,
};
use proxy_ebpf::testing::{
    fixture::Fixture,
    machine::{Host, Machine, Sent, Way},
    maps::{Entries, Maps, TypedMaps as _},
    packet::Wire,
    who::TestFamily,
};
use tests::packets::row::hex;

use crate::machine::Kernel;

/// Both, on the same fixture.
pub(crate) struct Pair<F: TestFamily> {
    /// The programs.
    pub(crate) kernel: Kernel,
    /// The library.
    pub(crate) host: Host<F>,
    /// The programs' records after the last packet.
    records: Entries,
}

impl<F: TestFamily> Pair<F> {
    /// Loads the programs.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub(crate) fn load() -> Result<Self> {
        Ok(Pair {
            kernel: Kernel::load()?,
            host: Host::new(&Fixture::default()),
            records: Entries::new(),
        })
    }

    /// Puts a packet through both.
    ///
    /// # Errors
    /// What they do not agree on. The dice of the kernel fall as they like: there must be dice with which the library
    /// does the same.
    pub(crate) fn try_send(&mut self, way: Way, wire: &Wire) -> Result<Sent> {
        let sent = self.kernel.try_send(way, wire).with_context(|| hex(&wire.bytes))?;
        let records = self.kernel.programs.entries(&F::MAPS.records);
        let before = std::mem::replace(&mut self.records, records);
        self.host.node.set_clock(monotonic());
        let opened = self
            .records
            .iter()
            .find_map(|(index, record)| opened::<F>(before.get(index), record));
        let first = u32::from(self.masquerade_first());
        let mut different = Vec::new();
        for dice in possible_dice(opened.as_ref(), first) {
            let saved = self.host.node.maps.clone();
            self.host.node.roll(&dice);
            let own = self.host.send(way, wire.clone());
            match self.compare(&sent, &own) {
                Ok(()) => return Ok(sent),
                Err(error) => different.push(format!("with dice {dice:x?}: {error}")),
            }
            self.host.node.maps = saved;
        }
        bail!("{way:?} {}\n{}", hex(&wire.bytes), different.join("\n"))
    }

    fn masquerade_first(&self) -> u16 {
        let config = self
            .kernel
            .programs
            .value::<_, proxy_common::node::NodeConfig<F>>(&F::MAPS.node, &0_u32);
        u16::try_from(config.map_or(0, |config| config.masquerade_first)).unwrap_or(0)
    }

    fn compare(&self, kernel: &Sent, library: &Sent) -> Result<()> {
        let (k, l) = (kernel, library);
        ensure!(
            (k.action, k.reason) == (l.action, l.reason),
            "the programs: {:?}({}), the library: {:?}({})",
            k.action,
            k.reason.name(),
            l.action,
            l.reason.name()
        );
        ensure!(
            k.wire.bytes == l.wire.bytes,
            "the programs make\n    {}\nthe library\n    {}",
            hex(&k.wire.bytes),
            hex(&l.wire.bytes)
        );
        let (kernel, library) = (
            remembered::<F>(&self.kernel.programs),
            remembered::<F>(&self.host.node.maps),
        );
        let differences = kernel
            .iter()
            .zip(&library)
            .flat_map(|(kernel, library)| differences(kernel, library));
        let differences: Vec<_> = differences.collect();
        ensure!(
            differences.is_empty(),
            "they remember different things:
{}",
            differences.join(
                "
"
            )
        );
        Ok(())
    }
}

impl<F: TestFamily> Machine<F> for Pair<F> {
    fn reset(&mut self, fixture: &Fixture<F>) {
        Machine::<F>::reset(&mut self.kernel, fixture);
        self.host.reset(fixture);
        self.records.clear();
    }

    fn send(&mut self, way: Way, packet: impl Into<Wire>) -> Sent {
        self.try_send(way, &packet.into())
            .unwrap_or_else(|error| panic!("{}: {error:#}", F::NAME))
    }

    fn maps(&self) -> &impl Maps {
        &self.host.node.maps
    }
}

/// The clock that the programs read, ns.
fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every kernel has this clock");
    u64::try_from(Duration::from(now).as_nanos()).expect("the machine is younger than centuries")
}

/// The record, if it is that of a flow which was not there before.
fn opened<F: TestFamily>(before: Option<&Vec<u8>>, after: &[u8]) -> Option<FlowRecord<F>> {
    let read = |bytes: &[u8]| -> FlowRecord<F> { bytemuck::pod_read_unaligned(bytes) };
    let known = before.map_or(0, |record| read(record).life.sequence());
    let record = read(after);
    (record.life.is_live() && record.life.sequence() != known).then_some(record)
}

/// How the dice may have fallen that led to a record. The first is for the endpoint, of which there are up to eight; the
/// others, for a shifted and a masquerade port, must be just so.
fn possible_dice<F: TestFamily>(record: Option<&FlowRecord<F>>, first: u32) -> Vec<Vec<u32>> {
    let Some(record) = record else { return vec![Vec::new()] };
    let mut ports = Vec::new();
    if record.inner_port != record.client_port {
        ports.push(u32::from(record.inner_port.get()).wrapping_sub(first));
    }
    if record.is(flag::MASQUERADE) {
        ports.push(u32::from(record.masquerade_port.get()).wrapping_sub(first));
    }
    if record.is(flag::DIRECT) {
        return vec![ports];
    }
    (0..8)
        .map(|eighth| [&[eighth << 29], ports.as_slice()].concat())
        .collect()
}

/// What is remembered, without the moments at which it was.
fn remembered<F: TestFamily>(maps: &impl Maps) -> Vec<(&'static str, Entries)> {
    let of = |map, forget: fn(&[u8]) -> Vec<u8>| {
        let entries = maps.entries(map).into_iter();
        entries.map(|(key, value)| (key, forget(&value))).collect::<Entries>()
    };
    let without_moment = |value: &[u8]| {
        let record: FlowRecord<F> = bytemuck::pod_read_unaligned(value);
        bytemuck::bytes_of(&FlowRecord { last_seen: 0, ..record }).to_vec()
    };
    let ports = |value: &[u8]| {
        let ports: FragmentPorts = bytemuck::pod_read_unaligned(value);
        bytemuck::bytes_of(&FragmentPorts { seen: 0, ..ports }).to_vec()
    };
    let state = |value: &[u8]| {
        let state: EndpointState = bytemuck::pod_read_unaligned(value);
        bytemuck::bytes_of(&state).to_vec()
    };
    vec![
        ("flows", of(&F::MAPS.flows, <[u8]>::to_vec)),
        ("records", of(&F::MAPS.records, without_moment)),
        ("fragments", of(&F::MAPS.fragments, ports)),
        ("endpoints", of(&schema::STATE, state)),
        ("hands", of(&schema::HANDS, <[u8]>::to_vec)),
    ]
}

/// In what the programs and the library remember differently in a map.
fn differences(kernel: &(&'static str, Entries), library: &(&'static str, Entries)) -> Vec<String> {
    let keys: BTreeSet<_> = kernel.1.keys().chain(library.1.keys()).collect();
    let show = |value: Option<&Vec<u8>>| value.map_or_else(|| "nothing".to_owned(), |value| hex(value));
    let differing = keys.into_iter().filter(|key| kernel.1.get(*key) != library.1.get(*key));
    let lines = differing.map(|key| {
        let (k, l) = (show(kernel.1.get(key)), show(library.1.get(key)));
        format!(
            "{}, {}:\n    the programs {k}\n    the library  {l}",
            kernel.0,
            hex(key)
        )
    });
    lines.collect()
}
