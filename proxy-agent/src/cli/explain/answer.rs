//! A report of the program, for people and programs.

use std::net::SocketAddr;

use proxy_common::{
    block::View,
    explain::{Explanation, Outcome},
    frontend::{Frontend, FrontendKind},
    net::Port,
    reason::Reason,
};
use serde::Serialize;

use super::Question;
use crate::{
    address,
    apply::{actual::Actual, maps::ServiceMaps},
    cli::get::protocol_name,
    key::SocketKey,
};

/// What happens to a packet, and why.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    verdict: &'static str,
    reason: &'static str,
    service: Option<String>,
    eligible: Vec<String>,
    chosen: Option<String>,
    masquerade: bool,
    steps: Vec<String>,
}

/// What the maps say of services, and where the packet was taken to come from.
pub(super) struct Surroundings<'a> {
    /// The maps.
    pub(super) maps: &'a ServiceMaps,
    /// What they hold.
    pub(super) actual: &'a Actual,
    /// The device, in words.
    pub(super) device: String,
    /// Whether the receiver is an address of this node that takes node ports.
    pub(super) takes_node_ports: bool,
}

impl Answer {
    pub(super) fn new(question: &Question, report: &Explanation, around: &Surroundings<'_>) -> Self {
        let outcome = outcome(report.outcome);
        let reason = Reason::from_number(report.reason);
        let translated = outcome == Outcome::Translate;
        let found = find_service(question, report, around);
        let service = found.and_then(|(frontend, _)| around.actual.service(frontend.service));
        let (view, eligible) = if translated {
            eligible(report, around)
        } else {
            (None, Vec::new())
        };
        let chosen = translated.then(|| backend(question, report).to_string());
        let mut answer = Answer {
            verdict: verdict_name(outcome),
            reason: reason.map_or("unknown", Reason::name),
            service: service.map(|slot| slot.id.to_string()),
            eligible,
            chosen,
            masquerade: translated && report.masquerade != 0,
            steps: vec![format!(
                "{} {} -> {}, coming in from {}",
                protocol_name(question.protocol),
                question.source,
                question.destination,
                around.device
            )],
        };
        answer.steps.extend(answer.chain(report, found, view));
        if !translated {
            answer
                .steps
                .push(reason.map_or_else(|| "an unknown reason".to_owned(), |reason| reason.sentence().to_owned()));
        }
        answer.steps.push(end(outcome).to_owned());
        answer
    }

    fn chain(&self, report: &Explanation, found: Option<(Frontend, SocketKey)>, view: Option<View>) -> Vec<String> {
        let mut steps = Vec::new();
        if report.known != 0 {
            steps
                .push("a flow with these addresses and ports is known: its packets go where its first one went".into());
        }
        match (&self.service, found) {
            (Some(service), Some((frontend, key))) => {
                let kind = frontend.kind().map_or("address", kind_name);
                steps.push(format!(
                    "{kind} {key} is that of service {service} (number {})",
                    frontend.service
                ));
            }
            _ => steps.push("no service answers there".into()),
        }
        if let Some(view) = view {
            let which = match view {
                View::Local => "those on this node",
                View::Cluster => "those of the cluster",
            };
            steps.push(format!("eligible are {which}: {}", self.eligible.join(", ")));
        }
        if let Some(chosen) = &self.chosen {
            steps.push(format!("this time the choice is {chosen}"));
            let source = if self.masquerade {
                "an address of this node, so that replies come back here"
            } else {
                "the sender"
            };
            steps.push(format!("the backend sees {source}"));
        }
        steps
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.verdict, self.reason);
        for step in &self.steps {
            text.push_str(&format!("  {step}\n"));
        }
        text
    }
}

/// The service at the receiver's address; the program reports it only where it has got so far.
fn find_service(question: &Question, report: &Explanation, around: &Surroundings<'_>) -> Option<(Frontend, SocketKey)> {
    let destination = question.destination;
    let key = SocketKey::new(destination.ip(), destination.port(), question.protocol);
    let node_port = SocketKey {
        address: Default::default(),
        ..key
    };
    let keys = [Some(key), around.takes_node_ports.then_some(node_port)];
    let found = keys
        .into_iter()
        .flatten()
        .find_map(|known| Some((around.maps.frontend(&known).ok()??, key)));
    found.filter(|(frontend, _)| report.service == 0 || report.service == frontend.service)
}

fn backend(question: &Question, report: &Explanation) -> SocketAddr {
    let family = address::family(question.source.ip());
    socket(address::narrow(family, &report.backend), report.backend_port)
}

/// The endpoints of the view that the choice was made from. The block is read again: if it has changed in between, the
/// newer set is as good an answer.
fn eligible(report: &Explanation, around: &Surroundings<'_>) -> (Option<View>, Vec<String>) {
    let view = match report.view {
        1 => View::Local,
        2 => View::Cluster,
        _ => return (None, Vec::new()),
    };
    let word = around.maps.flip_word(report.service);
    let (Some((header, entries)), Some(service)) =
        (around.maps.block(word.cell()), around.actual.service(report.service))
    else {
        return (Some(view), Vec::new());
    };
    let (first, count) = header.range(view);
    let entries = entries.iter().skip(first as usize).take(count as usize);
    let address = |wide| address::narrow(service.id.family, wide);
    let mut eligible: Vec<_> = entries
        .map(|entry| socket(address(&entry.address), entry.port).to_string())
        .collect();
    eligible.sort_unstable();
    (Some(view), eligible)
}

fn socket(address: std::net::IpAddr, port: Port) -> SocketAddr {
    SocketAddr::new(address, port.get())
}

const fn outcome(number: u8) -> Outcome {
    match number {
        1 => Outcome::Translate,
        2 => Outcome::Drop,
        3 => Outcome::Reject,
        _ => Outcome::Pass,
    }
}

const fn verdict_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Translate => "translate",
        Outcome::Drop => "drop",
        Outcome::Reject => "reject",
    }
}

const fn end(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "the packet goes on as it is",
        Outcome::Translate => "the packet goes on to the backend",
        Outcome::Drop => "the packet vanishes",
        Outcome::Reject => "the sender is told that the port is unreachable",
    }
}

const fn kind_name(kind: FrontendKind) -> &'static str {
    match kind {
        FrontendKind::ClusterIp => "ClusterIP",
        FrontendKind::External => "external address",
        FrontendKind::LoadBalancer => "load-balancer address",
        FrontendKind::NodePort => "node port",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_called_as_scripts_expect() {
        let names = [0, 1, 2, 3].map(|number| verdict_name(outcome(number)));
        assert_eq!(names, ["pass", "translate", "drop", "reject"]);
    }
}
