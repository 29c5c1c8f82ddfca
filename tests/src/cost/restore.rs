//! A program under the clock, again and again with the same packet.
//!
//! The kernel's test-run does not put a packet back between two runs: the second would meet what the first has made of
//! it. So what runs is a program of a few instructions that writes the packet's bytes back and goes on (by a tail call)
//! with the program that is measured. The same with a program that does nothing tells what that costs; it is taken off.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context as _, Result, ensure};
use proxy_ebpf::testing::packet::Wire;

use super::{
    code::{Code, SKB_ADJUST_ROOM, SKB_CHANGE_TAIL, SKB_STORE_BYTES, TAIL_CALL},
    timer, yardstick,
};
use crate::kernel::bpf::{self, Kind};

/// What the restoring program returns if it could not go on.
const STUCK: i32 = 77;
const ADJ_ROOM_MAC: i32 = 1;
const ADJ_ROOM_NO_CSUM_RESET: i32 = 1 << 5;

/// What is put back before each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restored {
    /// The bytes.
    Bytes,
    /// The bytes with another source port each time, whose place is given: each packet opens a flow of its own. The
    /// checksum does not follow; programs do not look at it. From 1 on; so up to 65,535 times.
    NewFlow(u16),
    /// The bytes, and before that the length: of so many bytes of headers that a refusal has put in front. The price
    /// of that is not taken off.
    Length(u8),
}

/// A program and the packet that it gets.
#[derive(Debug)]
pub(super) struct Restoring {
    goes_on: Restorer,
    stops: Restorer,
    packet: Vec<u8>,
    interface: u32,
}

impl Restoring {
    /// Puts the restoring program before another.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn load(program: BorrowedFd<'_>, interface: u32, packet: &Wire, restored: Restored) -> Result<Self> {
        let nothing = yardstick::nothing()?;
        // Doing nothing does not change a length, either.
        let idle = match restored {
            Restored::Length(_) => Restored::Bytes,
            Restored::Bytes | Restored::NewFlow(_) => restored,
        };
        Ok(Self {
            goes_on: Restorer::load(program, &packet.bytes, restored)?,
            stops: Restorer::load(nothing.as_fd(), &packet.bytes, idle)?,
            packet: packet.bytes.clone(),
            interface,
        })
    }

    /// How long the program takes, ns, without what restoring takes.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn time(&self, runs: u32) -> Result<f64> {
        let restored = self.time_of(&self.stops, runs)?;
        Ok(self.time_of(&self.goes_on, runs)? - restored)
    }

    fn time_of(&self, restorer: &Restorer, runs: u32) -> Result<f64> {
        let timed = timer::time(&restorer.program, &self.packet, self.interface, runs)?;
        ensure!(timed.returned != STUCK, "the restoring program did not go on");
        Ok(timed.nanoseconds)
    }
}

/// A restoring program and what it goes on with.
#[derive(Debug)]
struct Restorer {
    program: OwnedFd,
    // The program names them by number only.
    _packet: OwnedFd,
    _next: OwnedFd,
}

impl Restorer {
    fn load(next: BorrowedFd<'_>, packet: &[u8], restored: Restored) -> Result<Self> {
        use std::os::fd::AsRawFd as _;
        let counter = packet.len().next_multiple_of(4);
        let value = bpf::create_map(Kind::Array, 4, counter + 4, 1).context("an array")?;
        let mut bytes = packet.to_vec();
        bytes.resize(counter + 4, 0);
        bpf::update(&value, &0_u32.to_ne_bytes(), &bytes)?;
        let programs = bpf::create_map(Kind::Programs, 4, 4, 1).context("an array of programs")?;
        let next = next.as_raw_fd();
        bpf::update(&programs, &0_u32.to_ne_bytes(), &next.to_ne_bytes()).context("the next program")?;
        let length = i32::try_from(packet.len())?;
        let code = Code::default().copy(6, 1);
        let code = match restored {
            Restored::Bytes => code,
            Restored::NewFlow(port) => count_port(code, &value, i16::try_from(counter)?, i16::try_from(port)?),
            Restored::Length(headers) => shrink(code, i32::from(headers), length),
        };
        let code = code
            .copy(1, 6)
            .set(2, 0)
            .map_value(3, &value, 0)
            .set(4, length)
            .set(5, 0)
            .call(SKB_STORE_BYTES)
            .copy(1, 6)
            .map(2, &programs)
            .set(3, 0)
            .call(TAIL_CALL)
            .end_with(STUCK);
        Ok(Self {
            program: code.load().context("the restoring program")?,
            _packet: value,
            _next: programs,
        })
    }
}

/// Writes the next number to where a port stands in the bytes that are put back.
fn count_port(code: Code, value: &OwnedFd, counter: i16, port: i16) -> Code {
    code.map_value(7, value, 0)
        .read_u32(1, 7, counter)
        .add(1, 1)
        .write_u32(7, counter, 1)
        .write_u16(7, port, 1)
}

/// Takes headers away, and gives the packet back the length it had.
fn shrink(code: Code, headers: i32, length: i32) -> Code {
    code.copy(1, 6)
        .set(2, -headers)
        .set(3, ADJ_ROOM_MAC)
        .set(4, ADJ_ROOM_NO_CSUM_RESET)
        .call(SKB_ADJUST_ROOM)
        .copy(1, 6)
        .set(2, length)
        .set(3, 0)
        .call(SKB_CHANGE_TAIL)
}
