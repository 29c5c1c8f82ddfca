//! Network policies: who may talk to a pod, and to whom a pod may talk, by the addresses of pods.

use std::net::IpAddr;

use super::Rules;
use crate::plan::{Dual, Ip};

/// Which of a pod's connections a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those to it.
    Ingress,
    /// Those from it.
    Egress,
}

/// What one pod is allowed; all else is dropped, and so is whatever shows a service's address.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The pod.
    pub pod: Dual,
    /// Whether it is the one that is called.
    pub side: Side,
    /// Who else may be at the other end.
    pub peers: Vec<Dual>,
}

/// The networks of cluster and load-balancer addresses.
const fn services(ip: Ip) -> [&'static str; 2] {
    match ip {
        Ip::V4 => ["10.96.0.0/12", "198.51.100.0/24"],
        Ip::V6 => ["fd00:10:96::/112", "2001:db8:1b::/64"],
    }
}

impl Policy {
    /// Source and destination of what is allowed; no peer: of what is left.
    fn ends(&self, peer: Option<Dual>, ip: Ip) -> [Option<IpAddr>; 2] {
        let (pod, peer) = (Some(self.pod.of(ip)), peer.map(|peer| peer.of(ip)));
        match self.side {
            Side::Ingress => [peer, pod],
            Side::Egress => [pod, peer],
        }
    }

    /// A line for each peer, and one for what is left: what it matches, by these words for source and destination, and one
    /// of the two verdicts.
    fn lines(&self, ip: Ip, words: [&str; 2], [allow, deny]: [&str; 2]) -> Vec<String> {
        let allowed = self.peers.iter().map(|peer| (Some(*peer), allow));
        let line = |(peer, verdict): (Option<Dual>, &str)| {
            let ends = self.ends(peer, ip).into_iter().zip(words);
            let matched: String = ends
                .filter_map(|(end, word)| Some(format!("{word} {} ", end?)))
                .collect();
            matched + verdict
        };
        allowed.chain([(None, deny)]).map(line).collect()
    }
}

impl Rules for Policy {
    fn nftables(&self) -> String {
        let mut lines = String::new();
        for ip in Ip::BOTH {
            let words = match ip {
                Ip::V4 => ["ip saddr", "ip daddr"],
                Ip::V6 => ["ip6 saddr", "ip6 daddr"],
            };
            for (network, word) in services(ip)
                .into_iter()
                .flat_map(|network| words.map(|word| (network, word)))
            {
                lines += &format!("    {word} {network} drop\n");
            }
            for line in self.lines(ip, words, ["accept", "drop"]) {
                lines += &format!("    {line}\n");
            }
        }
        format!(
            "table inet policies {{
  chain forward {{
    type filter hook forward priority 0; policy accept;
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
    ct state established,related accept
{lines}  }}
}}"
        )
    }

    fn iptables(&self, ip: Ip) -> String {
        let mut lines = String::new();
        if ip == Ip::V6 {
            lines += "-A POLICY -p ipv6-icmp -j RETURN\n";
        }
        lines += "-A POLICY -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN\n";
        for network in services(ip) {
            lines += &format!("-A POLICY -s {network} -j DROP\n-A POLICY -d {network} -j DROP\n");
        }
        for line in self.lines(ip, ["-s", "-d"], ["-j RETURN", "-j DROP"]) {
            lines += &format!("-A POLICY {line}\n");
        }
        format!("*filter\n:POLICY - [0:0]\n-A FORWARD -j POLICY\n{lines}COMMIT\n")
    }
}
