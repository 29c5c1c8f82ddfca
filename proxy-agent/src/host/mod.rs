//! The node outside BPF: its devices, addresses, ports and the namespaces behind its devices. Everything is read whole
//! and compared; the kernel's events only say when to look again.

pub mod netlink;
pub mod links;
pub mod addresses;
pub mod ports;
mod sockets;
pub mod netns;
pub mod watch;
pub mod flows;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
};

use addresses::NodeAddress;
use links::Link;
use ports::PortFacts;

/// The device on which kube-proxy's mode ipvs has all service addresses. It outlives kube-proxy.
pub const KUBE_IPVS: &str = "kube-ipvs0";

/// What the kernel says of this network namespace at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Devices by interface index.
    pub links: BTreeMap<u32, Link>,
    /// Addresses, in the order of the devices.
    pub addresses: Vec<NodeAddress>,
    /// Which ports are spoken for.
    pub ports: PortFacts,
    /// The cookie of the namespace at the other end of a device, by interface index, as far as it could be found.
    pub namespaces: BTreeMap<u32, u64>,
}

impl HostFacts {
    /// Reads devices and addresses; ports and namespaces are left as they are.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read_links(&mut self) -> io::Result<()> {
        let mut socket = netlink::Netlink::open(0)?;
        self.links = links::read(&mut socket)?;
        self.addresses = addresses::read(&mut socket)?;
        Ok(())
    }

    /// Every address of the namespace that packets may be sent to, but those of services that kube-proxy has left on its
    /// device: nobody is there to answer.
    #[must_use]
    pub fn local_addresses(&self) -> BTreeSet<IpAddr> {
        let is_left_over = |index: &u32| self.links.get(index).is_some_and(|link| link.name == KUBE_IPVS);
        let is_usable = |known: &&NodeAddress| !known.is_tentative() && !is_left_over(&known.index);
        let usable = self.addresses.iter().filter(is_usable);
        usable.map(|known| known.address).collect()
    }
}
