//! Errors about translated packets, in every direction; and what is no error.

use proxy_common::{family::FamilyKind, net::Protocol, reason::Reason};
use proxy_ebpf::testing::{
    fixture::{FIRST_PORT, Fixture, POD_PORT, UPLINK, service},
    packet::{Complaint, Draft, data, echo, icmp_error, opening, redirect},
    who::{
        TestFamily,
        Who::{self, ClusterIp, FarPod, Gateway, Node, Outsider, Pod, Router},
    },
};

use super::row::{Row, row};

const VIP: (Who, u16) = (ClusterIp(1), 80);
const BACKEND: (Who, u16) = (FarPod(1), 8080);

/// Who is asking, from where, and who the backend believes it is.
#[derive(Clone, Copy)]
struct Talk {
    protocol: Protocol,
    interface: u32,
    client: (Who, u16),
    seen: (Who, u16),
}

impl Talk {
    fn fixture<F: TestFamily>(self) -> Fixture<F> {
        Fixture::default()
            .with(service(self.protocol).cluster_ip(1, 80).far(BACKEND.0, BACKEND.1))
            .one_port()
    }

    fn request<F: TestFamily>(self, from: (Who, u16), to: (Who, u16)) -> Draft<F> {
        opening(self.protocol, from, to)
    }

    /// A packet as it is quoted in an error that was translated: `was` is what its receiver has seen. The checksum of SCTP
    /// is left alone, which no sender looks at.
    fn requoted<F: TestFamily>(self, packet: &Draft<F>, was: &Draft<F>) -> Vec<u8> {
        let (mut quoted, was) = (packet.packet(), was.packet());
        if self.protocol == Protocol::Sctp {
            let checksum = F::HEADER_LEN as usize + 8..F::HEADER_LEN as usize + 12;
            quoted[checksum.clone()].copy_from_slice(&was[checksum]);
        }
        quoted
    }

    /// A node on which the flow is open.
    fn begun<F: TestFamily>(self, name: &str) -> Row<F> {
        let name = format!("{name}: {:?} from {:?}", self.protocol, self.client.0);
        row(&name, &self.fixture()).enters_as(
            self.interface,
            self.request::<F>(self.client, VIP),
            self.request::<F>(self.client, BACKEND),
        )
    }
}

fn talks() -> Vec<Talk> {
    let mut talks = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        let (pod, outsider) = ((Pod(2), 4000), (Outsider(9), 4000));
        talks.push(Talk {
            protocol,
            interface: POD_PORT,
            client: pod,
            seen: pod,
        });
        talks.push(Talk {
            protocol,
            interface: UPLINK,
            client: outsider,
            seen: (Node, FIRST_PORT),
        });
    }
    talks
}

pub(super) fn rows<F: TestFamily>() -> Vec<Row<F>> {
    let mut rows = Vec::new();
    for talk in talks() {
        rows.push(about_requests(talk));
        rows.push(by_this_node(talk));
        rows.push(about_replies(talk));
        rows.push(redirects(talk));
    }
    rows.extend(cut_quotes());
    rows.extend(no_errors());
    rows.push(quoted_without_checksum());
    rows
}

/// A router behind this node, or the backend, complains of a request: the client learns of it as if the service had been
/// asked there.
fn about_requests<F: TestFamily>(talk: Talk) -> Row<F> {
    let (sent, came) = (
        talk.request::<F>(talk.seen, BACKEND),
        talk.request::<F>(talk.client, BACKEND),
    );
    let asked = talk.request::<F>(talk.client, VIP);
    let mut row = talk.begun("a complaint about a request reaches the client, as about the service");
    for complaint in Complaint::ALL {
        for (from, as_from) in [(Router, Router), (BACKEND.0, VIP.0)] {
            let error =
                |from, to, quoted: &Draft<F>| icmp_error::<F>(from, to, complaint, &talk.requoted(quoted, &sent));
            let inside = error(from, talk.client.0, &came);
            row = if talk.seen == talk.client {
                row.enters(UPLINK, &inside, Reason::IcmpUnrelated)
            } else {
                row.enters_as(UPLINK, error(from, talk.seen.0, &sent), &inside)
            };
            row = row.leaves_as(talk.interface, &inside, error(as_from, talk.client.0, &asked));
        }
    }
    row
}

/// This node's own stack complains of a request that it cannot forward: what it quotes is what it saw.
fn by_this_node<F: TestFamily>(talk: Talk) -> Row<F> {
    let (came, asked) = (
        talk.request::<F>(talk.client, BACKEND),
        talk.request::<F>(talk.client, VIP),
    );
    let error = |quoted| {
        let quoted = talk.requoted::<F>(quoted, &came);
        icmp_error::<F>(Gateway, talk.client.0, Complaint::TimeExceeded, &quoted)
    };
    talk.begun("a complaint of this node about a request names the service")
        .leaves_as(talk.interface, error(&came), error(&asked))
}

/// Somebody on the way to the client, or the client, complains of a reply: the backend learns of it.
fn about_replies<F: TestFamily>(talk: Talk) -> Row<F> {
    let reply = |from, to| data::<F>(talk.protocol, from, to);
    let sent = reply(VIP, talk.client);
    let inside = reply(BACKEND, talk.client);
    let received = reply(BACKEND, talk.seen);
    let mut row = talk.begun("a complaint about a reply reaches the backend");
    for complaint in [Complaint::TooBig(1300), Complaint::PortUnreachable] {
        for (from, as_from) in [(Router, Router), (talk.client.0, talk.seen.0)] {
            let error =
                |from, to, quoted: &Draft<F>| icmp_error::<F>(from, to, complaint, &talk.requoted(quoted, &sent));
            let came = error(from, BACKEND.0, &inside);
            row = row.enters_as(talk.interface, error(from, VIP.0, &sent), &came);
            row = if talk.seen == talk.client {
                row.leaves(UPLINK, &came, Reason::Canonical)
            } else {
                row.leaves_as(UPLINK, &came, error(as_from, BACKEND.0, &received))
            };
        }
    }
    row
}

/// A redirect would teach a pod that the service is at the backend's router.
fn redirects<F: TestFamily>(talk: Talk) -> Row<F> {
    let (came, asked) = (
        talk.request::<F>(talk.client, BACKEND),
        talk.request::<F>(talk.client, VIP),
    );
    let news = |quoted: &Draft<F>| redirect::<F>(Gateway, talk.client.0, Router, &quoted.packet());
    let reply = data::<F>(talk.protocol, VIP, talk.client);
    let about_reply = redirect::<F>(Router, VIP.0, Gateway, &reply.packet());
    talk.begun("no redirect about a service gets through")
        .step(
            proxy_ebpf::testing::machine::Way::Out(talk.interface),
            news(&came),
            super::Expected::Drops(Reason::Redirect),
        )
        .drops(talk.interface, about_reply, Reason::Redirect)
        .leaves(talk.interface, news(&asked), Reason::IcmpUnrelated)
}

/// As little as eight bytes of the transport header may be quoted (RFC 792), and no less is of use.
fn cut_quotes<F: TestFamily>() -> Vec<Row<F>> {
    let header = F::HEADER_LEN as usize;
    let mut rows = Vec::new();
    for talk in talks() {
        let row = talk.begun("a complaint that quotes little is translated");
        let (came, asked) = (
            talk.request::<F>(talk.client, BACKEND),
            talk.request::<F>(talk.client, VIP),
        );
        let error = |quoted: &Draft<F>, length: usize| {
            let packet = talk.requoted(quoted, &came);
            icmp_error::<F>(
                Router,
                talk.client.0,
                Complaint::HostUnreachable,
                &packet[..packet.len().min(length)],
            )
        };
        let row = [8, 12, 18, 20, 64].into_iter().fold(row, |row, more| {
            row.leaves_as(
                talk.interface,
                error(&came, header + more),
                error(&asked, header + more),
            )
        });
        rows.push([0, 4, 7].into_iter().fold(row, |row, more| {
            row.leaves(talk.interface, error(&came, header + more), Reason::IcmpUnrelated)
        }));
    }
    rows
}

fn no_errors<F: TestFamily>() -> Vec<Row<F>> {
    let talk = talks()[0];
    let foreign = talk.request::<F>((Pod(7), 1), (FarPod(7), 1)).packet();
    let unrelated = icmp_error::<F>(Router, Pod(7), Complaint::PortUnreachable, &foreign);
    let junk = icmp_error::<F>(Router, Pod(7), Complaint::PortUnreachable, &[0; 60]);
    let other = icmp_error::<F>(
        Router,
        Pod(7),
        Complaint::PortUnreachable,
        &echo::<F>(Pod(7), FarPod(7)).packet(),
    );
    let pieces = unrelated.fragments(24);
    let about = talk.request::<F>(talk.client, BACKEND).packet();
    let astray = icmp_error::<F>(Router, Pod(7), Complaint::PortUnreachable, &about);
    vec![
        row("a ping passes, to a service too", &talk.fixture::<F>())
            .enters(POD_PORT, echo::<F>(Pod(2), VIP.0), Reason::IcmpQuery)
            .leaves(POD_PORT, echo::<F>(FarPod(1), Pod(2)), Reason::IcmpQuery),
        row("a complaint about somebody else's packet passes", &talk.fixture::<F>())
            .enters(UPLINK, &unrelated, Reason::IcmpUnrelated)
            .leaves(POD_PORT, &unrelated, Reason::IcmpUnrelated),
        row(
            "a complaint about nothing that can be read passes",
            &talk.fixture::<F>(),
        )
        .enters(UPLINK, junk, Reason::IcmpUnrelated),
        talk.begun("a complaint that goes to another than it is about passes")
            .leaves(talk.interface, astray, Reason::IcmpUnrelated),
        row("a complaint about a ping passes", &talk.fixture::<F>()).enters(UPLINK, other, Reason::IcmpUnrelated),
        row("a complaint in pieces passes", &talk.fixture::<F>())
            .enters(UPLINK, &pieces[0], Reason::IcmpUnrelated)
            .enters(UPLINK, &pieces[1], Reason::IcmpUnrelated),
    ]
}

/// A quoted datagram without checksum keeps having none.
fn quoted_without_checksum<F: TestFamily>() -> Row<F> {
    let talk = talks()[2];
    let quoted = |to| talk.request::<F>(talk.client, to).without_checksum().packet();
    let error = |to| icmp_error::<F>(Router, talk.client.0, Complaint::HostUnreachable, &quoted(to));
    let row = talk.begun(match F::KIND {
        FamilyKind::V4 => "a quoted datagram without checksum gets none",
        FamilyKind::V6 => "a quoted datagram that ought to have a checksum gets none",
    });
    row.leaves_as(talk.interface, error(BACKEND), error(VIP))
}
