//! Fragmented packets: the first has the ports, the others have not.

use proxy_common::{family::V6, net::Protocol, reason::Reason};
use proxy_ebpf::testing::{
    fixture::{FIRST_PORT, Fixture, POD_PORT, UPLINK, service},
    machine::Way,
    packet::{Draft, data, opening, raw, sctp, tcp, udp},
    who::{
        TestFamily,
        Who::{ClusterIp, FarPod, Node, Outsider, Pod},
    },
};

use super::row::{Expected, Row, row};

fn fixture<F: TestFamily>(protocol: Protocol, port: u16) -> Fixture<F> {
    Fixture::default().with(service(protocol).cluster_ip(1, 80).far(FarPod(1), port))
}

pub(super) fn rows<F: TestFamily>() -> Vec<Row<F>> {
    let mut rows = vec![whole_conversation(), masqueraded(), lost()];
    rows.extend(tiny());
    rows.extend(sctp_fragments());
    rows.push(a_fragment_that_is_whole());
    rows
}

/// Every piece of a packet, and what becomes of it.
fn pieces<F: TestFamily>(mut row: Row<F>, way: Way, packet: &Draft<F>, other: &Draft<F>) -> Row<F> {
    for (piece, other) in packet.fragments(48).iter().zip(other.fragments(48)) {
        row = row.step(way, piece, Expected::Becomes(other.wire()));
    }
    row
}

fn whole_conversation<F: TestFamily>() -> Row<F> {
    let (client, vip, backend) = ((Pod(2), 4000), (ClusterIp(1), 80), (FarPod(1), 5353));
    let long = |from, to| udp::<F>(from, to).payload(&[7; 200]);
    let row = row(
        "all fragments of a datagram go the same way, there and back",
        &fixture(Protocol::Udp, 5353),
    );
    let row = pieces(row, Way::In(POD_PORT), &long(client, vip), &long(client, backend));
    let row = pieces(row, Way::Out(POD_PORT), &long(backend, client), &long(vip, client));
    pieces(
        row,
        Way::In(POD_PORT),
        &long(client, vip).identification(9),
        &long(client, backend).identification(9),
    )
}

fn masqueraded<F: TestFamily>() -> Row<F> {
    let (client, vip, backend, seen) = (
        (Outsider(9), 4000),
        (ClusterIp(1), 80),
        (FarPod(1), 5353),
        (Node, FIRST_PORT),
    );
    let long = |from, to| udp::<F>(from, to).payload(&[7; 200]);
    let row = row(
        "all fragments of a datagram are masqueraded",
        &fixture(Protocol::Udp, 5353).one_port(),
    );
    let row = pieces(row, Way::In(UPLINK), &long(client, vip), &long(client, backend));
    let row = pieces(row, Way::Out(UPLINK), &long(client, backend), &long(seen, backend));
    let row = pieces(row, Way::In(UPLINK), &long(backend, seen), &long(backend, client));
    pieces(row, Way::Out(UPLINK), &long(backend, client), &long(vip, client))
}

fn lost<F: TestFamily>() -> Row<F> {
    let pieces = udp::<F>((Pod(2), 4000), (ClusterIp(1), 80))
        .payload(&[7; 200])
        .fragments(48);
    row(
        "a later fragment passes if the first was not seen",
        &fixture(Protocol::Udp, 5353),
    )
    .enters(POD_PORT, &pieces[1], Reason::LostFragment)
    .leaves(POD_PORT, &pieces[2], Reason::LostFragment)
}

/// A fragment that has no whole transport header, or that would write over one (RFC 1858, RFC 3128).
fn tiny<F: TestFamily>() -> Vec<Row<F>> {
    let mut rows = Vec::new();
    for (protocol, header) in [(Protocol::Tcp, 20), (Protocol::Udp, 8), (Protocol::Sctp, 16)] {
        let packet = opening::<F>(protocol, (Pod(2), 4000), (ClusterIp(1), 80)).payload(&[7; 200]);
        let message = packet.message();
        let fixture = fixture(protocol, 5353);
        let small = header.min(16) / 8 * 8;
        if small < header {
            let first = packet.piece(&message[..small], 0, true);
            let name = format!("a first fragment without a whole header passes, {protocol:?}");
            rows.push(row(&name, &fixture).enters(POD_PORT, first, Reason::TinyFragment));
        }
        let first = packet.piece(&message[..48], 0, true);
        let inside = packet.clone().to((FarPod(1), 5353));
        let name = format!("a fragment that overlaps the header passes, {protocol:?}");
        let ports_change_nothing = protocol != Protocol::Sctp;
        let row = row(&name, &fixture);
        let row = if ports_change_nothing {
            row.enters_as(POD_PORT, first, inside.piece(&inside.message()[..48], 0, true))
        } else {
            row.enters(POD_PORT, first, Reason::SctpFragment)
        };
        let offset = if header > 8 { 8 } else { 0 };
        let overlapping = packet.piece(&message[8..48], offset, false);
        if offset > 0 {
            rows.push(row.enters(POD_PORT, overlapping, Reason::TinyFragment));
        }
    }
    rows
}

/// SCTP's checksum covers what the other fragments hold: a port cannot be changed, an address can.
fn sctp_fragments<F: TestFamily>() -> Vec<Row<F>> {
    let (client, vip) = ((Pod(2), 4000), (ClusterIp(1), 80));
    let packet = sctp::<F>(client, vip).payload(&[7; 200]);
    let plain = packet.clone().to((FarPod(1), 80));
    let other_port = row(
        "fragments of SCTP pass where the port would change",
        &fixture::<F>(Protocol::Sctp, 5353),
    );
    let same_port = row(
        "fragments of SCTP are translated where no port changes",
        &fixture(Protocol::Sctp, 80),
    );
    vec![
        packet.fragments(48).iter().fold(other_port, |row, piece| {
            row.enters(POD_PORT, piece, Reason::SctpFragment)
        }),
        pieces(same_port, Way::In(POD_PORT), &packet, &plain),
    ]
}

/// Extension headers behind a fragment's own (RFC 8200 section 4.5): only the first fragment says which protocol it is,
/// so none of them is touched.
pub(super) fn v6() -> Vec<Row<V6>> {
    const OPTIONS: u8 = 60;
    let packet = udp::<V6>((Pod(2), 4000), (ClusterIp(1), 80)).payload(&[7; 200]);
    let options = [&[Protocol::Udp.number(), 0, 1, 4, 0, 0, 0, 0], &packet.message()[..]].concat();
    let packet = raw::<V6>((Pod(2), 0), (ClusterIp(1), 0), OPTIONS, &options);
    let row = row(
        "fragments with extension headers behind their own pass, all of them",
        &fixture(Protocol::Udp, 5353),
    );
    let pieces = packet.fragments(48).into_iter();
    vec![pieces.fold(row, |row, piece| row.enters(POD_PORT, piece, Reason::ExtensionHeaders))]
}

/// RFC 6946 for IPv6; of IPv4 it is a packet like any other.
fn a_fragment_that_is_whole<F: TestFamily>() -> Row<F> {
    let packet = tcp::<F>((Pod(2), 4000), (ClusterIp(1), 80)).syn();
    let inside = packet.clone().to((FarPod(1), 8080));
    let whole = |draft: &Draft<F>| draft.piece(&draft.message(), 0, false);
    let next = data::<F>(Protocol::Tcp, (Pod(2), 4000), (ClusterIp(1), 80));
    row(
        "a fragment that is first and last is a whole packet",
        &fixture(Protocol::Tcp, 8080),
    )
    .enters_as(POD_PORT, whole(&packet), whole(&inside))
    .enters_as(POD_PORT, whole(&next), whole(&next.clone().to((FarPod(1), 8080))))
}
