//! Packet sockets at one device.

use std::io;
use std::mem;

use nix::ifaddrs::getifaddrs;
use nix::libc;
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};

use super::segment::Mac;

/// A socket that gets every frame of a kind (an Ethernet type) that comes in at a device of the thread's own namespace, and
/// the address under which it sends there.
///
/// # Errors
/// When there is no such device, or packet sockets are not permitted.
pub fn packet_socket(device: &str, kind: u16) -> io::Result<(Socket, SockAddr)> {
    let protocol = Protocol::from(i32::from(kind.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
    let address = link(if_nametoindex(device)?, kind)?;
    socket.bind(&address)?;
    Ok((socket, address))
}

/// The hardware address of a device of the thread's own namespace.
///
/// # Errors
/// When there is no such device, or it has none.
pub fn own_hardware_address(device: &str) -> io::Result<Mac> {
    let mut devices = getifaddrs()?.filter(|known| known.interface_name == device);
    let own = devices.find_map(|known| known.address.and_then(|address| address.as_link_addr()?.addr()));
    own.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A device as the address of a packet socket.
fn link(index: u32, kind: u16) -> io::Result<SockAddr> {
    let address = libc::sockaddr_ll {
        sll_family: libc::sa_family_t::try_from(libc::AF_PACKET).map_err(io::Error::other)?,
        sll_protocol: kind.to_be(),
        sll_ifindex: i32::try_from(index).map_err(io::Error::other)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: the address of a packet socket is one of those that fit into the storage, and this is its type.
    unsafe { *storage.view_as::<libc::sockaddr_ll>() = address };
    let length = libc::socklen_t::try_from(mem::size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?;
    // SAFETY: the storage begins with an address of this length.
    Ok(unsafe { SockAddr::new(storage, length) })
}
