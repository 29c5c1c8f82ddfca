//! How the demonstration ends: everything removed, or everything left up.

use anyhow::Result;

use super::NAME;
use super::changes::nobody_answers;
use super::stage::Stage;
use super::story::Story;
use super::traffic::{WEB_CLUSTER, WEB_NODE_A, web};
use crate::agent::Agent;
use crate::cluster::{Place, leftovers};
use crate::plan::Ip;

/// Stops the agents in order, removes their data path, then the cluster, and looks for what is left.
pub(super) fn clean_up(mut stage: Stage, story: &mut Story) -> Result<()> {
    story.chapter("Stop, `fairlead cleanup`, and what is left");
    stage.agents.iter_mut().try_for_each(Agent::stop)?;
    let (pod, client): (&Place, &Place) = (stage.world.pod(0, 0), &stage.world.client);
    let works = |from: &Place, to| Ok::<_, anyhow::Error>(web(from, to, 10)?.failed.is_empty());
    for ip in Ip::BOTH {
        let both = works(pod, WEB_CLUSTER.at(ip))? && works(client, WEB_NODE_A.at(ip))?;
        story.check(
            both,
            &format!("the agents have ended by SIGTERM; the data path still translates {ip}"),
        );
    }
    for (agent, node) in stage.agents.iter().zip(&stage.world.nodes) {
        agent.cleanup()?;
        let pins = node.pins();
        story.check(
            pins.is_empty(),
            &format!("no pin is left in {} {}", node.label(), pins.join(" ")),
        );
    }
    for ip in Ip::BOTH {
        let both = nobody_answers(pod, WEB_CLUSTER, ip)? && nobody_answers(client, WEB_NODE_A, ip)?;
        story.check(both, &format!("no {ip} service address answers any more"));
        let direct = stage.world.pod(1, 0).address.at(ip, 8080);
        story.check(works(pod, direct)?, &format!("pods still reach each other over {ip}"));
    }
    drop(stage);
    let left = leftovers(NAME);
    left.iter().for_each(|line| story.tell(line));
    story.check(
        left.is_empty(),
        "no namespace, link, mount, process, cgroup or file of it is left on this machine",
    );
    Ok(())
}

/// Leaves everything running and says how to use it.
pub(super) fn keep(stage: Stage) {
    let node = stage.world.node(0);
    let (state, cgroup) = (node.state_dir(), node.cgroup().path().to_owned());
    println!(
        "
The cluster stays up. Its namespaces are called {NAME}-client, -router, -node-a, -node-b, -pod-a-0 and so on.

   in the outside client:
      ip netns exec {NAME}-client curl http://198.51.100.80/
      ip netns exec {NAME}-client dig +short @192.168.0.3 -p 30053 TXT who.fairlead.test
   in a pod:
      ip netns exec {NAME}-pod-a-0 curl 'http://[fd00:10:96::80]/'
   in a node, and in its cgroup, where the sockets of the node itself are translated:
      sh -c 'echo $$ > {cgroup}/cgroup.procs; exec nsenter --net=/run/netns/{NAME}-node-a bash'
      curl http://10.96.0.80/
   the agent of node-a, from anywhere:
      nsenter --net=/run/netns/{NAME}-node-a target/release/fairlead status --state {state}
   its manifests, which can be edited, and its log:
      {manifests}
      {log}

   to remove it:
      cargo xtask demo --down",
        cgroup = cgroup.display(),
        state = state.display(),
        manifests = node.manifests_dir().display(),
        log = node.log("fairlead").display(),
    );
    stage.leave_running();
}
