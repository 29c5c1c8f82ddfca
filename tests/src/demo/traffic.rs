//! Requests from everywhere to every kind of address.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use anyhow::Result;

use super::stage::Stage;
use super::story::Story;
use super::table::Table;
use crate::cluster::Place;
use crate::peer::Transport;
use crate::plan::{self, Ip};
use crate::servers::dig;

/// Requests for one row: enough that each of three endpoints is all but certain to be chosen.
const WEB_REQUESTS: u32 = 40;
const DNS_REQUESTS: u32 = 10;

/// After so many failures the rest of a row is not sent: each may take seconds.
const HOPELESS: usize = 3;

/// Who answers `shop/web` and `kube-system/dns` before anything is changed.
pub(super) const WEB: [&str; 3] = ["pod-a-1", "pod-b-0", "pod-b-1"];
const DNS: [&str; 2] = ["pod-a-1", "pod-b-0"];

/// An address of a Service in both families, as in `examples/`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    pub(super) what: &'static str,
    pub(super) v4: &'static str,
    pub(super) v6: &'static str,
    pub(super) port: u16,
}

const fn address(what: &'static str, v4: &'static str, v6: &'static str, port: u16) -> Address {
    Address { what, v4, v6, port }
}

pub(super) const WEB_CLUSTER: Address = address("cluster address", "10.96.0.80", "fd00:10:96::80", 80);
pub(super) const WEB_NODE_A: Address = address("node port of node-a", "192.168.0.2", "2001:db8::2", 30080);
pub(super) const WEB_NODE_B: Address = address("node port of node-b", "192.168.0.3", "2001:db8::3", 30080);
pub(super) const WEB_BALANCER: Address = address("load balancer", "198.51.100.80", "2001:db8:1b::80", 80);
pub(super) const CART: Address = address("cluster address", "10.96.0.90", "fd00:10:96::90", 9000);
const SOURCE_NODE_A: Address = address("node port of node-a, Local", "192.168.0.2", "2001:db8::2", 30081);
const SOURCE_NODE_B: Address = address("node port of node-b, Local", "192.168.0.3", "2001:db8::3", 30081);
const DNS_CLUSTER: Address = address("cluster address", "10.96.0.53", "fd00:10:96::53", 53);
const DNS_NODE_B: Address = address("node port of node-b", "192.168.0.3", "2001:db8::3", 30053);
const DNS_BALANCER: Address = address("load balancer", "198.51.100.53", "2001:db8:1b::53", 53);

impl Address {
    /// One family's address and port.
    pub(super) fn at(self, ip: Ip) -> SocketAddr {
        let text = match ip {
            Ip::V4 => self.v4,
            Ip::V6 => self.v6,
        };
        let address: IpAddr = text.parse().expect("the constants above are addresses");
        SocketAddr::new(address, self.port)
    }
}

/// What a row of requests came to.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) by: BTreeMap<String, u32>,
    pub(super) seen_as: Vec<IpAddr>,
    pub(super) failed: Vec<String>,
}

impl Answers {
    fn by_only(&self, members: &[&str]) -> bool {
        self.failed.is_empty() && self.by.keys().all(|name| members.contains(&name.as_str()))
    }
}

/// Sends `count` requests, each on a connection of its own.
pub(super) fn web(from: &Place, to: SocketAddr, count: u32) -> Result<Answers> {
    let mut answers = Answers::default();
    let peer = from.peer()?;
    for _ in 0..count {
        match peer.http(to) {
            Ok(page) => {
                *answers.by.entry(page.server).or_default() += 1;
                if !answers.seen_as.contains(&page.seen.ip()) {
                    answers.seen_as.push(page.seen.ip());
                }
            }
            Err(error) => answers.failed.push(format!("{error:#}")),
        }
        if answers.failed.len() == HOPELESS {
            break;
        }
    }
    Ok(answers)
}

fn dns(from: &Place, transport: Transport, to: SocketAddr) -> Answers {
    let mut answers = Answers::default();
    for _ in 0..DNS_REQUESTS {
        match dig(from, transport, to) {
            Ok(name) => *answers.by.entry(name).or_default() += 1,
            Err(error) => answers.failed.push(format!("{error:#}")),
        }
        if answers.failed.len() == HOPELESS {
            break;
        }
    }
    answers
}

/// The chapter with the tables.
pub(super) fn everyone_to_every_address(stage: &Stage, story: &mut Story) -> Result<()> {
    story.chapter("Requests from everywhere to every kind of address");
    let world = &stage.world;
    let (pod, node, client) = (&**world.pod(0, 0), &**world.node(0), &world.client);
    let (other_node, other_pod) = (&**world.node(1), &**world.pod(1, 0));
    let mut rows = Rows::new(story);
    for ip in Ip::BOTH {
        for (from, to) in [
            (pod, WEB_CLUSTER),
            (other_pod, WEB_CLUSTER),
            (node, WEB_CLUSTER),
            (other_node, WEB_CLUSTER),
            (pod, WEB_NODE_A),
            (client, WEB_NODE_A),
            (client, WEB_NODE_B),
            (client, WEB_BALANCER),
        ] {
            rows.web(from, to, ip, &WEB)?;
        }
        rows.local(client, SOURCE_NODE_A, ip, "pod-a-1")?;
        rows.local(client, SOURCE_NODE_B, ip, "pod-b-1")?;
        for transport in [Transport::Udp, Transport::Tcp] {
            for (from, to) in [
                (pod, DNS_CLUSTER),
                (node, DNS_CLUSTER),
                (client, DNS_NODE_B),
                (client, DNS_BALANCER),
            ] {
                rows.dns(from, to, ip, transport);
            }
        }
    }
    rows.finish();
    Ok(())
}

/// The rows of the table while it grows.
struct Rows<'a> {
    story: &'a mut Story,
    table: Table,
    answered: u32,
    failed: Vec<String>,
    strangers: Vec<String>,
    unseen: Vec<String>,
}

impl<'a> Rows<'a> {
    fn new(story: &'a mut Story) -> Self {
        let table = Table::new(&["from", "to", "", "answered by", "which saw the client as"]);
        table.print_head();
        Self {
            story,
            table,
            answered: 0,
            failed: Vec::new(),
            strangers: Vec::new(),
            unseen: Vec::new(),
        }
    }

    fn web(&mut self, from: &Place, to: Address, ip: Ip, members: &[&str]) -> Result<Answers> {
        let answers = web(from, to.at(ip), WEB_REQUESTS)?;
        self.row(from, to, ip, "HTTP", &answers, members);
        Ok(answers)
    }

    /// A Service with the policy Local: one endpoint answers, and sees the client itself.
    fn local(&mut self, from: &Place, to: Address, ip: Ip, member: &str) -> Result<()> {
        let answers = self.web(from, to, ip, &[member])?;
        if answers.seen_as != [plan::outside(2).of(ip)] {
            self.unseen
                .push(format!("{} over {ip}: {:?}", to.what, answers.seen_as));
        }
        Ok(())
    }

    fn dns(&mut self, from: &Place, to: Address, ip: Ip, transport: Transport) {
        let answers = dns(from, transport, to.at(ip));
        let over = if transport == Transport::Tcp {
            "DNS/TCP"
        } else {
            "DNS/UDP"
        };
        self.row(from, to, ip, over, &answers, &DNS);
    }

    fn row(&mut self, from: &Place, to: Address, ip: Ip, over: &str, answers: &Answers, members: &[&str]) {
        self.answered += answers.by.values().sum::<u32>();
        let who = answers
            .by
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect::<Vec<_>>()
            .join(", ");
        let seen = answers
            .seen_as
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let to_text = format!("{} {}", to.what, to.at(ip));
        self.table.print_row(&[from.label(), &to_text, over, &who, &seen]);
        self.failed.extend(answers.failed.iter().cloned());
        if !answers.by_only(members) {
            self.strangers.push(format!("{} to {to_text}: {who}", from.label()));
        }
    }

    fn finish(self) {
        let Self {
            story,
            answered,
            failed,
            strangers,
            unseen,
            ..
        } = self;
        failed
            .first()
            .inspect(|first| story.tell(&format!("the first failure: {first}")));
        let sentence = format!("{answered} requests were answered, {} were not", failed.len());
        story.check(failed.is_empty(), &sentence);
        strangers
            .first()
            .inspect(|first| story.tell(&format!("not as it should: {first}")));
        story.check(
            strangers.is_empty(),
            "each by an endpoint of the Service it was sent to",
        );
        unseen
            .first()
            .inspect(|first| story.tell(&format!("not as it should: {first}")));
        story.check(
            unseen.is_empty(),
            "with externalTrafficPolicy Local the server sees the client's own address",
        );
    }
}
