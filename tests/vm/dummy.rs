//! Service addresses on a dummy device of the node, as caches of name servers and proxies of other kinds have them.

use anyhow::{Result, ensure};
use tests::agent::SocketLb;
use tests::cluster::World;
use tests::manifests::Service;
use tests::peer::Transport;
use tests::plan::{Ip, cluster_ip, load_balancer};
use tests::programmed::{Programmed, TARGET, sees, serve_everywhere, spreads_over};

#[test]
fn a_cluster_address_of_the_node_is_the_nodes_and_a_load_balancers_is_not() -> Result<()> {
    let world = World::one_node().pods(2).build()?;
    serve_everywhere(&world)?;
    let node = world.node(0);
    let mut service = Service::named("dns", cluster_ip(10))
        .ports(TARGET, TARGET)
        .load_balancer(load_balancer(21))
        .pods_of(node);
    service.backends.remove(0);
    node.netns()
        .ip("link add nodelocaldns type dummy\nlink set nodelocaldns up")?;
    for address in [cluster_ip(10), load_balancer(21)] {
        node.netns().ip(&format!(
            "addr add {}/32 dev nodelocaldns\naddr add {}/128 dev nodelocaldns nodad\n",
            address.v4, address.v6
        ))?;
        for ip in Ip::BOTH {
            node.peer()?.serve(address.at(ip, TARGET))?;
        }
    }
    let programmed = Programmed::start(world, SocketLb::Off, &[service])?;
    let (node, pod) = (programmed.world.node(0), programmed.world.pod(0, 0));
    let devices = programmed.agents[0].ask(&["get", "devices"])?.to_string();
    ensure!(!devices.contains("nodelocaldns"), "{devices}");
    for ip in Ip::BOTH {
        for transport in [Transport::Tcp, Transport::Udp] {
            let own = cluster_ip(10).at(ip, TARGET);
            spreads_over(&["node-a"], pod, transport, own, |_| Ok(()))?;
            let balanced = load_balancer(21).at(ip, TARGET);
            spreads_over(&["pod-a-1"], &programmed.world.client, transport, balanced, sees(node))?;
        }
    }
    Ok(())
}
