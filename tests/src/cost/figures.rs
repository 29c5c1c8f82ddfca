//! What came out.

use std::collections::BTreeMap;

use proxy_common::node::Hook;
use serde::Serialize;

/// All that was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// By test-run.
    pub packets: Option<PacketFigures>,
    /// By the kernel's statistics.
    pub traffic: Option<TrafficFigures>,
    /// By the library.
    pub look_ups: Vec<LookUps>,
    /// Of the kernel's helpers.
    pub parts: Vec<Part>,
    /// By the verifier.
    pub verified: Vec<Verified>,
}

/// Packets by test-run.
#[derive(Clone, Debug, Serialize)]
pub struct PacketFigures {
    /// One look-up of a 16-byte key in a hash, ns.
    pub look_up: f64,
    /// Medians are of so many rounds.
    pub rounds: u32,
    /// Each case.
    pub costs: Vec<Cost>,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Name {
    /// What the packet is.
    pub case: String,
    /// Where it meets the programs: `ingress` or `egress`.
    pub hook: String,
    /// `IPv4` or `IPv6`.
    pub family: String,
    /// `TCP` or `UDP`; `-` if the packet is not IP.
    pub protocol: String,
}

impl Name {
    pub(super) fn new(case: &str, hook: Hook, family: &str, protocol: &str) -> Self {
        let hook = match hook {
            Hook::Ingress => "ingress",
            Hook::Egress => "egress",
            Hook::Socket => "socket",
        };
        let [case, hook, family, protocol] = [case, hook, family, protocol].map(str::to_owned);
        Self {
            case,
            hook,
            family,
            protocol,
        }
    }
}

/// What one packet costs.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// Which.
    pub name: Name,
    /// How many Services there are.
    pub services: u32,
    /// Nanoseconds in the program.
    pub nanoseconds: f64,
    /// The same as a multiple of one hash look-up.
    pub multiple: f64,
    /// Packets that were sent.
    pub packets: u64,
}

/// Packets of real sockets.
#[derive(Clone, Debug, Serialize)]
pub struct TrafficFigures {
    /// One look-up of a 16-byte key in a hash, ns.
    pub look_up: f64,
    /// Medians are of so many rounds.
    pub rounds: u32,
    /// Each talk at each hook.
    pub costs: Vec<TrafficCost>,
}

/// What a packet of a talk costs at a hook, requests and replies taken together.
#[derive(Clone, Debug, Serialize)]
pub struct TrafficCost {
    /// Which.
    pub name: Name,
    /// How many Services there are.
    pub services: u32,
    /// Packets that met the program.
    pub packets: u64,
    /// Nanoseconds in the program, without what an empty one takes.
    pub nanoseconds: f64,
    /// The same as a multiple of one hash look-up.
    pub multiple: f64,
    /// Nanoseconds in the empty program: above all what reading the clock takes.
    pub empty: f64,
    /// Under what the packets were counted.
    pub counted: BTreeMap<String, u64>,
}

/// How often maps are asked for one packet.
#[derive(Clone, Debug, Serialize)]
pub struct LookUps {
    /// Which.
    pub name: Name,
    /// Hashes.
    pub hashes: u32,
    /// Arrays: an index that is compared and multiplied.
    pub arrays: u32,
}

/// What one call of a helper costs.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// What it does.
    pub name: String,
    /// Nanoseconds.
    pub nanoseconds: f64,
}

/// What the verifier did.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// The program.
    pub program: String,
    /// Instructions that it looked at.
    pub instructions: u32,
    /// Bytes of machine code.
    pub machine_code: u32,
}

impl PacketFigures {
    /// The cost of a case with the most Services as a multiple of that with the fewest, none apart, where it was
    /// measured with both.
    #[must_use]
    pub fn growth(&self, name: &Name) -> Option<f64> {
        let of_case = || self.costs.iter().filter(|cost| cost.name == *name && cost.services > 0);
        let few = of_case().min_by_key(|cost| cost.services)?;
        let many = of_case().max_by_key(|cost| cost.services)?;
        (few.services < many.services).then(|| many.nanoseconds / few.nanoseconds)
    }
}

impl TrafficFigures {
    /// As [`PacketFigures::growth`].
    #[must_use]
    pub fn growth(&self, name: &Name) -> Option<f64> {
        let of_talk = || self.costs.iter().filter(|cost| cost.name == *name);
        let few = of_talk().min_by_key(|cost| cost.services)?;
        let many = of_talk().max_by_key(|cost| cost.services)?;
        (few.services < many.services).then(|| many.nanoseconds / few.nanoseconds)
    }
}

/// The middle of numbers, which are sorted for it; of none, not a number.
pub(super) fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => numbers[middle],
        _ => f64::midpoint(numbers[middle - 1], numbers[middle]),
    }
}
