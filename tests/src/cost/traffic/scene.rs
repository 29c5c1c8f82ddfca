//! A node with an agent, three pods and Services, on which traffic is measured.

use std::{
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
};

use anyhow::{Context as _, Result};
use aya::{
    maps::MapData,
    programs::{SchedClassifier, TcAttachType},
};
use proxy_agent::datapath::Pins;
use proxy_common::{node::Hook, schema};

use super::super::{
    counters::{self, Counted},
    yardstick,
};
use crate::{
    agent::{Agent, SocketLb},
    cluster::{Pod, World},
    kernel::bpf,
    manifests::{Backend, Folder, Service},
    plan::{Ip, cluster_ip},
    programmed::{TARGET, serve},
    scale::objects,
};

const PORT: u16 = 80;
/// Services of one manifest.
const CHUNK: usize = 1_000;

/// Whom the client talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// A pod that is no Service's endpoint, by its own address.
    Pod,
    /// The Service whose one endpoint is another pod.
    Service,
}

/// The node.
pub(super) struct Scene {
    /// How many Services there are.
    pub(super) services: u32,
    world: World,
    counters: MapData,
    /// Links of empty programs; the kernel has no name for those.
    _empty: Vec<OwnedFd>,
    _agent: Agent,
    _manifests: Folder,
}

/// What a program did since it was loaded, as far as statistics were on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    /// How often.
    pub(super) count: u64,
    /// How long, ns.
    pub(super) nanoseconds: u64,
}

/// What the programs at one hook did.
#[derive(Clone, Debug)]
pub(super) struct AtHook {
    /// Ours.
    pub(super) ours: Run,
    /// The empty one behind it.
    pub(super) empty: Run,
    /// What ours counted.
    pub(super) counted: Counted,
}

impl Scene {
    /// Builds it; its servers listen, its agent is ready, and an empty program stands behind each of ours.
    ///
    /// # Errors
    /// When a part of it cannot be started.
    pub(super) fn build(services: u32) -> Result<Self> {
        let world = World::one_node().pods(3).build()?;
        let node = world.node(0);
        let manifests = Folder::of(&world)?;
        let web = Service::named("web", cluster_ip(10)).ports(PORT, TARGET);
        manifests.put(&web.backend(Backend::pod(node, world.pod(0, 1))))?;
        let others: Vec<usize> = (0..usize::try_from(services)?.saturating_sub(2)).collect();
        for chunk in others.chunks(CHUNK) {
            let objects: Vec<_> = chunk.iter().flat_map(|n| objects::service(*n, 4)).collect();
            manifests.write(&format!("others-{}", chunk[0]), &objects)?;
        }
        serve(world.pod(0, 1))?;
        serve(world.pod(0, 2))?;
        let agent = Agent::start(node, SocketLb::Off)?;
        let counters = Pins::new(&node.state_dir()).map(&schema::COUNTERS);
        Ok(Self {
            services,
            counters: MapData::from_pin(&counters).with_context(|| counters.display().to_string())?,
            _empty: put_empty_programs(&world)?,
            world,
            _agent: agent,
            _manifests: manifests,
        })
    }

    /// The pod that talks.
    pub(super) fn client(&self) -> &Pod {
        self.world.pod(0, 0)
    }

    /// Where somebody is dialled.
    pub(super) fn address(&self, to: To, ip: Ip) -> SocketAddr {
        match to {
            To::Pod => self.world.pod(0, 2).address.at(ip, TARGET),
            To::Service => cluster_ip(10).at(ip, PORT),
        }
    }

    /// What the programs of a hook have done.
    ///
    /// # Errors
    /// When they are not where they were put.
    pub(super) fn at(&self, hook: Hook) -> Result<AtHook> {
        let (attached, name) = match hook {
            Hook::Ingress => (TcAttachType::Ingress, "ingress"),
            Hook::Egress | Hook::Socket => (TcAttachType::Egress, "egress"),
        };
        let device = &self.client().host_device;
        let node = self.world.node(0).netns();
        let (_, programs) = node.run(|| SchedClassifier::query_tcx(device, attached))??;
        let find = |name: &str| {
            let program = programs.iter().find(|program| program.name_as_str() == Some(name));
            program.with_context(|| format!("{device} does not carry the program {name:?}"))
        };
        let run = |name: &str| -> Result<Run> {
            let program = find(name)?;
            Ok(Run {
                count: program.run_count(),
                nanoseconds: u64::try_from(program.run_time().as_nanos())?,
            })
        };
        Ok(AtHook {
            ours: run(name)?,
            empty: run("")?,
            counted: counters::read(self.counters.fd().as_fd(), hook)?,
        })
    }
}

/// Puts an empty program of each hook behind ours on the device of every pod.
fn put_empty_programs(world: &World) -> Result<Vec<OwnedFd>> {
    let node = world.node(0);
    let mut links = Vec::new();
    for hook in [Hook::Ingress, Hook::Egress] {
        let program = yardstick::nothing()?;
        for pod in &node.pods {
            let attached = node.netns().run(|| {
                let interface = nix::net::if_::if_nametoindex(pod.host_device.as_str())?;
                bpf::attach_last(&program, interface, hook)
            })?;
            links.push(attached.with_context(|| format!("an empty program on {}", pod.host_device))?);
        }
    }
    Ok(links)
}

impl Run {
    /// What came since.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            count: self.count - before.count,
            nanoseconds: self.nanoseconds - before.nanoseconds,
        }
    }

    /// How long one took, ns.
    #[expect(clippy::cast_precision_loss, reason = "a run of the tool is short of 2^52 ns")]
    pub(super) fn each(self) -> f64 {
        self.nanoseconds as f64 / self.count as f64
    }
}
