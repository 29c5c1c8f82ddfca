//! Devices without a link header. The other end is read packet by packet, behind a real serialisation.

use anyhow::{Result, ensure};
use rstest::rstest;
use tests::agent::SocketLb;
use tests::cluster::{Place, Pod, PodNetwork, World};
use tests::manifests::{Backend, Service};
use tests::peer::{Transport, Why};
use tests::plan::{Dual, Ip, cluster_ip, in_pod_network, load_balancer, outside};
use tests::probe::{TunWire, wrong_in_packet};
use tests::programmed::{Programmed, TARGET, sees, sees_the_client, serve, spreads_over};
use tests::wait;

use crate::refused;

const DEVICE: &str = "tun0";
const NODE_PORT: u16 = 30080;
const MTU: usize = 1500;

/// A node with one pod on a veth and one place behind a tun device.
struct Behind {
    programmed: Programmed,
    wire: TunWire,
    far: Pod,
}

impl Behind {
    /// `own` is the far end's address; services: `near` leads to the veth's pod, `far` to the far end, `none` to nobody.
    fn start(own: Dual, network: PodNetwork) -> Result<Self> {
        let world = World::one_node().pods(1).network(network).build()?;
        let node = world.node(0);
        let mut far = node.unconnected_pod()?;
        far.address = own;
        let wire = TunWire::join((node.netns(), DEVICE), (far.netns(), "eth0"))?;
        node.netns().ip(&format!(
            "route add {} dev {DEVICE}\nroute add {} dev {DEVICE}\n",
            own.v4, own.v6
        ))?;
        far.netns().ip(&format!(
            "addr add {}/32 dev eth0\naddr add {}/128 dev eth0 nodad\n\
             route add default dev eth0\nroute add ::/0 dev eth0\n",
            own.v4, own.v6
        ))?;
        serve(world.pod(0, 0))?;
        serve(&far)?;
        let everywhere = |name, number: u8| {
            Service::named(name, cluster_ip(number))
                .ports(80, TARGET)
                .node_port(NODE_PORT + u16::from(number))
                .load_balancer(load_balancer(number))
        };
        let near = everywhere("near", 1).pods_of(node);
        let there = everywhere("far", 2).backend(Backend::pod(node, &far));
        let none = everywhere("none", 3);
        let programmed = Programmed::start(world, SocketLb::Off, &[near, there, none])?;
        wait::until_true("programs on the device", wait::PATIENCE, || {
            let devices = programmed.agents[0].ask(&["get", "devices"])?;
            let rows = devices.as_array().cloned().unwrap_or_default();
            Ok(rows
                .iter()
                .any(|row| row["name"] == DEVICE && row["attached"] == true && row["layer"] == "ip"))
        })?;
        Ok(Self { programmed, wire, far })
    }

    fn world(&self) -> &World {
        &self.programmed.world
    }

    /// Leaves checksums and the cutting of segments to the devices, or not, wherever packets begin or are handed on.
    fn offloads(&self, on: bool) -> Result<()> {
        let world = self.world();
        let near = world.pod(0, 0);
        near.netns().offloads("eth0", on)?;
        world.node(0).netns().offloads(&near.host_device, on)?;
        world.client.netns().offloads("eth0", on)?;
        world.router.netns().offloads("client", on)
    }

    /// Every packet on the wire was whole, in both directions, and there were some.
    fn all_right(&self) -> Result<()> {
        let passed = self.wire.passed();
        for (side, packets) in [("to the tun reader", passed.there), ("from it", passed.back)] {
            ensure!(packets.len() > 20, "{side}: {} packets", packets.len());
            for packet in packets {
                ensure!(packet.len() <= MTU, "{side}: a packet of {} bytes", packet.len());
                let wrong = wrong_in_packet(&packet);
                ensure!(wrong.is_none(), "{side}: {wrong:?}");
            }
        }
        Ok(())
    }
}

/// A pod's address that is in no node's network: pods on a bridge would look for it there.
fn pod() -> Dual {
    in_pod_network(7, 2)
}

/// Single bytes, odd ones, fragments, and a stream of full segments.
fn bytes_come_back(from: &Place, to: std::net::SocketAddr) -> Result<()> {
    for transport in [Transport::Tcp, Transport::Udp, Transport::UdpUnconnected] {
        let connection = from.peer()?.open(transport, to)?;
        for bytes in [1, 2, 3, 999, 1400, 4001] {
            connection.exchange(bytes)?;
        }
    }
    from.peer()?.open(Transport::Tcp, to)?.exchange(300_000)
}

#[rstest]
fn a_pod_on_a_veth_and_one_behind_a_tun_reach_each_other_by_service(
    #[values(PodNetwork::Bridge, PodNetwork::Routed)] network: PodNetwork,
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(true, false)] offloads: bool,
) -> Result<()> {
    let behind = Behind::start(pod(), network)?;
    behind.offloads(offloads)?;
    let near = behind.world().pod(0, 0);
    for (from, number, server) in [(&**near, 2, "pod-a-1"), (&*behind.far, 1, "pod-a-0")] {
        let to = cluster_ip(number).at(ip, 80);
        for transport in [Transport::Tcp, Transport::Udp] {
            spreads_over(&[server], from, transport, to, sees_the_client)?;
        }
        bytes_come_back(from, to)?;
        behind.all_right()?;
    }
    Ok(())
}

#[rstest]
fn the_outside_reaches_a_pod_behind_a_tun(
    #[values(Ip::V4, Ip::V6)] ip: Ip,
    #[values(true, false)] offloads: bool,
) -> Result<()> {
    let behind = Behind::start(pod(), PodNetwork::Bridge)?;
    behind.offloads(offloads)?;
    let (node, client) = (behind.world().node(0), &behind.world().client);
    for to in [node.address().at(ip, NODE_PORT + 2), load_balancer(2).at(ip, 80)] {
        for transport in [Transport::Tcp, Transport::Udp] {
            spreads_over(&["pod-a-1"], client, transport, to, sees(node))?;
        }
        bytes_come_back(client, to)?;
        behind.all_right()?;
    }
    Ok(())
}

#[rstest]
fn the_outside_may_be_behind_a_tun(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let behind = Behind::start(outside(77), PodNetwork::Bridge)?;
    behind.offloads(true)?;
    let node = behind.world().node(0);
    for to in [node.address().at(ip, NODE_PORT + 1), load_balancer(1).at(ip, 80)] {
        for transport in [Transport::Tcp, Transport::Udp] {
            spreads_over(&["pod-a-0"], &behind.far, transport, to, sees(node))?;
        }
        bytes_come_back(&behind.far, to)?;
        behind.all_right()?;
    }
    Ok(())
}

#[rstest]
fn a_pod_behind_a_tun_reaches_itself_and_is_refused_where_nobody_is(#[values(Ip::V4, Ip::V6)] ip: Ip) -> Result<()> {
    let behind = Behind::start(pod(), PodNetwork::Bridge)?;
    let to = cluster_ip(2).at(ip, 80);
    for transport in [Transport::Tcp, Transport::Udp] {
        spreads_over(&["pod-a-1"], &behind.far, transport, to, |opened| {
            ensure!(
                opened.seen.ip() != behind.far.address.of(ip),
                "seen as itself: {}",
                opened.seen
            );
            Ok(())
        })?;
        let nobody = cluster_ip(3).at(ip, 80);
        assert_eq!(refused(&behind.far, transport, nobody)?, Why::Refused, "{transport:?}");
    }
    behind.all_right()
}
