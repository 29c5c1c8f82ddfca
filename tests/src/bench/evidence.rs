//! What shows that it was the peer that translated a conversation: the peer's own books.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};

use super::kube_proxy::{Mode, Tools};
use super::proxy::Proxy;
use super::rules;
use super::stand::Stand;
use crate::agent::{Agent, SocketLb};
use crate::cluster::Node;
use crate::peer::Opened;
use crate::plan::{self, Dual, Ip};

/// The Service that is made for a proof.
pub(super) const SERVICE: &str = "proof";
/// The name of its port.
const PORT_NAME: &str = "tcp-80";
/// Its port.
pub(super) const PORT: u16 = 80;

/// Its cluster addresses.
pub(super) fn cluster_ip() -> Dual {
    plan::cluster_ip(200)
}

/// Who dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The client's pod.
    Pod,
    /// The client's node.
    Node,
}

/// The books of the client's node for the proof's Service, as they were before conversations with it.
#[derive(Debug)]
pub(super) struct Books<'a> {
    stand: &'a Stand,
    agent: &'a Proxy,
    ip: Ip,
    from: From,
    before: u64,
}

/// The two ends of a connection as its client knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    client: SocketAddr,
    dialled: SocketAddr,
}

impl<'a> Books<'a> {
    /// Looks at them.
    pub(super) fn open(stand: &'a Stand, ip: Ip, from: From) -> Result<Self> {
        let agent = stand.agents.first().context("the peer has no agent")?;
        let mut books = Self {
            stand,
            agent,
            ip,
            from,
            before: 0,
        };
        books.before = books.count()?;
        Ok(books)
    }

    /// Whether these conversations, which are still open, are in them.
    pub(super) fn show(&self, open: &[Opened]) -> Result<()> {
        let node = self.stand.node();
        match self.agent {
            Proxy::KubeProxy(proxy) => match proxy.mode() {
                Mode::Iptables(_) => self.counted(open, "the counters of its rules"),
                // Its rules count nothing; that they are the only ones has been looked at before.
                Mode::Nftables => self.listed(open, &tracked(node, self.ip)?, "the tracked translations"),
                Mode::Ipvs => self.counted(open, "the connections of IPVS"),
            },
            Proxy::Fairlead(_) if self.is_by_socket() => self.counted(open, "its count of translated sockets"),
            Proxy::Fairlead(agent) => self.listed(open, &flows(agent)?, "its table of flows"),
        }
    }

    fn is_by_socket(&self) -> bool {
        self.from == From::Node || self.stand.plan.peer.fairlead() == Some(SocketLb::All)
    }

    /// What only counts; 0 for books that list.
    fn count(&self) -> Result<u64> {
        let node = self.stand.node();
        match self.agent {
            Proxy::KubeProxy(proxy) => match proxy.mode() {
                Mode::Iptables(tools) => translations(node, tools, self.ip),
                Mode::Nftables => Ok(0),
                Mode::Ipvs => ipvs_connections(node, self.ip),
            },
            Proxy::Fairlead(agent) if self.is_by_socket() => {
                let status = agent.ask(&["status"])?;
                Ok(status["counters"]["socket"]["Translated"].as_u64().unwrap_or(0))
            }
            Proxy::Fairlead(_) => Ok(0),
        }
    }

    fn counted(&self, open: &[Opened], what: &str) -> Result<()> {
        let moved = self.count()?.saturating_sub(self.before);
        ensure!(
            moved >= u64::try_from(open.len())?,
            "{} conversations moved {what} by {moved}",
            open.len()
        );
        Ok(())
    }

    fn listed(&self, open: &[Opened], list: &[Ends], what: &str) -> Result<()> {
        for conversation in open {
            let ends = Ends {
                client: conversation.local,
                dialled: cluster_ip().at(self.ip, PORT),
            };
            ensure!(list.contains(&ends), "{what} lack the conversation of {}", ends.client);
        }
        Ok(())
    }
}

/// How many connections the rules of iptables have translated.
fn translations(node: &Node, tools: Tools, ip: Ip) -> Result<u64> {
    Ok(translated_by(&rules::iptables_save(node, tools, ip)?))
}

/// From the list of services to the chain of the proof's, from there to those of its endpoints, and what each of these has
/// translated. Only the list names services however many there are.
fn translated_by(rules: &str) -> u64 {
    let name = format!("\"default/{SERVICE}:{PORT_NAME} cluster IP\"");
    let mut listed = rules_of("KUBE-SERVICES", rules).filter(|rule| rule.contains(&name));
    let Some(service) = listed.find_map(target) else {
        return 0;
    };
    let endpoints = rules_of(service, rules)
        .filter_map(target)
        .filter(|chain| chain.starts_with("KUBE-SEP-"));
    let translating =
        endpoints.flat_map(|endpoint| rules_of(endpoint, rules).filter(|rule| target(rule) == Some("DNAT")));
    translating.filter_map(packets).sum()
}

/// The rules of a chain, as `iptables-save -c` writes them: `[4:240] -A KUBE-SVC-A ... -j KUBE-SEP-A`.
fn rules_of<'a>(chain: &str, rules: &'a str) -> impl Iterator<Item = &'a str> {
    let of_chain = format!("-A {chain} ");
    rules.lines().filter(move |rule| rule.contains(&of_chain))
}

/// Where a rule sends packets.
fn target(rule: &str) -> Option<&str> {
    rule.split_once(" -j ")?.1.split(' ').next()
}

/// How many packets a rule has met.
fn packets(rule: &str) -> Option<u64> {
    rule.strip_prefix('[')?.split(':').next()?.parse().ok()
}

/// Connections whose answers come from another address than the one dialled.
fn tracked(node: &Node, ip: Ip) -> Result<Vec<Ends>> {
    let family = match ip {
        Ip::V4 => "ipv4",
        Ip::V6 => "ipv6",
    };
    let text = node.tool("conntrack", &["-L", "-f", family, "-p", "tcp"])?;
    Ok(text.lines().filter_map(translated).collect())
}

/// `tcp 6 431999 ESTABLISHED src=C dst=S sport=c dport=s src=B dst=C sport=b dport=c [ASSURED] ...`.
fn translated(line: &str) -> Option<Ends> {
    let values = |key: &'static str| {
        line.split_whitespace()
            .filter_map(move |word| word.strip_prefix(key)?.strip_prefix('='))
    };
    let address = |key, nth| values(key).nth(nth)?.parse::<IpAddr>().ok();
    let port = |key, nth| values(key).nth(nth)?.parse::<u16>().ok();
    let dialled = SocketAddr::new(address("dst", 0)?, port("dport", 0)?);
    let answered = SocketAddr::new(address("src", 1)?, port("sport", 1)?);
    let client = SocketAddr::new(address("src", 0)?, port("sport", 0)?);
    (answered != dialled).then_some(Ends { client, dialled })
}

/// Connections of IPVS with the Service: `/proc/net/ip_vs_conn` writes addresses as `0A6000C8` and in full.
fn ipvs_connections(node: &Node, ip: Ip) -> Result<u64> {
    let address = match ip {
        Ip::V4 => format!("{:08X}", cluster_ip().v4.to_bits()),
        Ip::V6 => {
            let groups = cluster_ip().v6.segments().map(|group| format!("{group:04x}"));
            groups.join(":")
        }
    };
    let file = "/proc/thread-self/net/ip_vs_conn";
    let text = node.netns().run(|| fs::read_to_string(file))?.context(file)?;
    let of_ours = text.lines().filter(|line| line.contains(&address));
    Ok(u64::try_from(of_ours.count())?)
}

/// What Fairlead lists of the Service.
fn flows(agent: &Agent) -> Result<Vec<Ends>> {
    let rows = agent.ask(&["get", "flows", "--service", &format!("default/{SERVICE}")])?;
    let end = |row: &serde_json::Value, name: &str| row[name].as_str()?.parse().ok();
    let rows = rows.as_array().context("a list of flows")?.iter();
    let ends = rows.filter_map(|row| {
        Some(Ends {
            client: end(row, "client")?,
            dialled: end(row, "dialled")?,
        })
    });
    Ok(ends.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_translated_if_another_address_answers() {
        let line = "tcp      6 86 ESTABLISHED src=fd00:10:244:1::2 dst=fd00:10:96::c8 sport=40000 dport=80 \
            src=fd00:10:244:2::2 dst=fd00:10:244:1::2 sport=8080 dport=40000 [ASSURED] mark=0 use=1";
        let ends = Ends {
            client: SocketAddr::new(plan::pod(0, 0).v6.into(), 40_000),
            dialled: cluster_ip().at(Ip::V6, PORT),
        };
        assert_eq!(translated(line), Some(ends));
        let direct = "tcp 6 86 TIME_WAIT src=10.244.1.2 dst=10.244.2.2 sport=40000 dport=8080 \
            src=10.244.2.2 dst=10.244.1.2 sport=8080 dport=40000 [ASSURED] mark=0 use=1";
        assert_eq!(translated(direct), None);
    }

    #[test]
    fn what_the_endpoints_of_the_service_have_translated_counts() {
        let rules = "\
[9:540] -A KUBE-SERVICES -d 10.96.0.200/32 -p tcp -m comment --comment \"default/proof:tcp-80 cluster IP\" -m tcp --dport 80 -j KUBE-SVC-P
[1:60] -A KUBE-SERVICES -d 10.100.0.1/32 -p tcp -m comment --comment \"default/service-00001:http cluster IP\" -m tcp --dport 80 -j KUBE-SVC-1
[0:0] -A KUBE-SVC-P ! -s 10.244.0.0/16 -d 10.96.0.200/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
[4:240] -A KUBE-SVC-P -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-A
[5:300] -A KUBE-SVC-P -j KUBE-SEP-B
[0:0] -A KUBE-SEP-A -s 10.244.2.2/32 -j KUBE-MARK-MASQ
[4:240] -A KUBE-SEP-A -p tcp -m tcp -j DNAT --to-destination 10.244.2.2:8080
[5:300] -A KUBE-SEP-B -p tcp -m tcp -j DNAT --to-destination 10.244.2.3:8080
[1:60] -A KUBE-SEP-C -p tcp -m tcp -j DNAT --to-destination 10.244.2.3:8080
";
        assert_eq!(translated_by(rules), 9);
        assert_eq!(translated_by(""), 0);
    }
}
