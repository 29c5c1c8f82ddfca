//! Packets that contradict themselves, or that want to be taken for others: they pass, or vanish, under a name.

use proxy_common::{
    family::{V4, V6},
    net::Protocol,
    reason::Reason,
};
use proxy_ebpf::testing::{
    fixture::{Fixture, POD_PORT, service},
    packet::{Draft, Wire, tcp, udp},
    who::{
        TestFamily,
        Who::{ClusterIp, FarPod, Pod},
    },
};

use super::row::{Row, row};

fn fixture<F: TestFamily>(protocol: Protocol) -> Fixture<F> {
    Fixture::default().with(service(protocol).cluster_ip(1, 80).far(FarPod(1), 8080))
}

fn syn<F: TestFamily>() -> Draft<F> {
    tcp::<F>((Pod(2), 4000), (ClusterIp(1), 80)).syn()
}

fn datagram<F: TestFamily>() -> Draft<F> {
    udp::<F>((Pod(2), 4000), (ClusterIp(1), 80)).payload(b"question")
}

fn inside<F: TestFamily>(draft: &Draft<F>) -> Draft<F> {
    draft.clone().to((FarPod(1), 8080))
}

fn one<F: TestFamily>(name: &str, packet: impl Into<Wire>, reason: Reason) -> Row<F> {
    let packet = packet.into();
    row(name, &fixture(Protocol::Tcp))
        .enters(POD_PORT, packet.clone(), reason)
        .leaves(POD_PORT, packet, reason)
}

pub(super) fn rows<F: TestFamily>() -> Vec<Row<F>> {
    let header = F::HEADER_LEN as usize;
    let long = u16::MAX;
    let mut rows = vec![
        one(
            "a header of another version",
            syn::<F>().wire().with(0, 0x55),
            Reason::BadHeader,
        ),
        one(
            "a packet that says it is longer than it is",
            syn::<F>().length(long),
            Reason::BadHeader,
        ),
        one(
            "a TCP header shorter than TCP's",
            syn::<F>().wire().with(header + 12, 0x40),
            Reason::BadHeader,
        ),
    ];
    for (length, reason) in [
        (0_u16, Reason::BadHeader),
        (7, Reason::BadHeader),
        (17, Reason::BadHeader),
    ] {
        let [high, low] = length.to_be_bytes();
        let packet = datagram::<F>().wire().with(header + 4, high).with(header + 5, low);
        let name = format!("a datagram of 16 bytes that says it has {length}");
        rows.push(row(&name, &fixture(Protocol::Udp)).enters(POD_PORT, packet, reason));
    }
    // The header ends the packet inside its transport header.
    for cut in [0, 1, 4, 13, 19] {
        let length = u16::try_from(cut).expect("short");
        let packet = match F::KIND {
            proxy_common::family::FamilyKind::V4 => syn::<F>().length(20 + length),
            proxy_common::family::FamilyKind::V6 => syn::<F>().length(length),
        };
        let name = format!("a TCP segment that ends after {cut} bytes by its own account");
        rows.push(one(&name, packet, Reason::Truncated));
    }
    rows
}

/// No operation, security, time stamp, record route, router alert.
const GOOD_OPTIONS: [&[u8]; 5] = [
    &[1, 1, 1, 0],
    &[130, 3, 0],
    &[68, 8, 5, 0, 1, 2, 3, 4],
    &[7, 7, 4, 0, 0, 0, 0],
    &[148, 4, 0, 0],
];

/// What only IPv4 has: options.
pub(super) fn v4() -> Vec<Row<V4>> {
    let mut rows = vec![
        one(
            "a header of four words",
            syn::<V4>().wire().with(0, 0x44),
            Reason::BadHeader,
        ),
        one(
            "a packet shorter than its header",
            syn::<V4>().length(19),
            Reason::BadHeader,
        ),
        one(
            "a loose source route",
            syn::<V4>().options(&[131, 7, 4, 10, 0, 0, 1]),
            Reason::SourceRoute,
        ),
        one(
            "a strict source route",
            syn::<V4>().options(&[137, 7, 4, 10, 0, 0, 1]),
            Reason::SourceRoute,
        ),
        one(
            "a source route behind other options",
            syn::<V4>().options(&[1, 1, 148, 4, 0, 0, 131, 3, 4]),
            Reason::SourceRoute,
        ),
        one(
            "an option without length",
            syn::<V4>().options(&[148, 0, 0, 0]),
            Reason::BadHeader,
        ),
        one(
            "an option shorter than itself",
            syn::<V4>().options(&[148, 1, 0, 0]),
            Reason::BadHeader,
        ),
        one(
            "an option longer than the header",
            syn::<V4>().options(&[148, 5, 0, 0]),
            Reason::BadHeader,
        ),
        one(
            "an option whose length is no longer in the header",
            syn::<V4>().options(&[1, 1, 1, 148]),
            Reason::BadHeader,
        ),
        one(
            "more options than anybody needs",
            syn::<V4>().options(&[1; 12]),
            Reason::BadHeader,
        ),
    ];
    for options in GOOD_OPTIONS {
        let packet = syn::<V4>().options(options);
        let name = format!("options {options:?} stay as they are");
        rows.push(row(&name, &fixture(Protocol::Tcp)).enters_as(POD_PORT, &packet, inside(&packet)));
    }
    let all = syn::<V4>().options(&GOOD_OPTIONS[1..].concat());
    rows.push(row("several options stay as they are", &fixture(Protocol::Tcp)).enters_as(POD_PORT, &all, inside(&all)));
    rows
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const ENCRYPTED: u8 = 50;
const AUTHENTICATED: u8 = 51;
const OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
/// An option that does nothing.
const PADDING: [u8; 6] = [1, 4, 0, 0, 0, 0];
/// A routing header that has no segment left, and one that has.
const ARRIVED: [u8; 6] = [0, 0, 0, 0, 0, 0];
const ON_THE_WAY: [u8; 6] = [0, 1, 0, 0, 0, 0];

/// What only IPv6 has: extension headers.
pub(super) fn v6() -> Vec<Row<V6>> {
    let two = || syn::<V6>().extension(HOP_BY_HOP, &PADDING);
    let mut rows = vec![
        one(
            "a route through other routers",
            two().extension(ROUTING, &ON_THE_WAY),
            Reason::SourceRoute,
        ),
        one(
            "an encrypted packet",
            two().extension(ENCRYPTED, &[0; 14]),
            Reason::ExtensionHeaders,
        ),
        one(
            "a mobility header",
            two().extension(MOBILITY, &PADDING),
            Reason::ExtensionHeaders,
        ),
        one(
            "an extension header longer than the packet",
            two().wire().with(41, 200),
            Reason::Truncated,
        ),
        one(
            "an extension header that the packet ends in",
            two().length(7),
            Reason::Truncated,
        ),
        one(
            "a packet that ends behind an extension header",
            two().length(8),
            Reason::Truncated,
        ),
    ];
    let many = (0..7).fold(syn::<V6>(), |draft, _| draft.extension(OPTIONS, &PADDING));
    rows.push(one(
        "more extension headers than anybody needs",
        many,
        Reason::ExtensionHeaders,
    ));
    let chains: [&[(u8, &[u8])]; 6] = [
        &[(HOP_BY_HOP, PADDING.as_slice())],
        &[(OPTIONS, &[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
        &[(ROUTING, &ARRIVED)],
        &[(AUTHENTICATED, &[0; 22])],
        &[
            (HOP_BY_HOP, &PADDING),
            (OPTIONS, &PADDING),
            (ROUTING, &ARRIVED),
            (OPTIONS, &PADDING),
        ],
        &[(OPTIONS, PADDING.as_slice()); 6],
    ];
    for chain in chains {
        let packet = chain
            .iter()
            .fold(syn::<V6>(), |draft, (number, body)| draft.extension(*number, body));
        let numbers: Vec<_> = chain.iter().map(|(number, _)| number).collect();
        let name = format!("extension headers {numbers:?} stay as they are");
        rows.push(row(&name, &fixture(Protocol::Tcp)).enters_as(POD_PORT, &packet, inside(&packet)));
        let pieces = packet.clone().payload(&[7; 100]).fragments(48);
        let others = inside(&packet).payload(&[7; 100]).fragments(48);
        if chain.len() < 6 {
            let row = row(&format!("{name}, in front of a fragment"), &fixture(Protocol::Tcp));
            rows.push(
                pieces
                    .iter()
                    .zip(&others)
                    .fold(row, |row, (piece, other)| row.enters_as(POD_PORT, piece, other)),
            );
        }
    }
    rows
}
