//! Programs as filters of the `clsact` queueing discipline, for kernels without tcx. A filter stays until it is taken
//! away; ours are known by their priority and handle.

use std::io;

use aya::programs::{
    ProgramError, SchedClassifier,
    links::Link as _,
    tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle},
};

use super::{
    Loaded,
    attach::{Direction, Target},
};
use crate::host::netlink::{Message, Netlink, word};

/// Before all filters that let the kernel choose their priority.
const PRIORITY: u16 = 1;
const HANDLE: TcHandle = TcHandle::new(0x0fa1, 0x1ead);
const RAW_HANDLE: u32 = 0x0fa1_1ead;

/// Where our filter stands on a device in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// No other filter sees a packet before it.
    First,
    /// Somebody has come before it.
    Later,
}

/// Whether our filter is on a device, and where. A device without filters, or one that has gone, has none of ours.
pub(super) fn place(ifindex: u32, direction: Direction) -> io::Result<Option<Place>> {
    let filters = filters(&mut Netlink::open(0)?, ifindex, direction)?;
    let ours = filters.iter().position(|filter| *filter == RAW_HANDLE);
    Ok(ours.map(|at| if at == 0 { Place::First } else { Place::Later }))
}

/// The handles of a device's filters in the order in which packets meet them.
fn filters(socket: &mut Netlink, ifindex: u32, direction: Direction) -> io::Result<Vec<u32>> {
    const RTM_GETTFILTER: u16 = 46;
    let hook = match direction {
        Direction::Ingress => 0xffff_fff2,
        Direction::Egress => 0xffff_fff3,
    };
    let messages = match socket.dump(RTM_GETTFILTER, &request(ifindex, 0, hook)) {
        Err(error) if is_absence(&error) => return Ok(Vec::new()),
        messages => messages?,
    };
    Ok(messages.iter().filter_map(handle).collect())
}

/// A list begins each priority with an entry that has no handle and stands for no filter.
fn handle(message: &Message) -> Option<u32> {
    const RTM_NEWTFILTER: u16 = 44;
    const TCM_HANDLE: usize = 8;
    let handle = word(&message.payload, TCM_HANDLE)?;
    (message.kind == RTM_NEWTFILTER && handle != 0).then_some(handle)
}

/// `struct tcmsg`: family, interface, handle, parent, information.
fn request(ifindex: u32, handle: u32, parent: u32) -> Vec<u8> {
    [0, ifindex, handle, parent, 0].map(u32::to_ne_bytes).concat()
}

/// Attaches a program, or puts it in the place of an earlier agent's.
pub(super) fn attach(target: &Target, direction: Direction, loaded: &mut Loaded) -> io::Result<()> {
    add_clsact(&target.name)?;
    let name = direction.program(target.layer);
    let program = loaded
        .ebpf()
        .program_mut(name)
        .ok_or_else(|| io::Error::other(format!("no program {name}")))?;
    let program: &mut SchedClassifier = program.try_into().map_err(|error: ProgramError| io_error(error))?;
    let options = NlOptions {
        priority: PRIORITY,
        handle: HANDLE,
        classid: None,
    };
    let new = program.attach_with_options(&target.name, direction.attach_type(), TcAttachOptions::Netlink(options));
    let id = match new.map_err(io_error) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => program
            .attach_to_link(ours(&target.name, direction)?)
            .map_err(io_error)?,
        other => other?,
    };
    // A link that is dropped detaches its program; this one is to outlive the process.
    std::mem::forget(program.take_link(id).map_err(io_error)?);
    Ok(())
}

/// Takes our program from a device. One that has none, or has gone, is no error.
pub(super) fn detach(device: &str, direction: Direction) -> io::Result<()> {
    let Ok(link) = ours(device, direction) else {
        return Ok(());
    };
    match link.detach().map_err(io_error) {
        Err(error) if is_absence(&error) => Ok(()),
        other => other,
    }
}

/// Takes both our programs from a device, and what nobody needs after that.
pub(super) fn remove(device: &str) -> io::Result<()> {
    for direction in Direction::BOTH.into_iter().rev() {
        detach(device, direction)?;
    }
    match remove_if_empty(device) {
        Err(error) if is_absence(&error) => Ok(()),
        other => other,
    }
}

/// The queueing discipline goes with its last filter, whoever made it: without one it does nothing.
fn remove_if_empty(device: &str) -> io::Result<()> {
    const RTM_DELQDISC: u16 = 37;
    const HANDLE: u32 = 0xffff_0000;
    const PARENT: u32 = 0xffff_fff1;
    let ifindex = nix::net::if_::if_nametoindex(device)?;
    let mut socket = Netlink::open(0)?;
    for direction in Direction::BOTH {
        if !filters(&mut socket, ifindex, direction)?.is_empty() {
            return Ok(());
        }
    }
    socket.change(RTM_DELQDISC, &request(ifindex, HANDLE, PARENT))
}

fn ours(device: &str, direction: Direction) -> io::Result<SchedClassifierLink> {
    SchedClassifierLink::attached(device, direction.attach_type(), PRIORITY, HANDLE, None)
}

fn add_clsact(device: &str) -> io::Result<()> {
    match tc::qdisc_add_clsact(device) {
        Err(error) => match io_error(error.into()) {
            error if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            error => Err(error),
        },
        Ok(()) => Ok(()),
    }
}

/// No such filter, no such queueing discipline, no such device.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV | libc::EINVAL))
}

/// The kernel's own answer, where there is one.
fn io_error(error: ProgramError) -> io::Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(code) = current.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return io::Error::from_raw_os_error(code);
        }
        cause = current.source();
    }
    io::Error::other(error.to_string())
}
