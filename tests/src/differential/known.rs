//! Which answers count as the same: those that are, and those that differ as the compatibility page says.

use super::ends::Sender;
use super::probes::{Address, Probe};
use super::settings::{Against, Setting};
use crate::peer::{Met, Transport, Why};
use crate::plan;

/// What a sender sees of packets that nobody takes.
const SILENCE: [Why; 2] = [Why::TimedOut, Why::Unreachable];

/// Whether two answers are the same, or differ as they are known to.
pub fn alike(against: Against, setting: Setting, probe: &Probe, theirs: &Met, ours: &Met) -> bool {
    let is_known = match probe.sender {
        Sender::Node => {
            as_the_node_is_told(against, probe, theirs, ours) || as_sockets_are(setting, probe, theirs, ours)
        }
        Sender::Pod | Sender::Outside => false,
    };
    theirs == ours || is_known || (against == Against::Iptables && as_rules_are(setting, probe, theirs, ours))
}

/// The node's own processes are told by Fairlead when they connect or send what becomes of their packets. With kube-proxy a
/// dropped segment is silence, and a datagram that is refused or dropped on its way out is an error without a name (EPERM).
fn as_the_node_is_told(against: Against, probe: &Probe, theirs: &Met, ours: &Met) -> bool {
    let any = [Why::TimedOut, Why::Unreachable, Why::Other];
    let is_outer = matches!(probe.address, Address::External | Address::Balancer);
    (fails(theirs, &any) && fails(ours, &any))
        || (probe.transport == Transport::Udp && fails(theirs, &[Why::Other]) && fails(ours, &[Why::Refused]))
        // Mode iptables lets what the node itself sends to a service without endpoints go on to the load balancer.
        || (against == Against::Iptables && is_outer && fails(theirs, &SILENCE) && fails(ours, &[Why::Refused]))
}

/// Where nobody is a pod, kube-proxy masquerades nothing that the node sends: it carries the address that was chosen for
/// the service's. A socket that Fairlead connects to an endpoint carries the one that belongs to the endpoint.
fn as_sockets_are(setting: Setting, probe: &Probe, theirs: &Met, ours: &Met) -> bool {
    let own = [plan::node(0), plan::in_pod_network(0, 1)].map(|address| address.of(probe.ip));
    let sees_node = |met: &Met| met.servers.values().flatten().all(|seen| own.contains(seen));
    setting == Setting::NoDetection
        && theirs.failures == ours.failures
        && theirs.servers.keys().eq(ours.servers.keys())
        && sees_node(theirs)
        && sees_node(ours)
}

/// What rules of mode iptables do that Fairlead does not.
fn as_rules_are(setting: Setting, probe: &Probe, theirs: &Met, ours: &Met) -> bool {
    match probe.address {
        // What is passed on meets a router, which says that there is no way as often as its limit lets it.
        Address::UnknownPort | Address::Unallocated => fails(theirs, &SILENCE) && fails(ours, &SILENCE),
        // They drop what is for a service without an endpoint on this node at all of the node's addresses, those that take
        // no node ports too.
        Address::NodePortHere | Address::NodePortThere => {
            setting == Setting::NodePortsNowhere && fails(theirs, &SILENCE) && fails(ours, &[Why::Refused])
        }
        Address::ClusterIp | Address::External | Address::Balancer => false,
    }
}

/// Whether all conversations failed, in no other ways than these.
fn fails(met: &Met, ways: &[Why]) -> bool {
    met.servers.is_empty() && !met.failures.is_empty() && met.failures.iter().all(|why| ways.contains(why))
}
