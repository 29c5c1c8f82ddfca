//! What the parts cost that programs are made of: calls of the kernel's helpers, each many times in a row.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result};

use super::{
    code::{Code, MAP_LOOKUP_ELEM},
    figures::{Part, median},
    timer, yardstick,
};
use crate::kernel::bpf::{self, Kind};

/// Calls of one run.
const CALLS: u16 = 16;
const RUNS: u32 = 20_000;
const ROUNDS: usize = 7;

/// `bpf_ktime_get_ns`, `bpf_l3_csum_replace`, `bpf_l4_csum_replace`, `bpf_skb_load_bytes`, `bpf_csum_diff`.
const KTIME_GET_NS: i32 = 5;
const SKB_STORE_BYTES: i32 = super::code::SKB_STORE_BYTES;
const L3_CSUM_REPLACE: i32 = 10;
const L4_CSUM_REPLACE: i32 = 11;
const SKB_LOAD_BYTES: i32 = 26;
const CSUM_DIFF: i32 = 28;

/// Bytes of a context's head, an Ethernet and an IPv4 header: where a transport header begins.
const TRANSPORT: i32 = 34;

/// A helper and a program that calls it again and again.
struct Helper {
    name: &'static str,
    program: OwnedFd,
    samples: Vec<f64>,
    // The program names it by number only.
    _map: Option<OwnedFd>,
}

/// Measures each helper; times are of one call, its arguments' setting included.
///
/// # Errors
/// The kernel's.
pub fn measure() -> Result<Vec<Part>> {
    let mut helpers = helpers()?;
    let nothing = yardstick::nothing()?;
    let packet = [0x45; 96];
    for _ in 0..ROUNDS {
        for helper in &mut helpers {
            let idle = timer::time(&nothing, &packet, 0, RUNS)?.nanoseconds;
            let busy = timer::time(&helper.program, &packet, 0, RUNS)?.nanoseconds;
            helper.samples.push((busy - idle) / f64::from(CALLS));
        }
    }
    let parts = helpers.iter_mut().map(|helper| Part {
        name: helper.name.to_owned(),
        nanoseconds: median(&mut helper.samples),
    });
    Ok(parts.collect())
}

fn helpers() -> Result<Vec<Helper>> {
    let mut helpers = vec![
        helper("the clock", |code| code.call(KTIME_GET_NS))?,
        helper("read 4 bytes of the packet", |code| on_packet(code, 4, SKB_LOAD_BYTES))?,
        helper("read 20 bytes of the packet", |code| {
            on_packet(code, 20, SKB_LOAD_BYTES)
        })?,
        helper("read 40 bytes of the packet", |code| {
            on_packet(code, 40, SKB_LOAD_BYTES)
        })?,
        helper("write 4 bytes of the packet", |code| {
            on_packet(code.set(5, 0), 4, SKB_STORE_BYTES)
        })?,
        helper("write 32 bytes of the packet", |code| {
            on_packet(code.set(5, 0), 32, SKB_STORE_BYTES)
        })?,
        helper("the sum of 8 bytes' difference", |code| difference(code, 8))?,
        helper("the sum of 32 bytes' difference", |code| difference(code, 32))?,
        helper("correct the IPv4 header's sum", |code| {
            correct(code, 24, L3_CSUM_REPLACE)
        })?,
        helper("correct the transport's sum", |code| {
            correct(code, TRANSPORT + 16, L4_CSUM_REPLACE)
        })?,
    ];
    let maps = [
        ("16 bytes in a hash, not there", Kind::Hash, 16),
        ("40 bytes in a hash, not there", Kind::Hash, 40),
        ("an array", Kind::Array, 4),
    ];
    for (name, kind, key) in maps {
        let entries = if kind == Kind::Hash { 30_000 } else { 1 };
        let map = bpf::create_map(kind, key, 8, entries).context(name)?;
        let looks_up = |code: Code| code.map(1, &map).copy(2, 8).call(MAP_LOOKUP_ELEM);
        let helper = helper(name, looks_up)?;
        helpers.push(Helper {
            _map: Some(map),
            ..helper
        });
    }
    Ok(helpers)
}

/// A program that makes a call again and again. Register 6 is the packet, 8 the address of 64 zeroes.
fn helper(name: &'static str, call: impl Fn(Code) -> Code) -> Result<Helper> {
    let mut code = Code::default().copy(6, 1).copy(8, 10).add(8, -64).set(1, 0);
    for offset in (0..64).step_by(4) {
        code = code.write_u32(8, offset, 1);
    }
    for _ in 0..CALLS {
        code = call(code);
    }
    Ok(Helper {
        name,
        program: code.end_with(0).load().context(name)?,
        samples: Vec::new(),
        _map: None,
    })
}

fn on_packet(code: Code, bytes: i32, function: i32) -> Code {
    code.copy(1, 6)
        .set(2, TRANSPORT)
        .copy(3, 8)
        .set(4, bytes)
        .call(function)
}

fn difference(code: Code, bytes: i32) -> Code {
    let code = code.copy(1, 8).set(2, bytes).copy(3, 8).set(4, bytes);
    code.set(5, 0).call(CSUM_DIFF)
}

fn correct(code: Code, at: i32, function: i32) -> Code {
    let code = code.copy(1, 6).set(2, at).set(3, 0).set(4, 1);
    code.set(5, 0).call(function)
}
