//! Single values out of text, with an error that names the field and the value.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{desired::ProxyMode, error::Error};

/// A mode of kube-proxy. Of `ipvs` a warning says what is not imitated.
pub(super) fn mode(field: &str, text: &str, warnings: &mut Vec<String>) -> Result<ProxyMode, Error> {
    match text {
        "" | "nftables" => Ok(ProxyMode::Nftables),
        "iptables" => Ok(ProxyMode::Iptables),
        "ipvs" => {
            warnings.push(format!(
                "{field}: ipvs: its schedulers are not imitated: endpoints are drawn at random"
            ));
            Ok(ProxyMode::Ipvs)
        }
        _ => Err(Error::setting(field, text, "the modes are nftables, iptables and ipvs")),
    }
}

/// An address without a port.
pub(super) fn address(field: &str, text: &str) -> Result<IpAddr, Error> {
    text.trim()
        .parse()
        .map_err(|_| Error::setting(field, text, "not an IP address"))
}

/// An address with a port; without one, the default port is taken.
pub(super) fn socket_address(field: &str, text: &str, default_port: u16) -> Result<SocketAddr, Error> {
    let trimmed = text.trim();
    trimmed
        .parse::<SocketAddr>()
        .or_else(|_| {
            trimmed
                .parse::<IpAddr>()
                .map(|address| SocketAddr::new(address, default_port))
        })
        .map_err(|_| {
            Error::setting(
                field,
                text,
                "not an address and port such as 0.0.0.0:10256 or [::]:10256",
            )
        })
}

/// A network; host bits are cleared.
pub(super) fn network(field: &str, text: &str) -> Result<IpNet, Error> {
    text.trim()
        .parse::<IpNet>()
        .map(|network| network.trunc())
        .map_err(|_| Error::setting(field, text, "not a network such as 10.0.0.0/8 or fd00::/64"))
}

/// At most one network of each family out of a list with commas (B-184).
pub(super) fn network_pair(field: &str, text: &str) -> Result<(Option<Ipv4Net>, Option<Ipv6Net>), Error> {
    let (mut v4, mut v6) = (None, None);
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let twice = match network(field, part)? {
            IpNet::V4(network) => v4.replace(network).is_some(),
            IpNet::V6(network) => v6.replace(network).is_some(),
        };
        if twice {
            return Err(Error::setting(field, text, "at most one network of each family"));
        }
    }
    Ok((v4, v6))
}
