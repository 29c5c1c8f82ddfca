//! Packets through the loaded programs.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    net::{IpAddr, UdpSocket},
};

use anyhow::{Result, bail, ensure};
use nix::libc;
use proxy_common::{explain::Explanation, family::V4, node::Hook, reason::Reason, schema};
use proxy_ebpf::{
    testing::{
        fixture::Fixture,
        machine::{Machine, Sent, Way},
        maps::{Maps, TypedMaps as _},
        packet::{Wire, tcp},
        who::{TestFamily, Who},
    },
    verdict::Action,
};

use tests::kernel::{
    bpf::{self, CHECKSUM_COMPLETE, Context},
    programs::Programs,
};

const TC_ACT_UNSPEC: i32 = -1;
const TC_ACT_SHOT: i32 = 2;
const TC_ACT_REDIRECT: i32 = 7;

/// The loaded programs, as something that packets are put through.
pub(crate) struct Kernel {
    /// The programs and their maps.
    pub(crate) programs: Programs,
    /// What is put behind the names of the programs.
    variant: &'static str,
    sockets: Vec<UdpSocket>,
    /// What the counters stood at.
    known: RefCell<BTreeMap<u32, u64>>,
    /// Whether this kernel can play a card that sums up packets.
    pub(crate) complete_sums: bool,
}

impl Kernel {
    /// Loads the programs of devices with a link header, and the one that explains.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub(crate) fn load() -> Result<Self> {
        let programs = Programs::load(&["ingress", "egress", "explain"])?;
        let kernel = Kernel {
            complete_sums: has_complete_sums(&programs),
            programs,
            variant: "",
            sockets: Vec::new(),
            known: RefCell::default(),
        };
        kernel.counted();
        Ok(kernel)
    }

    /// Puts a packet through.
    ///
    /// # Errors
    /// If the kernel does not run the program on such a packet, or if the packet was not counted exactly once.
    pub(crate) fn try_send(&self, way: Way, wire: &Wire) -> Result<Sent> {
        let (hook, name, interface) = match way {
            Way::In(interface) => (Hook::Ingress, "ingress", interface),
            Way::Out(interface) => (Hook::Egress, "egress", interface),
        };
        let program = format!("{name}{}", self.variant);
        let mut ran = self.run(&program, interface, wire, true);
        let counted = self.counted();
        if counted.is_empty() {
            // The kernel did not run it, and says why.
            ran?;
            bail!("the packet was not counted");
        }
        ensure!(matches!(counted[..], [(_, 1)]), "the packet was counted as {counted:?}");
        let number = counted[0].0.wrapping_sub(hook as u32 * Reason::COUNTERS);
        let reason = u8::try_from(number).ok().and_then(Reason::from_number);
        let Some(reason) = reason else {
            bail!("counted under {counted:?} at {hook:?}")
        };
        if matches!(reason, Reason::NoEndpoint | Reason::UnknownPort) && ran.as_ref().is_err_and(is_other_sum) {
            // A refusal is cut to its quote, upon which the kernel gives up the card's sum; the test-run compares it all
            // the same. Nothing was remembered of the packet, so it can be put through again.
            ran = self.run(&program, interface, wire, false);
            self.counted();
        }
        let ran = ran?;
        let action = match ran.returned {
            TC_ACT_UNSPEC if reason == Reason::Translated => Action::Translate,
            TC_ACT_UNSPEC => Action::Pass,
            TC_ACT_SHOT => Action::Drop,
            TC_ACT_REDIRECT => Action::Reject,
            other => bail!("{name} returned {other}"),
        };
        let wire = Wire {
            bytes: ran.data,
            segments: wire.segments,
        };
        Ok(Sent { action, reason, wire })
    }

    /// Runs a program on a packet, which a card has summed up if the kernel can play one.
    ///
    /// # Errors
    /// The kernel's. `EBADMSG`: the program did not keep the sum that a card had made of the packet.
    pub(crate) fn run(&self, program: &str, interface: u32, wire: &Wire, summed: bool) -> io::Result<bpf::Ran> {
        let context = Context::new(interface, wire.segments);
        // A packet that is cut apart later has no sum of its own yet.
        let summed = summed && wire.segments == 0 && self.complete_sums;
        let flags = if summed { CHECKSUM_COMPLETE } else { 0 };
        bpf::run_by_test(self.programs.program(program), &wire.bytes, &context, 1, flags)
    }

    /// Under what packets were counted since the last question.
    fn counted(&self) -> Vec<(u32, u64)> {
        let mut counted = Vec::new();
        for counter in Reason::ALL
            .iter()
            .flat_map(|reason| HOOKS.map(|hook| reason.counter(hook)))
        {
            let bytes = self
                .programs
                .get(&schema::COUNTERS, &counter.to_ne_bytes())
                .expect("an array's entry");
            let words = bytes
                .chunks_exact(8)
                .map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes")));
            let count: u64 = words.sum();
            let known = self.known.borrow_mut().insert(counter, count).unwrap_or(0);
            if count != known {
                counted.push((counter, count - known));
            }
        }
        counted
    }
}

/// The hooks that packets pass here.
const HOOKS: [Hook; 2] = [Hook::Ingress, Hook::Egress];

/// Whether the kernel found that the card's sum was not kept.
fn is_other_sum(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBADMSG)
}

fn has_complete_sums(programs: &Programs) -> bool {
    let wire = tcp::<V4>((Who::Outsider(1), 1), (Who::Outsider(2), 1)).wire();
    let context = Context::new(1, 0);
    bpf::run_by_test(programs.program("egress"), &wire.bytes, &context, 1, CHECKSUM_COMPLETE).is_ok()
}

impl<F: TestFamily> Machine<F> for Kernel {
    fn reset(&mut self, fixture: &Fixture<F>) {
        self.programs.clear();
        fixture.fill(&self.programs);
        self.sockets = fixture
            .sockets
            .iter()
            .map(|(who, port)| listen::<F>(*who, *port))
            .collect();
    }

    fn send(&mut self, way: Way, packet: impl Into<Wire>) -> Sent {
        let wire = packet.into();
        self.try_send(way, &wire)
            .unwrap_or_else(|error| panic!("{way:?} {wire:02x?}: {error:#}"))
    }

    fn maps(&self) -> &impl Maps {
        &self.programs
    }
}

fn listen<F: TestFamily>(who: Who, port: u16) -> UdpSocket {
    let bytes = F::bytes(&F::address(who));
    let address = <[u8; 4]>::try_from(bytes.as_slice()).map(IpAddr::from);
    let address = address
        .or_else(|_| <[u8; 16]>::try_from(bytes.as_slice()).map(IpAddr::from))
        .expect("an address");
    UdpSocket::bind((address, port)).unwrap_or_else(|error| panic!("{address}:{port}: {error}"))
}

/// What the program that explains says of a packet.
///
/// # Errors
/// The kernel's.
pub(crate) fn explain(kernel: &Kernel, interface: u32, wire: &Wire) -> io::Result<Explanation> {
    kernel.run("explain", interface, wire, true)?;
    Ok(kernel
        .programs
        .value(&schema::EXPLANATION, &0_u32)
        .expect("an array's entry"))
}
