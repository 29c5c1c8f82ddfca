//! How many BPF programs stand at hooks where a proxy's would stand.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use aya::programs::{SchedClassifier, TcAttachType};
use nix::libc;

use crate::netns::NetNs;

/// The hooks of a cgroup at which addresses of sockets are translated (`enum bpf_attach_type` of linux/bpf.h).
const SOCKET_HOOKS: [(&str, u32); 8] = [
    ("connect4", 10),
    ("connect6", 11),
    ("sendmsg4", 14),
    ("sendmsg6", 15),
    ("recvmsg4", 19),
    ("recvmsg6", 20),
    ("getpeername4", 29),
    ("getpeername6", 30),
];

/// A place for programs that has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hook {
    /// The device or the cgroup's hook, as a person reads it.
    pub(super) name: String,
    /// How many programs it has.
    pub(super) programs: usize,
}

/// The devices of a namespace that have programs: tcx (where the kernel has it), filters of `clsact`, XDP.
pub(super) fn at_devices(netns: &NetNs) -> Result<Vec<Hook>> {
    let mut found = netns.run(at_tcx)??;
    for (tool, arguments, word) in [
        ("tc", &["qdisc", "show"][..], "clsact"),
        ("ip", &["link", "show"][..], "prog/xdp"),
    ] {
        let said = netns.tool(tool, arguments)?;
        for line in said.lines().filter(|line| line.contains(word)) {
            found.push(Hook {
                name: format!("{word} ({})", line.trim()),
                programs: 1,
            });
        }
    }
    Ok(found)
}

/// Of the calling thread's namespace.
fn at_tcx() -> Result<Vec<Hook>> {
    let mut found = Vec::new();
    for device in nix::net::if_::if_nameindex()?.iter() {
        let name = device.name().to_string_lossy().into_owned();
        for (side, hook) in [("ingress", TcAttachType::Ingress), ("egress", TcAttachType::Egress)] {
            // A kernel without tcx cannot say, and has none.
            let Ok((_, programs)) = SchedClassifier::query_tcx(&name, hook) else {
                continue;
            };
            if !programs.is_empty() {
                found.push(Hook {
                    name: format!("{side} of {name}"),
                    programs: programs.len(),
                });
            }
        }
    }
    Ok(found)
}

/// The hooks at which a program sees the sockets of a cgroup, be it attached there or above.
pub(super) fn at_cgroup(path: &Path) -> Result<Vec<Hook>> {
    let folder = File::open(path).with_context(|| format!("{}", path.display()))?;
    let mut found = Vec::new();
    for (name, hook) in SOCKET_HOOKS {
        let programs = effective(&folder, hook).map_err(|error| anyhow!("{name} of {}: {error}", path.display()))?;
        if programs > 0 {
            found.push(Hook {
                name: name.to_owned(),
                programs,
            });
        }
    }
    Ok(found)
}

/// How many programs a hook of a cgroup has, those of its parents counted (`BPF_F_QUERY_EFFECTIVE`).
fn effective(cgroup: &File, hook: u32) -> io::Result<usize> {
    const PROG_QUERY: i32 = 16;
    const EFFECTIVE: u32 = 1;
    let fd = cgroup.as_raw_fd().cast_unsigned();
    // Target, hook, what is asked for, what is answered, the address of a list (none, in two words), its length, nothing.
    let mut attributes = [fd, hook, EFFECTIVE, 0, 0, 0, 0, 0];
    // SAFETY: the command reads and writes no more than the given size, and without a list it writes nowhere else.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_QUERY,
            attributes.as_mut_ptr(),
            size_of_val(&attributes),
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    usize::try_from(attributes[6]).map_err(io::Error::other)
}
