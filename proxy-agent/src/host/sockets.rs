//! The ports of sockets that are not connections, by `NETLINK_SOCK_DIAG` (`sock_diag(7)`). `/proc/net/tcp` would say it
//! too, but has to walk through every connection of the machine for it.

use std::io;

use rtnetlink::sys::protocols::NETLINK_SOCK_DIAG;

use super::netlink::{self, Netlink};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// Length of `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// `struct inet_diag_msg`: where the local port stands, network byte order.
const LOCAL_PORT: usize = 4;
/// `TCP_LISTEN` as a bit.
const LISTENING: u32 = 1 << 10;
const ANY_STATE: u32 = u32::MAX;

const FAMILIES: [i32; 2] = [libc::AF_INET, libc::AF_INET6];
const ASKED: [(i32, u32); 2] = [(libc::IPPROTO_TCP, LISTENING), (libc::IPPROTO_UDP, ANY_STATE)];

/// The ports, host byte order, on which TCP sockets listen and which UDP sockets have, in the thread's network
/// namespace; some may come twice.
///
/// # Errors
/// The kernel's: it may have been built without this.
pub(super) fn ports() -> io::Result<Vec<u16>> {
    let mut socket = Netlink::of(NETLINK_SOCK_DIAG, 0)?;
    let mut ports = Vec::new();
    for (family, (protocol, states)) in FAMILIES
        .into_iter()
        .flat_map(|family| ASKED.map(|asked| (family, asked)))
    {
        let answers = socket.dump(BY_FAMILY, &request(family, protocol, states))?;
        ports.extend(answers.iter().filter_map(|answer| local_port(&answer.payload)));
    }
    Ok(ports)
}

/// Addresses and ports are zero: those of any.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of the kernel's interface, below 256"
)]
fn request(family: i32, protocol: i32, states: u32) -> [u8; REQUEST] {
    let mut request = [0; REQUEST];
    request[0] = family as u8;
    request[1] = protocol as u8;
    request[4..8].copy_from_slice(&states.to_ne_bytes());
    request
}

fn local_port(payload: &[u8]) -> Option<u16> {
    netlink::half(payload, LOCAL_PORT).map(u16::from_be)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn the_kernel_names_listeners_and_udp_sockets_and_no_connections() {
        let listeners = ["127.0.0.1:0", "[::1]:0"].map(|address| TcpListener::bind(address).expect("a port"));
        let sockets = ["127.0.0.1:0", "[::1]:0"].map(|address| UdpSocket::bind(address).expect("a port"));
        let connection = TcpStream::connect(listeners[0].local_addr().expect("bound")).expect("connected");
        let ports = ports().expect("the kernel answers");
        let of_listeners = listeners.map(|listener| listener.local_addr().expect("bound").port());
        let of_sockets = sockets.map(|socket| socket.local_addr().expect("bound").port());
        for port in of_listeners.into_iter().chain(of_sockets) {
            assert!(ports.contains(&port), "{port} is not in {ports:?}");
        }
        assert!(!ports.contains(&connection.local_addr().expect("connected").port()));
    }
}
