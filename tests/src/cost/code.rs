//! Programs of a few instructions, written one by one. The codes are those of `linux/bpf.h`.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
};

use crate::kernel::bpf::{self, Instruction};

/// `bpf_map_lookup_elem`.
pub(super) const MAP_LOOKUP_ELEM: i32 = 1;
/// `bpf_skb_store_bytes`.
pub(super) const SKB_STORE_BYTES: i32 = 9;
/// `bpf_tail_call`.
pub(super) const TAIL_CALL: i32 = 12;
/// `bpf_skb_change_tail`.
pub(super) const SKB_CHANGE_TAIL: i32 = 38;
/// `bpf_skb_adjust_room`.
pub(super) const SKB_ADJUST_ROOM: i32 = 50;

/// `BPF_PSEUDO_MAP_FD`, `BPF_PSEUDO_MAP_VALUE`: what the 64 bits of a load are a descriptor of.
const MAP: u8 = 1;
const MAP_VALUE: u8 = 2;

/// A program that is being written. Registers are numbers: 0 is what a call returns, 1 to 5 are its arguments, 6 to 9
/// outlive it.
#[derive(Debug, Default)]
pub(super) struct Code(Vec<Instruction>);

impl Code {
    /// `to = from`.
    pub(super) fn copy(self, to: u8, from: u8) -> Self {
        self.push(0xbf, to, from, 0, 0)
    }

    /// `to = number`.
    pub(super) fn set(self, to: u8, number: i32) -> Self {
        self.push(0xb7, to, 0, 0, number)
    }

    /// `to += number`.
    pub(super) fn add(self, to: u8, number: i32) -> Self {
        self.push(0x07, to, 0, 0, number)
    }

    /// `to = *(u32 *)(from + offset)`.
    pub(super) fn read_u32(self, to: u8, from: u8, offset: i16) -> Self {
        self.push(0x61, to, from, offset, 0)
    }

    /// `*(u32 *)(to + offset) = from`.
    pub(super) fn write_u32(self, to: u8, offset: i16, from: u8) -> Self {
        self.push(0x63, to, from, offset, 0)
    }

    /// `*(u16 *)(to + offset) = from`.
    pub(super) fn write_u16(self, to: u8, offset: i16, from: u8) -> Self {
        self.push(0x6b, to, from, offset, 0)
    }

    /// `to` becomes a map.
    pub(super) fn map(self, to: u8, map: impl AsFd) -> Self {
        let map = map.as_fd().as_raw_fd();
        self.push(0x18, to, MAP, 0, map).push(0, 0, 0, 0, 0)
    }

    /// `to` becomes the address of a byte of an array's only entry.
    pub(super) fn map_value(self, to: u8, map: impl AsFd, offset: i32) -> Self {
        let map = map.as_fd().as_raw_fd();
        self.push(0x18, to, MAP_VALUE, 0, map).push(0, 0, 0, 0, offset)
    }

    /// Calls one of the kernel's functions.
    pub(super) fn call(self, function: i32) -> Self {
        self.push(0x85, 0, 0, 0, function)
    }

    /// Leaves out so many instructions if `register` is zero.
    pub(super) fn skip_if_zero(self, register: u8, instructions: i16) -> Self {
        self.push(0x15, register, 0, instructions, 0)
    }

    /// Ends with a number.
    pub(super) fn end_with(self, number: i32) -> Self {
        self.set(0, number).end()
    }

    /// Ends with what register 0 holds.
    pub(super) fn end(self) -> Self {
        self.push(0x95, 0, 0, 0, 0)
    }

    /// Loads it as a classifier.
    pub(super) fn load(&self) -> io::Result<OwnedFd> {
        bpf::load_classifier(&self.0)
    }

    fn push(mut self, code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Self {
        self.0.push(Instruction {
            code,
            registers: from << 4 | to,
            offset,
            immediate,
        });
        self
    }
}
