//! Flows that measured packets belong to.

use anyhow::{Context as _, Result, ensure};
use proxy_common::{
    flow::{FlowKey, FlowRecord},
    net::{Protocol, Tuple},
    phase::Phase,
};
use proxy_ebpf::testing::{
    fixture::POD_PORT,
    machine::{Host, Machine as _, Way},
    maps::{Maps, TypedMaps as _},
    packet::{BRIDGE_MAC, Draft, PORT_MAC, answer, data, opening},
    who::{TestFamily, Who},
};

/// Something that packets can be put through: the loaded programs, or the library.
pub(super) trait Conversing<F: TestFamily> {
    /// Puts a packet through.
    ///
    /// # Errors
    /// When it cannot be.
    fn put_through(&mut self, way: Way, packet: &Draft<F>) -> Result<()>;
    /// Its maps.
    fn maps(&self) -> &impl Maps;
}

impl<F: TestFamily> Conversing<F> for Host<F> {
    fn put_through(&mut self, way: Way, packet: &Draft<F>) -> Result<()> {
        self.send(way, packet);
        Ok(())
    }

    fn maps(&self) -> &impl Maps {
        &self.node.maps
    }
}

/// Opens a flow at a device and lets both sides speak until it is established.
///
/// # Errors
/// When it does not get there.
pub(super) fn converse<F: TestFamily>(
    node: &mut impl Conversing<F>,
    protocol: Protocol,
    device: u32,
    client: (Who, u16),
    to: (Who, u16),
) -> Result<FlowRecord<F>> {
    let first = opening::<F>(protocol, client, to).at_mac(mac(device));
    let key = FlowKey::wire(&Tuple {
        source: first.source,
        destination: first.destination,
        protocol,
    });
    node.put_through(Way::In(device), &first)?;
    let record: FlowRecord<F> = node
        .maps()
        .flow_of(&key)
        .with_context(|| format!("no flow to {to:?}"))?;
    let reply = answer(protocol, record.backend(), record.inner_client());
    node.put_through(Way::Out(device), &reply)?;
    node.put_through(Way::In(device), &data(protocol, client, to).at_mac(mac(device)))?;
    let record: FlowRecord<F> = node
        .maps()
        .flow_of(&key)
        .with_context(|| format!("no flow to {to:?}"))?;
    let phase = record.life.phase();
    ensure!(phase == Phase::Established, "the flow to {to:?} is {phase:?}");
    Ok(record)
}

/// To whom a frame is addressed that the node routes: pods send theirs to the bridge, whose port their device is.
pub(super) fn mac(device: u32) -> [u8; 6] {
    if device == POD_PORT { BRIDGE_MAC } else { PORT_MAC }
}
