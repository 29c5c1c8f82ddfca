//! The few uses of `bpf(2)` that aya has no call for: links by interface index and their update in place, an array of
//! maps made by hand, and a program of a few instructions.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya_obj::generated::{bpf_attach_type, bpf_cmd, bpf_map_type, bpf_prog_type};
use bytemuck::{Pod, Zeroable};

/// `BPF_F_BEFORE`: without a reference, before all other programs of the device.
const BEFORE: u32 = 1 << 3;

/// A program at a hook, for as long as this or a pin of it exists.
#[derive(Debug)]
pub(super) struct LinkFd(OwnedFd);

/// What the kernel says of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkFacts {
    /// The link's id.
    pub(super) id: u32,
    /// The program's id.
    pub(super) program: u32,
    /// The interface of a tcx link; 0 once it is gone.
    pub(super) ifindex: u32,
    /// The cgroup of a cgroup link; 0 once it is gone.
    pub(super) cgroup: u64,
}

impl LinkFd {
    /// Attaches a program to a device, before all others.
    pub(super) fn tcx(program: BorrowedFd<'_>, ifindex: u32, hook: bpf_attach_type) -> io::Result<Self> {
        Self::create(program, ifindex, hook, BEFORE)
    }

    /// Attaches a program to a cgroup, beside others.
    pub(super) fn cgroup(program: BorrowedFd<'_>, cgroup: BorrowedFd<'_>, hook: bpf_attach_type) -> io::Result<Self> {
        Self::create(program, number(cgroup), hook, 0)
    }

    fn create(program: BorrowedFd<'_>, target: u32, hook: bpf_attach_type, flags: u32) -> io::Result<Self> {
        let attributes = LinkCreate {
            program: number(program),
            target,
            hook: hook as u32,
            flags,
            ..LinkCreate::zeroed()
        };
        new_fd(bpf_cmd::BPF_LINK_CREATE, &attributes).map(LinkFd)
    }

    /// A link that was pinned.
    pub(super) fn from_pin(path: &Path) -> io::Result<Self> {
        object(path).map(LinkFd)
    }

    /// Pins it, so that it outlives this process.
    pub(super) fn pin(&self, path: &Path) -> io::Result<()> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let attributes = Object {
            path: path.as_ptr() as u64,
            fd: number(self.0.as_fd()),
            flags: 0,
        };
        bpf(bpf_cmd::BPF_OBJ_PIN, &attributes).map(drop)
    }

    /// Puts another program in the place of the link's, without a moment between them.
    pub(super) fn update(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        let attributes = LinkUpdate {
            link: number(self.0.as_fd()),
            program: number(program),
            ..LinkUpdate::zeroed()
        };
        bpf(bpf_cmd::BPF_LINK_UPDATE, &attributes).map(drop)
    }

    /// Takes the program from its hook at once: without it that happens some time after the last reference has gone.
    pub(super) fn detach(&self) -> io::Result<()> {
        let attributes = [number(self.0.as_fd())];
        bpf(bpf_cmd::BPF_LINK_DETACH, &attributes).map(drop)
    }

    /// What the kernel says of it.
    pub(super) fn facts(&self) -> io::Result<LinkFacts> {
        let mut info = LinkInfo::zeroed();
        let attributes = Info {
            fd: number(self.0.as_fd()),
            len: u32::try_from(size_of::<LinkInfo>()).map_err(io::Error::other)?,
            info: (&raw mut info) as u64,
        };
        bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &attributes)?;
        const CGROUP: u32 = 3;
        const TCX: u32 = 11;
        let target = info.target;
        Ok(LinkFacts {
            id: info.id,
            program: info.program,
            ifindex: if info.kind == TCX {
                (target & 0xffff_ffff) as u32
            } else {
                0
            },
            cgroup: if info.kind == CGROUP { target } else { 0 },
        })
    }
}

/// Makes an array of one map whose entry may be any array of one u32.
pub(super) fn array_of_maps(inner: impl AsFd) -> io::Result<OwnedFd> {
    let attributes = MapCreate {
        kind: bpf_map_type::BPF_MAP_TYPE_ARRAY_OF_MAPS as u32,
        key: 4,
        value: 4,
        entries: 1,
        flags: 0,
        inner: number(inner.as_fd()),
    };
    new_fd(bpf_cmd::BPF_MAP_CREATE, &attributes)
}

/// One instruction of a program.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Instruction {
    pub(super) code: u8,
    /// Destination in the low four bits, source in the high ones.
    pub(super) registers: u8,
    pub(super) offset: i16,
    pub(super) immediate: i32,
}

/// Loads a classifier made of a few instructions.
pub(super) fn classifier(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let licence = c"GPL";
    let attributes = ProgramLoad {
        kind: bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS as u32,
        count: u32::try_from(instructions.len()).map_err(io::Error::other)?,
        instructions: instructions.as_ptr() as u64,
        licence: licence.as_ptr() as u64,
        ..ProgramLoad::zeroed()
    };
    new_fd(bpf_cmd::BPF_PROG_LOAD, &attributes)
}

/// Runs a classifier once over a packet and says what it returned.
pub(super) fn run(program: impl AsFd, packet: &[u8]) -> io::Result<u32> {
    let mut attributes = TestRun {
        program: number(program.as_fd()),
        data_len: u32::try_from(packet.len()).map_err(io::Error::other)?,
        data: packet.as_ptr() as u64,
        ..TestRun::zeroed()
    };
    bpf_mut(bpf_cmd::BPF_PROG_TEST_RUN, &mut attributes)?;
    Ok(attributes.returned)
}

fn object(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attributes = Object {
        path: path.as_ptr() as u64,
        fd: 0,
        flags: 0,
    };
    new_fd(bpf_cmd::BPF_OBJ_GET, &attributes)
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
struct LinkUpdate {
    link: u32,
    program: u32,
    flags: u32,
    old_program: u32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Object {
    path: u64,
    fd: u32,
    flags: u32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Info {
    fd: u32,
    len: u32,
    info: u64,
}

/// The head of `struct bpf_link_info`, with the first word of its union: `(ifindex, attach_type)` of a tcx link, the
/// cgroup's id of a cgroup link.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    zero: u32,
    target: u64,
    rest: [u64; 8],
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct MapCreate {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
    flags: u32,
    inner: u32,
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
struct TestRun {
    program: u32,
    returned: u32,
    data_len: u32,
    out_len: u32,
    data: u64,
    out: u64,
    repeat: u32,
    duration: u32,
}

fn new_fd<T: Pod>(command: bpf_cmd, attributes: &T) -> io::Result<OwnedFd> {
    let fd = bpf(command, attributes)?;
    // SAFETY: the command has just returned this descriptor, and nothing else in the process knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf<T: Pod>(command: bpf_cmd, attributes: &T) -> io::Result<i32> {
    bpf_mut(command, &mut { *attributes })
}

/// The kernel takes the attributes as a prefix of a longer structure whose rest is zero.
fn bpf_mut<T: Pod>(command: bpf_cmd, attributes: &mut T) -> io::Result<i32> {
    // SAFETY: the kernel reads and writes at most the given size of `attributes`, any bytes of which are a value. The
    // addresses in it point into buffers that the callers above own and that outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command as i32, attributes as *mut T, size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(io::Error::other)
}

/// A descriptor as the kernel's attributes have it. An open one is never negative.
fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}
