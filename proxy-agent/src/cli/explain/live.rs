//! The data path that runs on this node.

use std::{fs::File, io, net::IpAddr, path::Path};

use nix::fcntl::{Flock, FlockArg};
use proxy_common::{
    explain::Explanation,
    family::FamilyKind,
    net::{Address as _, Ip4},
    node::{Device, address_flag, device_flag},
    schema,
};

use super::{
    Question,
    answer::{Answer, Surroundings},
    packet,
};
use crate::{
    address,
    apply::{
        kernel::{KernelArray, KernelHash, MapSource},
        map::{Table as _, TableError},
    },
    cli::get::{View, failed},
    datapath::{Pins, twin},
    error::Error,
    host::{HostFacts, netlink},
};

/// Asks the twin that the agent has loaded, over its maps.
pub(super) fn answer(question: &Question, state: &Path) -> Result<Answer, Error> {
    let pins = Pins::new(state);
    let view = View::open(&pins)?;
    let twin = twin::of_agent(&pins).map_err(failed)?;
    let (ifindex, device) = device(question.source.ip(), &pins)?;
    let _one_at_a_time = lock(&pins.maps()).map_err(failed)?;
    twin::run(&twin, ifindex, &packet::first(question)).map_err(failed)?;
    let report = report(&pins.maps()).map_err(failed)?;
    let around = Surroundings {
        maps: &view.maps,
        actual: &view.adopted.actual,
        device,
        takes_node_ports: takes_node_ports(question.destination.ip(), &pins.maps()).map_err(failed)?,
    };
    Ok(Answer::new(question, &report, &around))
}

/// What the twin has reported last.
pub(super) fn report(maps: &(impl MapSource + ?Sized)) -> Result<Explanation, TableError> {
    let map = KernelArray::<Explanation>::open(maps, &schema::EXPLANATION)?;
    Ok(map.get(&0)?.unwrap_or_default())
}

/// There is one place for the report.
fn lock(maps: &Path) -> io::Result<Flock<File>> {
    Flock::lock(File::open(maps)?, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
}

/// The device from which the sender's packets come: that of the route to it. Behind a bridge it is one of the ports, those of
/// pods first. A packet of this node itself comes from none.
fn device(source: IpAddr, pins: &Pins) -> Result<(u32, String), Error> {
    let mut facts = HostFacts::default();
    facts.read_links().map_err(failed)?;
    if facts.local_addresses().contains(&source) {
        return Ok((1, "this node itself".to_owned()));
    }
    let Some(index) = route(source).map_err(failed)? else {
        return Ok((1, "nowhere: there is no route back to the sender".to_owned()));
    };
    let devices = KernelHash::<u32, Device>::open(&pins.maps(), &schema::DEVICES).map_err(failed)?;
    let mut ports = devices.entries().map_err(failed)?;
    ports.retain(|(_, device)| device.routed_from == index);
    ports.sort_unstable_by_key(|(port, device)| (device.flags & device_flag::PODS == 0, *port != index, *port));
    let index = ports.first().map_or(index, |(port, _)| *port);
    let name = facts
        .links
        .get(&index)
        .map_or_else(|| format!("interface {index}"), |link| link.name.clone());
    Ok((index, name))
}

/// The interface by which packets for an address leave.
fn route(address: IpAddr) -> io::Result<Option<u32>> {
    const RTM_GETROUTE: u16 = 26;
    const ROUTE_HEADER: usize = 12;
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    let (family, bytes) = match address {
        IpAddr::V4(address) => (2, address.octets().to_vec()),
        IpAddr::V6(address) => (10, address.octets().to_vec()),
    };
    let mut request = vec![0; ROUTE_HEADER];
    request[0] = family;
    request[1] = u8::try_from(bytes.len() * 8).map_err(io::Error::other)?;
    request.extend(u16::try_from(4 + bytes.len()).map_err(io::Error::other)?.to_ne_bytes());
    request.extend(RTA_DST.to_ne_bytes());
    request.extend(bytes);
    let mut socket = netlink::Netlink::open(0)?;
    let answer = match socket.get(RTM_GETROUTE, &request) {
        Ok(answer) => answer,
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EINVAL)
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut interfaces = netlink::attributes(&answer.payload, ROUTE_HEADER).filter(|(kind, _)| *kind == RTA_OIF);
    Ok(interfaces.next().and_then(|(_, value)| netlink::word(value, 0)))
}

/// Whether an address is one of this node's that takes node ports.
pub(super) fn takes_node_ports(own: IpAddr, maps: &(impl MapSource + ?Sized)) -> Result<bool, TableError> {
    let wide = address::widen(own);
    let flags = match address::family(own) {
        FamilyKind::V4 => KernelHash::<_, u32>::open(maps, &schema::NODE_ADDRS_V4)?.get(&Ip4::narrow(&wide))?,
        FamilyKind::V6 => KernelHash::<_, u32>::open(maps, &schema::NODE_ADDRS_V6)?.get(&wide)?,
    };
    Ok(flags.is_some_and(|flags| flags & address_flag::NODE_PORTS != 0))
}
