//! Keys of flows that are no more: the kernel did not delete them, or the agent did not live to.

use proxy_common::{
    flow::{FlowKey, FlowRef},
    net::{Protocol, Tuple},
    reason::Reason,
};
use proxy_ebpf::testing::{
    fixture::{FIRST_PORT, Fixture, UPLINK, service},
    packet::{answer, data, opening},
    who::{
        IntoPeer as _, TestFamily,
        Who::{self, Balancer, FarPod, Node, Outsider},
    },
};

use super::row::{Row, row};

type End = (Who, u16);

/// What a key left behind may refer to: a record that is nobody's, or somebody else's by now, or nothing.
const REFERENCES: [FlowRef; 3] = [
    FlowRef { index: 5, sequence: 1 },
    FlowRef { index: 0, sequence: 77 },
    FlowRef::LEFT_BEHIND,
];

pub(super) fn rows<F: TestFamily>() -> Vec<Row<F>> {
    let mut rows = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for at in REFERENCES {
            rows.extend(of(protocol, at));
        }
    }
    rows
}

/// A masqueraded flow has a key of each kind.
fn of<F: TestFamily>(protocol: Protocol, at: FlowRef) -> Vec<Row<F>> {
    let (client, vip): (End, End) = ((Outsider(7), 4000), (Balancer(1), 80));
    let (backend, seen): (End, End) = ((FarPod(1), 8080), (Node, FIRST_PORT));
    let tuple = |source: End, destination: End| Tuple::<F> {
        source: source.peer(),
        destination: destination.peer(),
        protocol,
    };
    let keys = [
        ("requests", FlowKey::wire(&tuple(client, vip))),
        ("both directions", FlowKey::canonical(&tuple(client, backend))),
        ("replies", FlowKey::wire(&tuple(backend, seen))),
    ];
    let fixture = Fixture::<F>::default().with(service(protocol).everywhere(1, 80, 30080).far(FarPod(1), 8080));
    let fixture = fixture.one_port();
    let every = keys
        .iter()
        .fold(fixture.clone(), |fixture, (_, key)| fixture.left_behind(*key, at));
    let each = keys.map(|(name, key)| (name, fixture.clone().left_behind(key, at)));
    let fixtures = each.into_iter().chain([("all kinds", every)]);
    let rows = fixtures.map(|(name, fixture)| {
        let name = format!("a key of {name} that was left behind at {at:?} is in nobody's way, {protocol:?}");
        let early = data::<F>(Protocol::Tcp, client, vip);
        let (first, second) = (
            opening::<F>(protocol, client, vip),
            answer::<F>(protocol, backend, seen),
        );
        let inside = second.clone().to(client);
        row(&name, &fixture)
            .enters(UPLINK, early, Reason::NoFlow)
            .enters_as(UPLINK, &first, first.clone().to(backend))
            .leaves_as(UPLINK, first.clone().to(backend), first.to(backend).from(seen))
            .enters_as(UPLINK, second, &inside)
            .leaves_as(UPLINK, &inside, inside.clone().from(vip))
    });
    rows.collect()
}
