//! Bonds: the bond is where packets enter and leave, its members are not.

use anyhow::{Result, ensure};
use tests::agent::SocketLb;
use tests::cluster::{Uplink, World};
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip, load_balancer};
use tests::programmed::{Programmed, TARGET, sees, serve_everywhere, spreads_over};
use tests::wait;

const NODE_PORT: u16 = 30080;

fn started() -> Result<Programmed> {
    let world = World::one_node()
        .pods(1)
        .each(|node| node.uplink = Uplink::Bond)
        .build()?;
    serve_everywhere(&world)?;
    let service = Service::named("web", cluster_ip(10))
        .ports(80, TARGET)
        .node_port(NODE_PORT)
        .load_balancer(load_balancer(21))
        .pods_of(world.node(0));
    Programmed::start(world, SocketLb::Off, &[service])
}

/// The devices that carry the programs.
fn carrying(programmed: &Programmed) -> Result<Vec<String>> {
    let devices = programmed.agents[0].ask(&["get", "devices"])?;
    let rows = devices.as_array().cloned().unwrap_or_default();
    let attached = rows.iter().filter(|row| row["attached"] == true);
    Ok(attached
        .filter_map(|row| row["name"].as_str().map(str::to_owned))
        .collect())
}

#[test]
fn the_outside_reaches_services_through_a_bond() -> Result<()> {
    let programmed = started()?;
    let node = programmed.world.node(0);
    let devices = carrying(&programmed)?;
    ensure!(
        devices.contains(&"bond0".to_owned()) && !devices.contains(&"eth0".to_owned()),
        "{devices:?}"
    );
    for ip in Ip::BOTH {
        for to in [node.address().at(ip, NODE_PORT), load_balancer(21).at(ip, 80)] {
            for transport in [Transport::Tcp, Transport::Udp] {
                spreads_over(&["pod-a-0"], &programmed.world.client, transport, to, sees(node))?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_device_that_joins_a_bond_loses_the_programs() -> Result<()> {
    let programmed = started()?;
    let node = programmed.world.node(0).netns();
    node.ip("link add eth8 type veth peer name eth9")?;
    let carries = |device: &str| Ok(carrying(&programmed)?.contains(&device.to_owned()));
    wait::until_true("programs on the device", wait::PATIENCE, || carries("eth8"))?;
    node.ip("link set eth8 master bond0")?;
    wait::until_true("the device without programs", wait::PATIENCE, || Ok(!carries("eth8")?))?;
    let filters = node.tool("tc", &["filter", "show", "dev", "eth8", "ingress"])?;
    ensure!(!filters.contains("0xfa11ead"), "{filters}");
    Ok(())
}
