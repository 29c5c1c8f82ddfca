//! How a TCP connection begins and ends, and what somebody can do who forges its packets. How far a connection has come
//! shows by what is given up for it: where there is one record, a conversation keeps it and everything else does not.

use proxy_common::{net::Protocol, phase::TcpFlags, reason::Reason};
use proxy_ebpf::testing::{
    fixture::{FIRST_PORT, Fixture, POD_PORT, UPLINK, service},
    packet::{Draft, tcp},
    who::{
        TestFamily,
        Who::{self, Balancer, ClusterIp, FarPod, Node, Outsider, Pod},
    },
};

use super::row::{Row, row};

type End = (Who, u16);

const CLIENT: End = (Pod(2), 4000);
const OTHER: End = (Pod(3), 4000);
const VIP: End = (ClusterIp(1), 80);
const BACKEND: End = (FarPod(1), 8080);

pub(super) fn rows<F: TestFamily>() -> Vec<Row<F>> {
    let mut rows = handshakes();
    rows.extend(resets());
    rows.extend(ports());
    rows
}

/// A packet of the connection.
#[derive(Clone, Copy)]
enum Packet {
    Request(u8, u32, u32),
    Reply(u8, u32),
}
use Packet::{Reply, Request};

const SYN: Packet = Request(TcpFlags::SYN, 1000, 0);
const SYN_ACK: Packet = Reply(TcpFlags::SYN | TcpFlags::ACK, 5000);
const ACK: Packet = Request(TcpFlags::ACK, 1001, 5001);
const DATA: Packet = Reply(TcpFlags::ACK, 5001);
const RST: Packet = Request(TcpFlags::RST, 77, 0);
const BACKEND_RST: Packet = Reply(TcpFlags::RST, 77);
const SYN_OF_ANOTHER: Packet = Request(TcpFlags::SYN, 900_000, 0);

/// A connection whose packets all are translated, on a node with one record.
fn connection<F: TestFamily>(name: &str, packets: &[Packet]) -> Row<F> {
    let fixture = Fixture::<F>::default()
        .with(service(Protocol::Tcp).cluster_ip(1, 80).far(FarPod(1), 8080))
        .config(|config| config.records = 1);
    packets.iter().fold(row(name, &fixture), |row, packet| match *packet {
        Request(flags, sequence, acknowledged) => {
            let packet = |to| {
                let packet = tcp::<F>(CLIENT, to).flags(flags).sequence(sequence);
                packet.acknowledging(acknowledged)
            };
            row.enters_as(POD_PORT, packet(VIP), packet(BACKEND))
        }
        Reply(flags, sequence) => {
            let packet = |from| tcp::<F>(from, CLIENT).flags(flags).sequence(sequence);
            row.leaves_as(POD_PORT, packet(BACKEND), packet(VIP))
        }
    })
}

fn syn_of_other<F: TestFamily>(to: End) -> Draft<F> {
    tcp::<F>(OTHER, to).syn()
}

/// The connection keeps its record.
fn stays<F: TestFamily>(name: &str, packets: &[Packet]) -> Row<F> {
    connection(name, packets).drops(POD_PORT, syn_of_other::<F>(VIP), Reason::FlowTableFull)
}

/// It is given up for another.
fn goes<F: TestFamily>(name: &str, packets: &[Packet]) -> Row<F> {
    connection(name, packets).enters_as(POD_PORT, syn_of_other::<F>(VIP), syn_of_other::<F>(BACKEND))
}

fn handshakes<F: TestFamily>() -> Vec<Row<F>> {
    let forged = |acknowledged| Request(TcpFlags::ACK, 1001, acknowledged);
    let beyond = 5001 + (1 << 16);
    let mut rows = vec![
        stays("a handshake makes a conversation", &[SYN, SYN_ACK, ACK]),
        stays(
            "so do data that come before the last packet of the handshake",
            &[SYN, SYN_ACK, Request(TcpFlags::ACK | 8, 1001, 5001)],
        ),
        stays(
            "so does one whose answer was repeated with another sequence number",
            &[SYN, SYN_ACK, Reply(TcpFlags::SYN | TcpFlags::ACK, 9000), forged(9001)],
        ),
        stays("so does one whose answer took another way", &[SYN, DATA, forged(12345)]),
        stays(
            "an acknowledgement of all that may be sent before it makes one",
            &[SYN, SYN_ACK, forged(beyond - 1)],
        ),
        goes("a SYN makes none", &[SYN]),
        goes("nor does its answer", &[SYN, SYN_ACK]),
        goes(
            "a FIN of somebody who has not seen the answer makes none",
            &[SYN, SYN_ACK, Request(TcpFlags::FIN | TcpFlags::ACK, 1001, 0)],
        ),
        goes(
            "nor does a packet without an acknowledgement",
            &[SYN, SYN_ACK, Request(0, 1001, 5001)],
        ),
        goes("nor does a RST", &[SYN, SYN_ACK, RST]),
        goes("nor a RST and a blind acknowledgement", &[SYN, SYN_ACK, RST, forged(0)]),
        goes(
            "nor a RST and an acknowledgement of an answer that nobody saw",
            &[SYN, RST, forged(1)],
        ),
        stays("a forged RST in a handshake does not end it", &[SYN, SYN_ACK, RST, ACK]),
        stays(
            "a backend that ends at once is heard before the handshake is complete",
            &[SYN, SYN_ACK, Reply(TcpFlags::FIN | TcpFlags::ACK, 5001)],
        ),
        goes(
            "nor a RST that refuses, and what follows it",
            &[SYN, Reply(TcpFlags::RST | TcpFlags::ACK, 0), ACK, forged(1)],
        ),
    ];
    for acknowledged in [0, 1, 5000, beyond, 5000 + (1 << 31)] {
        let name = format!("somebody who has not seen the answer makes none, acknowledging {acknowledged}");
        rows.push(goes(&name, &[SYN, SYN_ACK, forged(acknowledged)]));
    }
    rows
}

fn resets<F: TestFamily>() -> Vec<Row<F>> {
    let conversation = [SYN, SYN_ACK, ACK, DATA];
    let then = |packets: &[Packet]| [&conversation[..], packets].concat();
    vec![
        goes("a conversation with a RST is over if nothing follows", &then(&[RST])),
        stays("a conversation that goes on after a RST is one", &then(&[RST, ACK])),
        stays(
            "so is one whose backend goes on after its own",
            &then(&[BACKEND_RST, DATA]),
        ),
        goes(
            "what the backend had under way says nothing about a RST of the client",
            &then(&[RST, DATA]),
        ),
        goes(
            "nor what the client had under way about one of the backend",
            &then(&[BACKEND_RST, ACK]),
        ),
        stays(
            "a forged RST and a forged SYN behind it do not end a conversation",
            &then(&[RST, SYN_OF_ANOTHER, DATA, ACK]),
        ),
        stays(
            "nor do several",
            &then(&[RST, RST, SYN_OF_ANOTHER, RST, SYN_OF_ANOTHER, ACK]),
        ),
        stays(
            "a new connection after a RST is one when it has shaken hands",
            &then(&[
                RST,
                SYN_OF_ANOTHER,
                Reply(TcpFlags::SYN | TcpFlags::ACK, 70_000),
                Request(TcpFlags::ACK, 900_001, 70_001),
            ]),
        ),
        goes(
            "a new connection after a RST is none before",
            &then(&[
                RST,
                SYN_OF_ANOTHER,
                Reply(TcpFlags::SYN | TcpFlags::ACK, 70_000),
                Request(TcpFlags::ACK, 900_001, 5001),
            ]),
        ),
        stays(
            "a connection that was refused may be tried again",
            &[
                SYN,
                Reply(TcpFlags::RST | TcpFlags::ACK, 0),
                SYN_OF_ANOTHER,
                SYN_ACK,
                Request(TcpFlags::ACK, 900_001, 5001),
            ],
        ),
    ]
}

/// A masqueraded connection, on a node with one port for them.
fn masqueraded<F: TestFamily>(name: &str, packets: &[Packet]) -> Row<F> {
    let fixture = Fixture::<F>::default().with(service(Protocol::Tcp).everywhere(1, 80, 30080).far(FarPod(1), 8080));
    packets
        .iter()
        .fold(row(name, &fixture.one_port()), |row, packet| match *packet {
            Request(flags, sequence, acknowledged) => through(row, (Outsider(7), 4000), flags, sequence, acknowledged),
            Reply(flags, sequence) => {
                let packet = |from, to| tcp::<F>(from, to).flags(flags).sequence(sequence);
                let inside = packet(BACKEND, (Outsider(7), 4000));
                row.enters_as(UPLINK, packet(BACKEND, (Node, FIRST_PORT)), &inside)
                    .leaves_as(UPLINK, inside, packet((Balancer(1), 80), (Outsider(7), 4000)))
            }
        })
}

/// A request comes in and leaves masqueraded.
fn through<F: TestFamily>(row: Row<F>, client: End, flags: u8, sequence: u32, acknowledged: u32) -> Row<F> {
    let packet = |from, to| {
        let packet = tcp::<F>(from, to).flags(flags).sequence(sequence);
        packet.acknowledging(acknowledged)
    };
    row.enters_as(UPLINK, packet(client, (Balancer(1), 80)), packet(client, BACKEND))
        .leaves_as(UPLINK, packet(client, BACKEND), packet((Node, FIRST_PORT), BACKEND))
}

fn ports<F: TestFamily>() -> Vec<Row<F>> {
    let conversation = [SYN, SYN_ACK, ACK];
    let fin = TcpFlags::FIN | TcpFlags::ACK;
    let (client_last, backend_last) = (Request(fin, 1001, 5001), Reply(fin, 5001));
    let then = |packets: &[Packet]| [&conversation[..], packets].concat();
    let freed = |name: &str, packets: &[Packet]| {
        let row = masqueraded::<F>(name, packets);
        let row = through(row, (Outsider(8), 4000), TcpFlags::SYN, 1000, 0);
        let late = tcp::<F>((Outsider(7), 4000), (Balancer(1), 80));
        row.enters(UPLINK, late, Reason::NoFlow)
    };
    let kept = |name: &str, packets: &[Packet]| {
        let other = tcp::<F>((Outsider(8), 4000), (Balancer(1), 80)).syn();
        let row = masqueraded::<F>(name, packets).drops(UPLINK, other, Reason::PortsExhausted);
        through(row, (Outsider(7), 4000), TcpFlags::ACK, 1001, 5001)
    };
    vec![
        kept(
            "the port of a connection that both sides have closed stays its own while their last may be sent again",
            &then(&[client_last, backend_last, ACK]),
        ),
        kept(
            "so does that of one that the backend has closed first",
            &then(&[backend_last, client_last, DATA]),
        ),
        freed(
            "the port of a connection that was refused is another's at once",
            &[SYN, Reply(TcpFlags::RST | TcpFlags::ACK, 0)],
        ),
        kept("the port of a conversation stays its own", &conversation),
        kept("so does that of one whose client is done", &then(&[client_last])),
        kept("so does that of one whose backend is done", &then(&[backend_last])),
        kept("a forged RST does not free a port", &then(&[RST])),
    ]
}
