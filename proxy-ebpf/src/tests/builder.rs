//! The packets that tests are made of, read by somebody else; and the check that every test relies on.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proxy_common::family::{V4, V6};
use rstest::rstest;

use crate::testing::{
    check::{faults, faults_of_whole},
    packet::{Complaint, Draft, echo, icmp_error, redirect, sctp, tcp, udp},
    who::{TestFamily, Who::*},
};

fn of_every_kind<F: TestFamily>(payload: &[u8]) -> Vec<Draft<F>> {
    let (client, service) = ((Pod(2), 4000), (ClusterIp(1), 80));
    let mut drafts = vec![
        tcp(client, service).payload(payload),
        tcp(client, service).syn(),
        udp(client, service).payload(payload),
        sctp(client, service).payload(payload),
        echo(Pod(2), Pod(3)),
    ];
    for complaint in Complaint::ALL {
        drafts.push(icmp_error(Router, Pod(2), complaint, &drafts[0].packet()));
    }
    drafts.push(redirect(Router, Pod(2), Gateway, &drafts[0].packet()));
    drafts
}

#[rstest]
fn every_packet_is_as_its_receiver_wants_it(#[values(0, 1, 7, 8, 1400)] length: usize) {
    fn of<F: TestFamily>(length: usize) {
        for draft in of_every_kind::<F>(&vec![0xa5; length]) {
            assert_eq!(faults::<F>(&draft.packet()), [""; 0], "{draft:?}");
        }
    }
    of::<V4>(length);
    of::<V6>(length);
}

#[test]
fn somebody_else_reads_what_was_written() {
    fn of<F: TestFamily>() {
        let draft = tcp::<F>((Pod(2), 4000), (ClusterIp(1), 80))
            .syn()
            .payload(b"hello")
            .hops(7);
        let wire = draft.vlan(5).wire();
        let read = SlicedPacket::from_ethernet(&wire.bytes).expect("well formed");
        assert_eq!(read.link_exts.len(), 1);
        let Some(TransportSlice::Tcp(segment)) = read.transport else {
            panic!("no TCP: {read:?}")
        };
        assert_eq!((segment.source_port(), segment.destination_port()), (4000, 80));
        assert!(segment.syn() && !segment.ack());
        let sum = match read.net {
            Some(NetSlice::Ipv4(ip)) => {
                assert_eq!(ip.header().ttl(), 7);
                assert_eq!(
                    ip.header().header_checksum(),
                    ip.header().to_header().calc_header_checksum()
                );
                segment.calc_checksum_ipv4(ip.header().source(), ip.header().destination())
            }
            Some(NetSlice::Ipv6(ip)) => {
                assert_eq!(ip.header().hop_limit(), 7);
                segment.calc_checksum_ipv6(ip.header().source(), ip.header().destination())
            }
            other => panic!("no network header: {other:?}"),
        };
        assert_eq!(sum, Ok(segment.checksum()));
    }
    of::<V4>();
    of::<V6>();
}

#[test]
fn the_pieces_of_a_packet_make_the_whole_again() {
    fn of<F: TestFamily>() {
        let whole = udp::<F>((Pod(2), 4000), (ClusterIp(1), 53)).payload(&[7; 100]);
        let pieces: Vec<_> = whole.fragments(40).iter().map(Draft::packet).collect();
        assert_eq!(pieces.len(), 3);
        assert_eq!(faults_of_whole::<F>(&pieces), [""; 0]);
        let read = SlicedPacket::from_ip(&pieces[1]).expect("well formed");
        assert!(read.is_ip_payload_fragmented());
    }
    of::<V4>();
    of::<V6>();
}

#[rstest]
#[case::header(10, "the header checksum is wrong")]
#[case::source_address(15, "checksum is wrong")]
#[case::port(21, "the TCP checksum is wrong")]
#[case::last_byte(44, "the TCP checksum is wrong")]
fn a_wrong_byte_is_found(#[case] at: usize, #[case] fault: &str) {
    let good = tcp::<V4>((Pod(2), 4000), (ClusterIp(1), 80)).payload(b"hello").wire();
    let bad = good.clone().with(at, good.packet()[at] ^ 1);
    let faults = faults::<V4>(bad.packet());
    assert!(faults.iter().any(|found| found.contains(fault)), "{faults:?}");
}

#[test]
fn a_wrong_byte_in_a_quote_is_found() {
    fn of<F: TestFamily>() {
        let mut bad = udp::<F>((Pod(2), 4000), (ClusterIp(1), 80)).payload(b"hello").packet();
        *bad.last_mut().expect("it has bytes") ^= 1;
        let error = icmp_error::<F>(Router, Pod(2), Complaint::TimeExceeded, &bad).packet();
        assert_eq!(faults::<F>(&error), ["in the quote: the UDP checksum is wrong"]);
    }
    of::<V4>();
    of::<V6>();
}
