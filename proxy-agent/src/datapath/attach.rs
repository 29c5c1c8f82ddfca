//! Programs at devices and at the cgroup, pinned where the kernel has links for them and adopted at the next start.
//!
//! Both programs stand before those of others, in both directions. At ingress a program before ours could end the chain
//! or redirect, and a request would go on with a service address that nobody answers; at egress it would be a reply that
//! its client does not know. Programs of others so see at ingress what the host sees, and at egress the wire, as they do
//! beside kube-proxy. Ours let the chain go on. `status` says where somebody has come before ours since.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::Path,
};

use aya::{
    programs::{SchedClassifier, TcAttachType},
    util::KernelVersion,
};
use aya_obj::generated::bpf_attach_type::{self, BPF_TCX_EGRESS, BPF_TCX_INGRESS};

use super::{HostError, Loaded, Pins, clsact, load::SOCKET_HOOKS, syscall::LinkFd};

/// By which of the kernel's ways programs are attached to devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Links that can be pinned: Linux 6.6 and later.
    Tcx,
    /// Filters of the `clsact` queueing discipline.
    Clsact,
}

impl Way {
    /// The best one that the kernel has.
    #[must_use]
    pub fn of_this_kernel() -> Self {
        if KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(6, 6, 0)) {
            Way::Tcx
        } else {
            Way::Clsact
        }
    }
}

/// What stands before a packet on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// An Ethernet header.
    Link,
    /// Nothing.
    Network,
}

/// A device that is to carry the programs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its interface index.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// What stands before a packet.
    pub layer: Layer,
}

/// A direction, in the order in which a device gets its programs: replies must be turned back from the first request on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// What leaves by the device.
    Egress,
    /// What comes in from it.
    Ingress,
}

impl Direction {
    /// Both, in the order in which a device gets its programs.
    pub const BOTH: [Direction; 2] = [Direction::Egress, Direction::Ingress];

    /// As the programs and pins are called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }

    /// The program for a layer.
    #[must_use]
    pub const fn program(self, layer: Layer) -> &'static str {
        match (self, layer) {
            (Direction::Ingress, Layer::Link) => "ingress",
            (Direction::Egress, Layer::Link) => "egress",
            (Direction::Ingress, Layer::Network) => "ingress_l3",
            (Direction::Egress, Layer::Network) => "egress_l3",
        }
    }

    /// The hook of a tcx link.
    const fn hook(self) -> bpf_attach_type {
        match self {
            Direction::Ingress => BPF_TCX_INGRESS,
            Direction::Egress => BPF_TCX_EGRESS,
        }
    }

    /// The hook in aya's words.
    #[must_use]
    pub const fn attach_type(self) -> TcAttachType {
        match self {
            Direction::Ingress => TcAttachType::Ingress,
            Direction::Egress => TcAttachType::Egress,
        }
    }
}

/// The devices that carry the programs.
pub struct Devices {
    pins: Pins,
    way: Way,
    attached: BTreeMap<u32, Target>,
    /// Names of devices on which an earlier agent has left filters.
    left: BTreeMap<u32, String>,
}

impl Devices {
    /// No devices yet; those of an earlier agent are taken over when they are attached to.
    #[must_use]
    pub const fn new(pins: Pins, way: Way) -> Self {
        Devices {
            pins,
            way,
            attached: BTreeMap::new(),
            left: BTreeMap::new(),
        }
    }

    /// Looks on which of these devices an earlier agent has left filters; links have pins and need no looking for.
    ///
    /// # Errors
    /// The kernel's.
    pub fn look_for_filters<'a>(&mut self, devices: impl Iterator<Item = (u32, &'a str)>) -> io::Result<()> {
        if self.way == Way::Tcx {
            return Ok(());
        }
        for (ifindex, name) in devices {
            for direction in Direction::BOTH {
                if clsact::place(ifindex, direction)?.is_some() {
                    self.left.insert(ifindex, name.to_owned());
                }
            }
        }
        Ok(())
    }

    /// The devices that carry both programs.
    #[must_use]
    pub const fn attached(&self) -> &BTreeMap<u32, Target> {
        &self.attached
    }

    /// Attaches both programs to a device, or puts these programs in the place of an earlier agent's.
    ///
    /// # Errors
    /// The kernel's. A device that has gone in the meantime is one.
    pub fn attach(&mut self, target: &Target, loaded: &mut Loaded) -> io::Result<()> {
        if self
            .attached
            .get(&target.ifindex)
            .is_some_and(|known| known.layer == target.layer)
        {
            self.attached.insert(target.ifindex, target.clone());
            return Ok(());
        }
        // Should only one of the two succeed, the device must be known as one to be cleaned.
        self.left.insert(target.ifindex, target.name.clone());
        for direction in Direction::BOTH {
            loaded
                .ensure(direction.program(target.layer))
                .map_err(io::Error::other)?;
            match self.way {
                Way::Tcx => self.attach_link(target, direction, loaded)?,
                Way::Clsact => clsact::attach(target, direction, loaded)?,
            }
        }
        self.left.remove(&target.ifindex);
        self.attached.insert(target.ifindex, target.clone());
        Ok(())
    }

    /// Takes both programs from a device that is no longer to carry them, or that has gone.
    ///
    /// # Errors
    /// If a pin cannot be removed or the kernel refuses.
    pub fn detach(&mut self, ifindex: u32) -> io::Result<()> {
        // A device whose programs could not be taken away stays known: it will be tried again.
        if let Some(target) = self.attached.remove(&ifindex) {
            self.left.insert(ifindex, target.name);
        }
        let device = self.left.get(&ifindex).cloned();
        for direction in Direction::BOTH.into_iter().rev() {
            match self.way {
                Way::Tcx => take_away(&self.pins.device_link(ifindex, direction.name()))?,
                Way::Clsact => {
                    if let Some(device) = &device {
                        clsact::detach(device, direction)?;
                    }
                }
            }
        }
        self.left.remove(&ifindex);
        Ok(())
    }

    /// Interfaces that carry programs, or for which an earlier agent has left pins.
    ///
    /// # Errors
    /// If the folder of the links cannot be read.
    pub fn carrying(&self) -> io::Result<Vec<u32>> {
        let mut found = self.pinned()?;
        found.extend(self.attached.keys());
        found.extend(self.left.keys());
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Whether a device carries one of the programs, be it that of an agent before this one.
    #[must_use]
    pub fn is_attached(&self, ifindex: u32, direction: Direction) -> bool {
        is_attached(&self.pins, self.way, ifindex, direction)
    }

    fn pinned(&self) -> io::Result<Vec<u32>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.pins.links())? {
            let name = entry?.file_name();
            let index = name
                .to_str()
                .and_then(|name| name.split_once('_'))
                .map(|(index, _)| index.parse());
            if let Some(Ok(index)) = index {
                found.push(index);
            }
        }
        Ok(found)
    }

    fn attach_link(&self, target: &Target, direction: Direction, loaded: &Loaded) -> io::Result<()> {
        let program = loaded
            .program(direction.program(target.layer))
            .map_err(io::Error::other)?;
        let pin = self.pins.device_link(target.ifindex, direction.name());
        match LinkFd::from_pin(&pin) {
            Ok(link) if link.facts()?.ifindex == target.ifindex => return link.update(program),
            // A device that has gone, or another namespace's of the same number.
            Ok(_) => remove(&pin)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        LinkFd::tcx(program, target.ifindex, direction.hook())?.pin(&pin)
    }
}

/// Whether our program is the first that a packet meets on a device in one direction.
///
/// # Errors
/// If the kernel cannot say: it has no tcx, or the device has gone.
pub fn is_first(pins: &Pins, way: Way, target: &Target, direction: Direction) -> io::Result<bool> {
    if way == Way::Clsact {
        return Ok(clsact::place(target.ifindex, direction)? == Some(clsact::Place::First));
    }
    let link = LinkFd::from_pin(&pins.device_link(target.ifindex, direction.name()))?;
    let ours = link.facts()?.program;
    let (_, programs) = SchedClassifier::query_tcx(&target.name, direction.attach_type()).map_err(io::Error::other)?;
    Ok(programs.first().is_some_and(|program| program.id() == ours))
}

/// Whether a device carries our program in one direction.
#[must_use]
pub fn is_attached(pins: &Pins, way: Way, ifindex: u32, direction: Direction) -> bool {
    match way {
        Way::Tcx => {
            let link = LinkFd::from_pin(&pins.device_link(ifindex, direction.name()));
            link.and_then(|link| link.facts())
                .is_ok_and(|facts| facts.ifindex == ifindex)
        }
        Way::Clsact => clsact::place(ifindex, direction).is_ok_and(|place| place.is_some()),
    }
}

/// The kernel's number of the link of a device, which stays the same while programs are replaced.
///
/// # Errors
/// If there is no pin.
pub fn link_id(pins: &Pins, ifindex: u32, direction: Direction) -> io::Result<u32> {
    Ok(LinkFd::from_pin(&pins.device_link(ifindex, direction.name()))?
        .facts()?
        .id)
}

/// Attaches the socket hooks to a cgroup, or puts these programs in the place of an earlier agent's; `None`: takes them
/// away.
///
/// # Errors
/// If the kernel refuses.
pub fn sockets(pins: &Pins, loaded: &Loaded, cgroup: Option<&Path>) -> Result<(), HostError> {
    let Some(path) = cgroup else {
        for hook in SOCKET_HOOKS {
            let pin = pins.socket_link(hook);
            take_away(&pin).map_err(|error| HostError::Pins {
                path: pin,
                reason: error.to_string(),
            })?;
        }
        return Ok(());
    };
    let failed = |why: String| HostError::Cgroup {
        path: path.to_owned(),
        why,
    };
    let folder = File::open(path).map_err(|error| failed(error.to_string()))?;
    for hook in SOCKET_HOOKS {
        let attached = attach_socket(pins, loaded, &folder, hook);
        attached.map_err(|error| failed(format!("attaching {hook}: {error}")))?;
    }
    Ok(())
}

fn attach_socket(pins: &Pins, loaded: &Loaded, cgroup: &File, hook: &str) -> io::Result<()> {
    let program = loaded.program(hook).map_err(io::Error::other)?;
    let pin = pins.socket_link(hook);
    // A cgroup's id is the number of its folder's inode.
    let id = cgroup.metadata()?.ino();
    let old = match LinkFd::from_pin(&pin) {
        Ok(link) if link.facts()?.cgroup == id => return link.update(program),
        Ok(link) => Some(link),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let link = LinkFd::cgroup(program, cgroup.as_fd(), socket_hook(hook)?)?;
    remove(&pin)?;
    drop(old);
    link.pin(&pin)
}

fn socket_hook(name: &str) -> io::Result<bpf_attach_type> {
    Ok(match name {
        "connect4" => bpf_attach_type::BPF_CGROUP_INET4_CONNECT,
        "connect6" => bpf_attach_type::BPF_CGROUP_INET6_CONNECT,
        "sendmsg4" => bpf_attach_type::BPF_CGROUP_UDP4_SENDMSG,
        "sendmsg6" => bpf_attach_type::BPF_CGROUP_UDP6_SENDMSG,
        "recvmsg4" => bpf_attach_type::BPF_CGROUP_UDP4_RECVMSG,
        "recvmsg6" => bpf_attach_type::BPF_CGROUP_UDP6_RECVMSG,
        "getpeername4" => bpf_attach_type::BPF_CGROUP_INET4_GETPEERNAME,
        "getpeername6" => bpf_attach_type::BPF_CGROUP_INET6_GETPEERNAME,
        other => return Err(io::Error::other(format!("no socket hook is called {other}"))),
    })
}

/// Which socket hooks are attached.
#[must_use]
pub fn attached_sockets(pins: &Pins) -> Vec<&'static str> {
    let is_attached = |hook: &&str| {
        let link = LinkFd::from_pin(&pins.socket_link(hook));
        link.and_then(|link| link.facts()).is_ok_and(|facts| facts.cgroup != 0)
    };
    SOCKET_HOOKS.into_iter().filter(is_attached).collect()
}

/// Detaches the program of a pinned link, and removes the pin.
fn take_away(pin: &Path) -> io::Result<()> {
    match LinkFd::from_pin(pin) {
        // A link whose device or cgroup has gone is detached already.
        Ok(link) => link.detach().or_else(|error| {
            if error.raw_os_error() == Some(libc::ENOLINK) {
                Ok(())
            } else {
                Err(error)
            }
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    remove(pin)
}

/// Detaches all programs of pinned links, and says from how many devices.
///
/// # Errors
/// If the kernel refuses.
pub fn take_all_away(pins: &Pins) -> io::Result<usize> {
    let mut count = 0;
    let folder = match fs::read_dir(pins.links()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        folder => folder?,
    };
    for entry in folder {
        take_away(&entry?.path())?;
        count += 1;
    }
    Ok(count)
}

fn remove(pin: &Path) -> io::Result<()> {
    match fs::remove_file(pin) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
