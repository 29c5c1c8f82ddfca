//! The cluster of the demonstration: two nodes, their pods, servers and agents.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::NAME;
use super::story::Story;
use crate::agent::{Agent, SocketLb};
use crate::cluster::{PodNetwork, World};
use crate::servers::{Dns, Nginx};

/// The manifests of the checkout this was built from.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

/// The pods that serve, as `examples/README.md` lists them: node, pod, and whether DNS too.
const SERVING: [(usize, usize, bool); 4] = [(0, 1, true), (0, 2, false), (1, 0, true), (1, 1, false)];

const PICTURE: &str = "        client 203.0.113.2, 2001:db8:c::2
           |
        router ------------- 192.168.0.0/24, 2001:db8::/64 ---------.
           |                                                        |
        node-a 192.168.0.2, 2001:db8::2          node-b 192.168.0.3, 2001:db8::3
           | bridge                                 | a routed veth for each
        pod-a-0  pod-a-1  pod-a-2                pod-b-0  pod-b-1
        (client) web,dns  web                    web,dns  web";

/// What stands while the story is told. Dropping it ends everything.
#[derive(Debug)]
pub(super) struct Stage {
    // Before the world: they run in it.
    pub(super) agents: Vec<Agent>,
    web: Vec<Nginx>,
    dns: Vec<Dns>,
    pub(super) world: World,
}

impl Stage {
    /// Builds it and starts everything.
    pub(super) fn set(story: &mut Story) -> Result<Self> {
        story.chapter("A cluster of network namespaces");
        let world = World::two_nodes()
            .named(NAME)
            .node(0, |node| (node.pods, node.network) = (3, PodNetwork::Bridge))
            .node(1, |node| (node.pods, node.network) = (2, PodNetwork::Routed))
            .build()?;
        story.tell(PICTURE);
        let (mut web, mut dns) = (Vec::new(), Vec::new());
        for (node, pod, serves_dns) in SERVING {
            let pod = world.pod(node, pod);
            web.push(Nginx::start(pod, pod.address, 8080)?);
            if serves_dns {
                dns.push(Dns::start(pod, pod.address, 53)?);
            }
        }
        story.chapter("`fairlead run --manifests` in each node");
        let mut agents = Vec::new();
        for node in &world.nodes {
            copy_examples(&node.manifests_dir())?;
            agents.push(Agent::start(node, SocketLb::Auto)?);
            story.check(true, &format!("the agent of {} is ready", node.label()));
        }
        story.tell("Services: shop/web, shop/source, shop/cart, kube-system/dns (examples/*.yaml)");
        Ok(Self {
            agents,
            web,
            dns,
            world,
        })
    }

    /// What the agent of node-a says about itself and about one packet.
    pub(super) fn ask(&self, story: &mut Story) -> Result<()> {
        story.chapter("The agent of node-a about itself: `fairlead status`");
        let status = self.agents[0].say(&["status"])?;
        story.tell(&status);
        story.chapter("What happens to a packet, and why: `fairlead explain 203.0.113.2 198.51.100.80:80`");
        let words = ["explain", "203.0.113.2", "198.51.100.80:80"];
        story.tell(&self.agents[0].say(&words)?);
        let answer = self.agents[0].ask(&words)?;
        story.check(
            answer["verdict"] == "translate",
            "the program itself says that it would translate it",
        );
        story.check(
            answer["eligible"].as_array().is_some_and(|all| all.len() == 3),
            "to one of three endpoints",
        );
        Ok(())
    }

    /// Changes a manifest in every node as an editor would: `change` gets the text and returns the new one.
    pub(super) fn edit(&self, file: &str, change: impl Fn(&str) -> String) -> Result<()> {
        for path in self.copies(file) {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let unfinished = path.with_extension("unfinished");
            fs::write(&unfinished, change(&text))?;
            fs::rename(&unfinished, &path)?;
        }
        Ok(())
    }

    /// Deletes a manifest in every node.
    pub(super) fn delete(&self, file: &str) -> Result<()> {
        self.copies(file)
            .try_for_each(|path| fs::remove_file(&path).with_context(|| path.display().to_string()))
    }

    /// Forgets everything without ending it.
    pub(super) fn leave_running(self) {
        let Self {
            agents,
            web,
            dns,
            world,
        } = self;
        std::mem::forget((agents, web, dns));
        world.keep();
    }

    fn copies<'a>(&'a self, file: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
        self.world.nodes.iter().map(move |node| node.manifests_dir().join(file))
    }
}

fn copy_examples(to: &Path) -> Result<()> {
    for entry in fs::read_dir(EXAMPLES).context("examples")? {
        let path = entry?.path();
        if let Some(name) = path
            .file_name()
            .filter(|_| path.extension().is_some_and(|end| end == "yaml"))
        {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}
