//! Everything of ours, away: programs from devices and the cgroup, pins, folders.

use std::{fmt, io};

use super::{
    HostError, Pins,
    attach::{self, Direction, Way},
    clsact,
};
use crate::host::HostFacts;

/// What was removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Removed {
    devices: Vec<String>,
    sockets: usize,
    pins: Option<String>,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(pins) = &self.pins else {
            return f.write_str("nothing of fairlead's is here");
        };
        write!(f, "removed: programs from {} devices", self.devices.len())?;
        if !self.devices.is_empty() {
            write!(f, " ({})", self.devices.join(", "))?;
        }
        write!(f, ", {} socket hooks, everything in {pins}", self.sockets)
    }
}

/// Detaches all programs and removes all pins. Nothing there is no error.
///
/// # Errors
/// If an agent runs on the pins, or if something cannot be removed.
pub fn remove_all(pins: &Pins) -> Result<Removed, HostError> {
    let mut facts = HostFacts::default();
    let failed = |error: io::Error| HostError::Pins {
        path: pins.root().to_owned(),
        reason: error.to_string(),
    };
    facts.read_links().map_err(failed)?;
    if !pins.root().exists() {
        return Ok(Removed::default());
    }
    let lock = pins.lock()?;
    let mut removed = Removed {
        sockets: attach::attached_sockets(pins).len(),
        pins: Some(pins.root().display().to_string()),
        ..Removed::default()
    };
    let way = Way::of_this_kernel();
    // All devices, not the edges alone: one may have been made a port of a bond since.
    for link in facts.links.values() {
        let carries = |direction: &Direction| attach::is_attached(pins, way, link.index, *direction);
        if Direction::BOTH.iter().any(carries) {
            removed.devices.push(link.name.clone());
            if way == Way::Clsact {
                clsact::remove(&link.name).map_err(failed)?;
            }
        }
    }
    attach::take_all_away(pins).map_err(failed)?;
    pins.remove().map_err(failed)?;
    drop(lock);
    Ok(removed)
}
