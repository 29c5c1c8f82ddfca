//! What costs are measured by: the look-up of a key of 16 bytes in a hash, which an established packet cannot do without.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, ensure};

use super::{
    code::{Code, MAP_LOOKUP_ELEM},
    timer,
};
use crate::kernel::bpf::{self, Kind};

const KEY: usize = 16;
/// How many entries the hash has: as many as there are Services where there are many.
const ENTRIES: u32 = 30_000;
/// Look-ups of one run, each of another key: the timer counts whole nanoseconds.
const LOOK_UPS: u16 = 32;

/// A program that looks up keys and does nothing else.
#[derive(Debug)]
pub(super) struct Yardstick {
    looks_up: OwnedFd,
    nothing: OwnedFd,
    // The programs name them by number only.
    _hash: OwnedFd,
    _keys: OwnedFd,
}

impl Yardstick {
    /// Makes the hash and loads the program.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn load() -> Result<Self> {
        let hash = bpf::create_map(Kind::Hash, KEY, 8, ENTRIES).context("a hash")?;
        for n in 0..ENTRIES {
            bpf::update(&hash, &key(n), &u64::from(n).to_ne_bytes())?;
        }
        let keys: Vec<u8> = numbers().flat_map(key).collect();
        let array = bpf::create_map(Kind::Array, 4, keys.len(), 1).context("an array")?;
        bpf::update(&array, &0_u32.to_ne_bytes(), &keys)?;
        let mut code = Code::default().set(7, 0);
        for place in 0..LOOK_UPS {
            code = code
                .map(1, &hash)
                .map_value(2, &array, i32::from(place) * 16)
                .call(MAP_LOOKUP_ELEM)
                .skip_if_zero(0, 1)
                .add(7, 1);
        }
        Ok(Self {
            looks_up: code.copy(0, 7).end().load().context("the program that looks up")?,
            nothing: nothing()?,
            _hash: hash,
            _keys: array,
        })
    }

    /// How long one look-up takes, ns.
    ///
    /// # Errors
    /// When a key is not found.
    pub(super) fn time(&self, runs: u32) -> Result<f64> {
        let packet = [0; 64];
        let looked_up = timer::time(&self.looks_up, &packet, 0, runs)?;
        ensure!(
            looked_up.returned == i32::from(LOOK_UPS),
            "only {} of {LOOK_UPS} keys were found",
            looked_up.returned
        );
        let idle = timer::time(&self.nothing, &packet, 0, runs)?;
        Ok((looked_up.nanoseconds - idle.nanoseconds) / f64::from(LOOK_UPS))
    }
}

/// A classifier that lets everything go on.
pub(super) fn nothing() -> Result<OwnedFd> {
    const TC_ACT_UNSPEC: i32 = -1;
    Code::default()
        .end_with(TC_ACT_UNSPEC)
        .load()
        .context("a program of two instructions")
}

/// Keys that are looked up: far from each other, so that each has a bucket of its own.
fn numbers() -> impl Iterator<Item = u32> {
    (0..u32::from(LOOK_UPS)).map(|place| place * (ENTRIES / u32::from(LOOK_UPS)))
}

fn key(n: u32) -> [u8; KEY] {
    let mut key = [0; KEY];
    key[..4].copy_from_slice(&n.to_be_bytes());
    key[8..12].copy_from_slice(&(!n).to_be_bytes());
    key
}
