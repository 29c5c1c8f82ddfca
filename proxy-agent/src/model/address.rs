//! Addresses as objects have them: read as leniently as Kubernetes reads them, judged by what they may be used for.

use std::net::{IpAddr, Ipv4Addr};

/// The address that a text stands for.
///
/// Leading zeros of an IPv4 part are decimal, as the objects of old clusters may have them (CVE-2021-29923, B-20); an
/// IPv4 address mapped into IPv6 is the IPv4 address.
#[must_use]
pub fn parse(text: &str) -> Option<IpAddr> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.to_canonical()),
        Err(_) => parse_padded(text).map(IpAddr::V4),
    }
}

fn parse_padded(text: &str) -> Option<Ipv4Addr> {
    let mut bytes = [0; 4];
    let mut parts = text.split('.');
    for byte in &mut bytes {
        let part = parts.next()?;
        if part.is_empty() || part.len() > 16 || !part.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        *byte = part.parse().ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(bytes))
}

/// Why no packet can be sent to an address that a client dials or an endpoint has; `None`: it can.
#[must_use]
pub fn never_unicast(address: IpAddr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_loopback() {
        Some("a loopback address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        Some("the broadcast address")
    } else {
        None
    }
}

/// As [`never_unicast`], for what must not be link-local either: endpoints and external addresses.
#[must_use]
pub fn never_routed(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    never_unicast(address).or_else(|| link_local.then_some("a link-local address"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("10.0.0.1", Some("10.0.0.1"))]
    #[case::zeros_are_decimal("010.096.000.009", Some("10.96.0.9"))]
    #[case::zeros_beyond_a_byte("010.096.000.256", None)]
    #[case::v6("fd00:0::01", Some("fd00::1"))]
    #[case::v4_in_v6("::ffff:10.0.0.1", Some("10.0.0.1"))]
    #[case::a_zone("fe80::1%eth0", None)]
    #[case::three_parts("10.0.1", None)]
    #[case::five_parts("10.0.0.1.2", None)]
    #[case::a_sign("10.0.0.+1", None)]
    #[case::empty("", None)]
    fn an_address_is_read_as_kubernetes_reads_it(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(parse(text), expected.map(|text| text.parse().expect("an address")));
    }

    #[rstest]
    #[case("0.0.0.0")]
    #[case("::")]
    #[case("127.1.2.3")]
    #[case("::1")]
    #[case("224.0.0.1")]
    #[case("ff02::1")]
    #[case("255.255.255.255")]
    #[case("169.254.1.1")]
    #[case("fe80::1")]
    fn an_endpoint_cannot_have_a_special_address(#[case] text: &str) {
        assert!(never_routed(parse(text).expect("an address")).is_some());
    }
}
