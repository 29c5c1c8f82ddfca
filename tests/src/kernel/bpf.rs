//! `bpf(2)`, as far as tests need it: maps as bytes, test-runs with a context and flags that aya has no room for, and
//! programs of a few instructions.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd},
};

use bytemuck::{Pod, Zeroable};
use nix::libc;
use proxy_common::node::Hook;

const MAP_CREATE: i32 = 0;
const MAP_LOOKUP_ELEM: i32 = 1;
const MAP_UPDATE_ELEM: i32 = 2;
const MAP_DELETE_ELEM: i32 = 3;
const MAP_GET_NEXT_KEY: i32 = 4;
const PROG_LOAD: i32 = 5;
const PROG_TEST_RUN: i32 = 10;
const LINK_CREATE: i32 = 28;

/// Lets the kernel sum up the packet as a card would, and compare that with the packet afterwards: `EBADMSG` if a
/// program has not kept the sum (`BPF_F_TEST_SKB_CHECKSUM_COMPLETE`, Linux 6.16).
pub const CHECKSUM_COMPLETE: u32 = 1 << 2;

const SCHED_CLS: u32 = 3;

/// What of a map's kinds tests make by themselves; the numbers are those of `enum bpf_map_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// A hash, preallocated.
    Hash = 1,
    /// An array.
    Array = 2,
    /// Programs to go on with.
    Programs = 3,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct MapCreate {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
    flags: u32,
}

/// One instruction of a program.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Instruction {
    /// What is done.
    pub code: u8,
    /// Destination in the low four bits, source in the high ones.
    pub registers: u8,
    /// How far to jump, or where in memory, in the machine's byte order.
    pub offset: i16,
    /// A number of the instruction's own.
    pub immediate: i32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    hook: u32,
    flags: u32,
    relative: u32,
    zero: u32,
    revision: u64,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct ProgramLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel: u32,
    flags: u32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Element {
    map: u32,
    zero: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct TestRun {
    program: u32,
    returned: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_size_in: u32,
    context_size_out: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch: u32,
    zero: u32,
}

/// What of `struct __sk_buff` a test-run may set.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Context {
    before: [u32; 10],
    interface: u32,
    between: [u32; 30],
    segments: u32,
    socket: u64,
    segment_size: u32,
    time_type: u32,
    hardware_time: u64,
}

const _: () = {
    assert!(core::mem::offset_of!(Context, interface) == 40);
    assert!(core::mem::offset_of!(Context, segments) == 164);
    assert!(core::mem::offset_of!(Context, segment_size) == 176);
    assert!(size_of::<Context>() == 192);
};

impl Context {
    /// A packet at an interface that stands for so many segments; 0: it is one. How many there are nobody has counted
    /// yet: a driver need not.
    pub fn new(interface: u32, segments: u32) -> Self {
        Context {
            interface,
            segments: 0,
            segment_size: if segments == 0 { 0 } else { 1000 },
            ..Context::zeroed()
        }
    }
}

/// How a test-run went.
pub struct Ran {
    /// What the program returned.
    pub returned: i32,
    /// The packet afterwards.
    pub data: Vec<u8>,
    /// How long one run took on average, in whole nanoseconds.
    pub nanoseconds: u32,
}

/// Makes a map.
pub fn create_map(kind: Kind, key: usize, value: usize, entries: u32) -> io::Result<OwnedFd> {
    let size = |bytes: usize| u32::try_from(bytes).map_err(io::Error::other);
    new_fd(
        MAP_CREATE,
        &mut MapCreate {
            kind: kind as u32,
            key: size(key)?,
            value: size(value)?,
            entries,
            flags: 0,
        },
    )
}

/// Puts a classifier behind all others of a device of this thread's namespace, until the link is dropped.
pub fn attach_last(program: impl AsFd, interface: u32, hook: Hook) -> io::Result<OwnedFd> {
    const AFTER: u32 = 1 << 4;
    const TCX_INGRESS: u32 = 46;
    const TCX_EGRESS: u32 = 47;
    let hook = match hook {
        Hook::Ingress => TCX_INGRESS,
        Hook::Egress => TCX_EGRESS,
        Hook::Socket => return Err(io::ErrorKind::InvalidInput.into()),
    };
    new_fd(
        LINK_CREATE,
        &mut LinkCreate {
            program: number(program),
            target: interface,
            hook,
            flags: AFTER,
            ..LinkCreate::zeroed()
        },
    )
}

/// Loads a classifier made of instructions.
pub fn load_classifier(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let mut log = vec![0_u8; 1 << 16];
    let mut attributes = ProgramLoad {
        kind: SCHED_CLS,
        count: u32::try_from(instructions.len()).map_err(io::Error::other)?,
        instructions: instructions.as_ptr() as u64,
        licence: c"GPL".as_ptr() as u64,
        log_level: 1,
        log_size: length(&log),
        log: log.as_mut_ptr() as u64,
        ..ProgramLoad::zeroed()
    };
    new_fd(PROG_LOAD, &mut attributes).map_err(|error| {
        let said = log.split(|byte| *byte == 0).next().unwrap_or_default();
        io::Error::new(error.kind(), format!("{error}: {}", String::from_utf8_lossy(said)))
    })
}

/// Writes an entry.
pub fn update(map: impl AsFd, key: &[u8], value: &[u8]) -> io::Result<()> {
    let value = value.as_ptr() as u64;
    call(MAP_UPDATE_ELEM, &mut element(map, key, value)).map(drop)
}

/// Reads an entry of so many bytes.
pub fn look_up(map: impl AsFd, key: &[u8], size: usize) -> io::Result<Option<Vec<u8>>> {
    let mut value = vec![0; size];
    let found = call(MAP_LOOKUP_ELEM, &mut element(map, key, value.as_mut_ptr() as u64));
    absent(found).map(|found| found.then_some(value))
}

/// Deletes an entry, if it is there.
pub fn delete(map: impl AsFd, key: &[u8]) -> io::Result<()> {
    absent(call(MAP_DELETE_ELEM, &mut element(map, key, 0))).map(drop)
}

/// All keys of a map.
pub fn keys(map: impl AsFd + Copy, size: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut next = vec![0; size];
        let mut element = element(map, &[], next.as_mut_ptr() as u64);
        element.key = keys.last().map_or(0, |key| key.as_ptr() as u64);
        if !absent(call(MAP_GET_NEXT_KEY, &mut element))? {
            return Ok(keys);
        }
        keys.push(next);
    }
}

/// Runs a program over a packet; the packet may grow by up to 256 bytes.
pub fn run_by_test(program: impl AsFd, data: &[u8], context: &Context, repeat: u32, flags: u32) -> io::Result<Ran> {
    let mut out = vec![0; data.len() + 256];
    let mut attributes = TestRun {
        program: number(program),
        data_size_in: length(data),
        data_size_out: length(&out),
        data_in: data.as_ptr() as u64,
        data_out: out.as_mut_ptr() as u64,
        repeat,
        context_size_in: length(bytemuck::bytes_of(context)),
        context_in: core::ptr::from_ref(context) as u64,
        flags,
        ..TestRun::zeroed()
    };
    call(PROG_TEST_RUN, &mut attributes)?;
    out.truncate(attributes.data_size_out as usize);
    Ok(Ran {
        returned: attributes.returned.cast_signed(),
        data: out,
        nanoseconds: attributes.duration,
    })
}

fn element(map: impl AsFd, key: &[u8], value: u64) -> Element {
    Element {
        map: number(map),
        zero: 0,
        key: key.as_ptr() as u64,
        value,
        flags: 0,
    }
}

/// Whether an entry was there.
fn absent(result: io::Result<i32>) -> io::Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn number(fd: impl AsFd) -> u32 {
    fd.as_fd().as_raw_fd().cast_unsigned()
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a packet is short")
}

fn new_fd<T: Pod>(command: i32, attributes: &mut T) -> io::Result<OwnedFd> {
    let fd = call(command, attributes)?;
    // SAFETY: the command has just returned this descriptor, and nothing else in the process knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn call<T: Pod>(command: i32, attributes: &mut T) -> io::Result<i32> {
    // SAFETY: the kernel reads and writes at most the given size of `attributes`, any bytes of which are a value. The
    // addresses in it are of buffers that the callers above own, that outlive the call, and whose sizes are those of the
    // map's keys and values or are given beside them.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, core::ptr::from_mut(attributes), size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(io::Error::other)
}
