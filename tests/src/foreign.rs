//! Programs of others on the packet's way: each returns one verdict and does nothing else.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use anyhow::{Context, Result};
use nix::libc;

use crate::netns::NetNs;

/// What a program of a tcx hook says of every packet (`enum tcx_action_base` of linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let the next program say.
    Next,
    /// Let the packet go on; programs after this one are not asked.
    Pass,
    /// Away with it.
    Drop,
}

/// Which packets of a device a program sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those that come in.
    Ingress,
    /// Those that leave.
    Egress,
}

/// Where among the programs of a device one is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Before all.
    First,
    /// After all.
    Last,
}

/// A program at a device; it is taken away when this goes.
#[derive(Debug)]
#[must_use]
pub struct Foreign {
    _link: OwnedFd,
}

impl Foreign {
    /// Attaches a program by tcx (Linux 6.6) to a device of a namespace.
    ///
    /// # Errors
    /// When there is no such device, or the kernel refuses.
    pub fn attach(netns: &NetNs, device: &str, side: Side, order: Order, verdict: Verdict) -> Result<Self> {
        let attached = netns.run(|| here(device, side, order, verdict))?;
        attached.with_context(|| format!("{verdict:?} {order:?} at the {side:?} of {device} in {}", netns.name()))
    }
}

/// Attaches a program to a device of the thread's own namespace.
///
/// # Errors
/// As [`Foreign::attach`].
pub fn here(device: &str, side: Side, order: Order, verdict: Verdict) -> io::Result<Foreign> {
    const LINK_CREATE: i32 = 28;
    const BEFORE: u32 = 1 << 3;
    const AFTER: u32 = 1 << 4;
    let program = program(verdict)?;
    let hook = match side {
        Side::Ingress => 46,
        Side::Egress => 47,
    };
    let flags = match order {
        Order::First => BEFORE,
        Order::Last => AFTER,
    };
    let ifindex = nix::net::if_::if_nametoindex(device)?;
    // Program, target, hook, flags, another link to stand beside (none), and the revision that is expected (any).
    let attributes = [program.as_raw_fd().cast_unsigned(), ifindex, hook, flags, 0, 0, 0, 0];
    Ok(Foreign {
        _link: bpf(LINK_CREATE, &attributes)?,
    })
}

fn program(verdict: Verdict) -> io::Result<OwnedFd> {
    const PROG_LOAD: i32 = 5;
    const SCHED_CLS: u64 = 3;
    const MOVE_TO_R0: u64 = 0xb7;
    const EXIT: u64 = 0x95;
    let returned: i32 = match verdict {
        Verdict::Next => -1,
        Verdict::Pass => 0,
        Verdict::Drop => 2,
    };
    let instructions = [MOVE_TO_R0 | u64::from(returned.cast_unsigned()) << 32, EXIT];
    let licence = c"GPL";
    // Kind and count, the instructions, the licence; no log, no version, no flags.
    let attributes = [
        SCHED_CLS | 2 << 32,
        instructions.as_ptr() as u64,
        licence.as_ptr() as u64,
        0,
        0,
        0,
    ];
    bpf(PROG_LOAD, &attributes)
}

/// A command of `bpf(2)` that makes a descriptor; the attributes are words of one size.
fn bpf<T, const N: usize>(command: i32, attributes: &[T; N]) -> io::Result<OwnedFd> {
    // SAFETY: both commands read no more than the given size, and the addresses in it are of values that the callers
    // hold meanwhile.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), size_of_val(attributes)) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor, and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
