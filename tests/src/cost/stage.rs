//! A node whose programs are measured: few Services that packets go to, and as many others as are asked for.

use anyhow::Result;
use proxy_common::{
    block::{BlockEntry, BlockHeader, Cell, FlipWord, policy},
    endpoint::{EndpointState, serving},
    family::{Family, FamilyKind},
    frontend::{Frontend, FrontendKey, FrontendKind},
    net::{Address as _, Peer, Port, Protocol},
    node::Hook,
    schema::{self, MapSpec},
};
use proxy_ebpf::testing::{
    fixture::{Fixture, service},
    machine::Way,
    maps::{Maps, TypedMaps as _},
    packet::Draft,
    who::{TestFamily, Who},
};

use super::{
    counters::{self, Counted},
    flow::Conversing,
};
use crate::kernel::{
    bpf::{self, Context},
    programs::Programs,
};

/// What Services are dialled at, and what their endpoints listen on.
pub(super) const PORT: u16 = 80;
/// What the endpoints listen on.
pub(super) const TARGET: u16 = 8080;
/// The Services that packets go to: one of each protocol with four endpoints, and one of each without.
pub(super) const OWN: u32 = 4;
/// The cluster address of those without.
pub(super) const EMPTY: Who = Who::ClusterIp(9);
/// Endpoints of every other Service.
const ENDPOINTS: u32 = 4;
/// Numbers of other Services, their cells and their endpoints begin here.
const OTHERS: u32 = 64;

/// The loaded programs with a node's maps, sized as an agent sizes them.
pub(super) struct Stage {
    /// The programs.
    pub(super) programs: Programs,
}

impl Stage {
    /// Loads the programs of Ethernet devices and fills the maps of one family. Large maps are `smaller` times smaller
    /// than an agent's.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub(super) fn load<F: TestFamily>(services: u32, smaller: u32) -> Result<Self> {
        let programs = Programs::load_sized(&["ingress", "egress"], |spec| capacity::<F>(spec, smaller))?;
        let fixture = fixture::<F>(services > 0).config(|config| config.records /= smaller);
        fixture.fill(&programs);
        for n in 0..services.saturating_sub(OWN) {
            put_service::<F>(&programs, n);
        }
        Ok(Self { programs })
    }

    /// How many packets each reason of a hook has counted.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn counted(&self, hook: Hook) -> Result<Counted> {
        counters::read(self.programs.map(&schema::COUNTERS), hook)
    }

    /// Forgets how many refusals were sent in this second.
    pub(super) fn allow_refusals(&self) {
        let each = size_of::<proxy_common::node::RejectBudget>();
        let none = vec![0; each * crate::kernel::programs::processors()];
        self.programs.put(&schema::REJECTS, &0_u32.to_ne_bytes(), &none);
    }
}

impl<F: TestFamily> Conversing<F> for Stage {
    fn put_through(&mut self, way: Way, packet: &Draft<F>) -> Result<()> {
        let (program, interface) = match way {
            Way::In(interface) => ("ingress", interface),
            Way::Out(interface) => ("egress", interface),
        };
        let context = Context::new(interface, 0);
        bpf::run_by_test(self.programs.program(program), &packet.wire().bytes, &context, 1, 0)?;
        Ok(())
    }

    fn maps(&self) -> &impl Maps {
        &self.programs
    }
}

/// As many entries as the agent gives a map, or so many times fewer of those whose number limits what is remembered; but
/// few for the other family and for names, which no program reads.
fn capacity<F: Family>(spec: &MapSpec, smaller: u32) -> u32 {
    const LARGE: u32 = 100_000;
    let other = match F::KIND {
        FamilyKind::V4 => "_V6",
        FamilyKind::V6 => "_V4",
    };
    let unused = spec.name.ends_with("_NAMES") || (spec.name.ends_with(other) && !spec.name.starts_with("NODE"));
    match spec.capacity {
        few if unused => few.min(4),
        large if large > LARGE => large / smaller,
        few => few,
    }
}

/// A node with a masquerade range like an agent's, and the Services that packets go to.
pub(super) fn fixture<F: TestFamily>(with_services: bool) -> Fixture<F> {
    let fixture = Fixture::<F>::default().config(|config| {
        config.records = F::MAPS.records.capacity;
        config.masquerade_first = 10_000;
        config.masquerade_count = 20_000;
    });
    if !with_services {
        return fixture;
    }
    [Protocol::Tcp, Protocol::Udp]
        .into_iter()
        .fold(fixture, |fixture, protocol| {
            let own = service(protocol)
                .cluster_ip(1, PORT)
                .at(FrontendKind::LoadBalancer, Who::Balancer(1), PORT);
            let own = (20..24).fold(own, |own, n| own.near(Who::Pod(n), TARGET));
            let empty = service(protocol).at(FrontendKind::ClusterIp, EMPTY, PORT);
            fixture.with(own).with(empty)
        })
}

/// Writes the `n`th other Service: a cluster address with four endpoints.
fn put_service<F: TestFamily>(programs: &Programs, n: u32) {
    let (number, generation) = (OTHERS + n, 1);
    let begin = OTHERS + n * (ENDPOINTS + 1);
    let header = BlockHeader {
        generation,
        service: number,
        local_only: 0,
        both: 0,
        cluster_only: ENDPOINTS,
        flags: policy::ANY_ENDPOINT,
        affinity_seconds: 0,
        choice: 0,
    };
    programs.put_value(&schema::ENDPOINTS, &begin, &bytemuck::cast::<_, Cell>(header));
    for i in 0..ENDPOINTS {
        let endpoint = OTHERS + n * ENDPOINTS + i;
        let peer = Peer::<F>::new(numbered::<F>(Who::FarPod(0), 1 + n * ENDPOINTS + i), Port::new(TARGET));
        let entry = BlockEntry::new(peer.address.widen(), peer.port, endpoint, number, generation);
        programs.put_value(&schema::ENDPOINTS, &(begin + 1 + i), &bytemuck::cast::<_, Cell>(entry));
        let state = EndpointState {
            flags: serving::IN_USE | serving::SERVING | serving::ELIGIBLE,
            ..EndpointState::default()
        };
        programs.put_value(&schema::STATE, &endpoint, &state);
        programs.put_value(&F::MAPS.targets, &FrontendKey::new(peer, Protocol::Tcp), &1_u32);
    }
    programs.put_value(&schema::SERVICES, &number, &FlipWord::new(begin, generation).0);
    let front = Peer::<F>::new(numbered::<F>(Who::ClusterIp(0), 256 + n), Port::new(PORT));
    let key = FrontendKey::new(front, Protocol::Tcp);
    programs.put_value(
        &F::MAPS.frontends,
        &key,
        &Frontend::new(&key, number, FrontendKind::ClusterIp),
    );
}

/// The `n`th address behind somebody's.
fn numbered<F: TestFamily>(who: Who, n: u32) -> F::Address {
    let mut bytes = F::bytes(&F::address(who));
    let at = bytes.len() - 4;
    let last = bytes[at..].try_into().map_or(0, u32::from_be_bytes);
    bytes[at..].copy_from_slice(&last.wrapping_add(n).to_be_bytes());
    bytemuck::pod_read_unaligned(&bytes)
}
