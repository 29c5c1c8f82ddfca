//! What stands around the segment: link headers, tags, options, extension headers, segments to be cut.

use proxy_common::{family::FamilyKind, net::Protocol, node::device_flag, reason::Reason};
use proxy_ebpf::testing::{
    fixture::{Fixture, POD_PORT, UPLINK, service},
    packet::{BRIDGE_MAC, Draft, data, opening, raw, tcp},
    who::{
        TestFamily,
        Who::{ClusterIp, FarPod, Outsider, Pod},
    },
};

use super::row::{Row, row};

const STRANGER: [u8; 6] = [2, 0, 0, 0, 0, 0x77];

fn fixture<F: TestFamily>() -> Fixture<F> {
    Fixture::default().with(service(Protocol::Tcp).cluster_ip(1, 80).far(FarPod(1), 8080))
}

fn wire<F: TestFamily>() -> Draft<F> {
    tcp::<F>((Pod(2), 4000), (ClusterIp(1), 80)).syn()
}

fn inside<F: TestFamily>(draft: &Draft<F>) -> Draft<F> {
    draft.clone().to((FarPod(1), 8080))
}

pub(super) fn rows<F: TestFamily>() -> Vec<Row<F>> {
    let mut rows = addressed();
    rows.extend(tagged());
    rows.extend(other_contents());
    rows.extend(segments());
    rows
}

fn addressed<F: TestFamily>() -> Vec<Row<F>> {
    let to_bridge = wire::<F>().at_mac(BRIDGE_MAC);
    vec![
        row("a frame for another machine passes", &fixture::<F>()).enters(
            POD_PORT,
            wire::<F>().at_mac(STRANGER),
            Reason::OtherHost,
        ),
        row("a frame for the bridge is this host's", &fixture::<F>()).enters_as(
            POD_PORT,
            &to_bridge,
            inside(&to_bridge),
        ),
        row(
            "a frame for the bridge is another's where there is no bridge",
            &fixture::<F>(),
        )
        .enters(UPLINK, to_bridge, Reason::OtherHost),
    ]
}

fn tagged<F: TestFamily>() -> Vec<Row<F>> {
    let (tagged, priority) = (wire::<F>().vlan(5), wire::<F>().vlan(0));
    let above = fixture::<F>().device_flags(UPLINK, device_flag::VLANS_ABOVE);
    let reply = tcp::<F>((FarPod(1), 8080), (Pod(2), 4000)).syn_ack().vlan(5);
    vec![
        row("a tagged packet is translated, and keeps its tag", &fixture::<F>())
            .enters_as(UPLINK, &tagged, inside(&tagged))
            .leaves_as(UPLINK, &reply, reply.clone().from((ClusterIp(1), 80))),
        row("a tagged packet is the VLAN device's where there is one", &above)
            .enters(UPLINK, &tagged, Reason::Tagged)
            .enters_as(UPLINK, &priority, inside(&priority)),
    ]
}

fn other_contents<F: TestFamily>() -> Vec<Row<F>> {
    let (from, to) = ((Pod(2), 0), (ClusterIp(1), 0));
    vec![
        row("what is not IP passes", &fixture::<F>())
            .enters(POD_PORT, wire::<F>().ethertype(0x0806), Reason::NotIp)
            .leaves(POD_PORT, wire::<F>().ethertype(0x88cc), Reason::NotIp),
        row("a protocol that no service uses passes", &fixture::<F>())
            .enters(POD_PORT, raw::<F>(from, to, 47, &[0; 40]), Reason::OtherProtocol)
            .leaves(POD_PORT, raw::<F>(from, to, 136, &[0; 40]), Reason::OtherProtocol),
        row("what ends before the frame is padded behind", &fixture::<F>()).step(
            proxy_ebpf::testing::machine::Way::In(POD_PORT),
            padded(&wire::<F>()),
            super::Expected::Becomes(padded(&inside(&wire::<F>()))),
        ),
    ]
}

/// As a card pads a short frame.
fn padded<F: TestFamily>(draft: &Draft<F>) -> proxy_ebpf::testing::packet::Wire {
    let mut wire = draft.wire();
    wire.bytes.extend([0; 6]);
    wire
}

/// Packets that stand for several segments, which are cut apart later. Such a one may be longer than its header can say:
/// then the header says zero.
fn segments<F: TestFamily>() -> Vec<Row<F>> {
    let mut rows = Vec::new();
    // A whole packet that says so ends before its header, or right behind it.
    let without_length = match F::KIND {
        FamilyKind::V4 => Reason::BadHeader,
        FamilyKind::V6 => Reason::Truncated,
    };
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let fixture = Fixture::<F>::default().with(service(protocol).cluster_ip(1, 80).far(FarPod(1), 8080));
        let (client, vip) = ((Outsider(9), 4000), (ClusterIp(1), 80));
        let fixture = fixture.node_flags(0);
        let large = data::<F>(protocol, client, vip).payload(&[9; 2800]).segments(3);
        let opening = opening::<F>(protocol, client, vip);
        let opened = row(
            &format!("a packet of three segments is translated, {protocol:?}"),
            &fixture,
        );
        let opened = opened.enters_as(UPLINK, &opening, inside(&opening));
        let huge = large.clone().length(0);
        rows.push(
            opened
                .enters_as(UPLINK, &large, inside(&large))
                .enters_as(UPLINK, &huge, inside(&huge))
                .enters(UPLINK, huge.clone().segments(0), without_length),
        );
    }
    rows
}
