//! Which cases are measured on which paths where everything is: each case and each path, both families, and of their
//! combinations those of which one may be good while its neighbours are bad.

use super::case::{Case, Path};
use crate::plan::Ip;

/// The cases of a path over IPv4.
const fn over_v4(path: Path) -> &'static [Case] {
    use Case::{TcpMany, TcpRequest, TcpShort, TcpStream, UdpFlows, UdpRequest, UdpSmall};
    match path {
        Path::PodNear => &[TcpShort, TcpRequest, TcpMany, TcpStream, UdpRequest, UdpFlows, UdpSmall],
        Path::PodFar => &[TcpShort, TcpRequest, TcpStream, UdpSmall],
        // The hooks of sockets: nothing is done for what has been opened.
        Path::Node => &[TcpShort, TcpRequest, UdpFlows],
        Path::OutsideNear => &[TcpShort, UdpFlows],
        Path::OutsideFar => &[TcpShort, TcpRequest, TcpStream, UdpFlows, UdpSmall],
        Path::PodToPod => &[TcpShort, TcpRequest, TcpStream, UdpFlows],
    }
}

/// The cases of a path over IPv6: the code is the same but for the size of addresses.
const fn over_v6(path: Path) -> &'static [Case] {
    match path {
        Path::PodNear => &[Case::TcpShort, Case::TcpRequest, Case::TcpStream, Case::UdpFlows],
        Path::PodFar | Path::Node | Path::OutsideNear | Path::OutsideFar | Path::PodToPod => &[Case::TcpShort],
    }
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = (Ip, Path, Case)> {
    let ways = Ip::BOTH.into_iter().flat_map(|ip| Path::ALL.map(|path| (ip, path)));
    ways.flat_map(|(ip, path)| {
        let cases = match ip {
            Ip::V4 => over_v4(path),
            Ip::V6 => over_v6(path),
        };
        cases.iter().map(move |case| (ip, path, *case))
    })
}
