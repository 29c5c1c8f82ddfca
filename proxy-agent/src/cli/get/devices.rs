//! Devices that carry the programs, or should.

use proxy_common::{
    node::{Device, device_flag},
    schema,
};
use serde::Serialize;

use super::{Row, failed};
use crate::{
    apply::{kernel::KernelHash, map::Table as _},
    datapath::{
        Pins,
        attach::{self, Direction, Layer, Target, Way},
    },
    error::Error,
    host::{HostFacts, links},
};

/// An edge of this network namespace.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRow {
    /// Its name.
    pub name: String,
    /// Its interface index.
    pub index: u32,
    /// Whether both programs are attached.
    pub attached: bool,
    /// Whether no program of somebody else's comes before ours; absent where it is not attached.
    pub first: Option<bool>,
    /// What its packets begin with.
    pub layer: &'static str,
    /// Whether pods are behind it.
    pub pods: bool,
    /// The interface from which the host routes what comes in here.
    pub routed_from: u32,
}

/// All edges of this network namespace.
///
/// # Errors
/// If the devices or the map of them cannot be read.
pub fn rows(pins: &Pins) -> Result<Vec<DeviceRow>, Error> {
    let mut facts = HostFacts::default();
    facts.read_links().map_err(failed)?;
    let known = KernelHash::<u32, Device>::open(&pins.maps(), &schema::DEVICES).map_err(failed)?;
    let mut rows = Vec::new();
    for edge in links::edges(&facts.links, None) {
        let device = known.get(&edge.target.ifindex).map_err(failed)?;
        rows.push(row(pins, &edge.target, device.unwrap_or_default()));
    }
    Ok(rows)
}

fn row(pins: &Pins, target: &Target, device: Device) -> DeviceRow {
    let way = Way::of_this_kernel();
    let both = |is: &dyn Fn(Direction) -> bool| Direction::BOTH.into_iter().all(is);
    let attached = both(&|direction| attach::is_attached(pins, way, target.ifindex, direction));
    let first = attached.then(|| both(&|direction| attach::is_first(pins, way, target, direction).unwrap_or(false)));
    DeviceRow {
        name: target.name.clone(),
        index: target.ifindex,
        attached,
        first,
        layer: match target.layer {
            Layer::Link => "ethernet",
            Layer::Network => "ip",
        },
        pods: device.flags & device_flag::PODS != 0,
        routed_from: device.routed_from,
    }
}

impl Row for DeviceRow {
    const COLUMNS: &'static [&'static str] = &["DEVICE", "INDEX", "ATTACHED", "FIRST", "LAYER", "PODS", "ROUTED FROM"];
    const WIDE: usize = 5;
    fn cells(&self) -> Vec<String> {
        let word = |is: bool| if is { "yes" } else { "no" }.to_owned();
        vec![
            self.name.clone(),
            self.index.to_string(),
            word(self.attached),
            self.first.map_or_else(|| "-".to_owned(), word),
            self.layer.to_owned(),
            word(self.pods),
            self.routed_from.to_string(),
        ]
    }
}
