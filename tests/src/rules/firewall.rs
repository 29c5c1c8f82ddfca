//! Firewalls of hosts, and what a CNI does to what leaves its pods' networks.

use super::Rules;
use crate::plan::Ip;

/// Rules that are the same wherever they stand.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    nftables: &'static str,
    /// `PODS` stands for the pods' networks; lines that begin with `v6` are for IPv6 only.
    iptables: &'static str,
}

/// What a firewall of a node commonly holds: known connections, neighbours, and what begins in or goes to the pods'
/// networks. Nothing else comes in, nothing else is forwarded.
pub const FIREWALL: Words = Words {
    nftables: "
table inet firewall {
  chain input {
    type filter hook input priority 0; policy drop;
    iifname lo accept
    ct state established,related accept
    meta l4proto ipv6-icmp accept
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ip daddr 10.244.0.0/16 accept
    ip6 daddr fd00:10:244::/48 accept
    ip saddr 10.244.0.0/16 accept
    ip6 saddr fd00:10:244::/48 accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
}",
    iptables: "*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
v6 -A INPUT -p ipv6-icmp -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -s PODS -j ACCEPT
-A FORWARD -d PODS -j ACCEPT
v6 -A FORWARD -p ipv6-icmp -j ACCEPT
COMMIT",
};

/// What connection tracking calls invalid is dropped.
pub const NO_INVALID: Words = Words {
    nftables: "
table inet invalid {
  chain forward {
    type filter hook forward priority -10; policy accept;
    ct state invalid counter drop
  }
}",
    iptables: "*filter
-A FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT",
};

/// Nothing is forwarded but what is known.
pub const NOTHING_FORWARDED: Words = Words {
    nftables: "
table inet firewall {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
  }
}",
    iptables: "*filter
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT",
};

/// A CNI that masquerades what leaves the pods' networks.
pub const MASQUERADE: Words = Words {
    nftables: "
table inet cni {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 masquerade
    ip6 saddr fd00:10:244::/48 ip6 daddr != fd00:10:244::/48 masquerade
  }
}",
    iptables: "*nat
-A POSTROUTING -s PODS ! -d PODS -j MASQUERADE
COMMIT",
};

/// A CNI that masquerades all of it with one port.
#[derive(Clone, Copy, Debug)]
pub struct MasqueradeWith(pub u16);

impl Rules for MasqueradeWith {
    fn nftables(&self) -> String {
        let port = self.0;
        format!(
            "table inet cni {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    meta l4proto {{ tcp, udp }} ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 masquerade to :{port}
    meta l4proto {{ tcp, udp }} ip6 saddr fd00:10:244::/48 ip6 daddr != fd00:10:244::/48 masquerade to :{port}
  }}
}}"
        )
    }

    fn iptables(&self, ip: Ip) -> String {
        let pods = pods(ip);
        let rule = |protocol| {
            let port = self.0;
            format!("-A POSTROUTING -s {pods} ! -d {pods} -p {protocol} -j MASQUERADE --to-ports {port}\n")
        };
        format!("*nat\n{}{}COMMIT\n", rule("tcp"), rule("udp"))
    }
}

/// The pods' networks.
const fn pods(ip: Ip) -> &'static str {
    match ip {
        Ip::V4 => "10.244.0.0/16",
        Ip::V6 => "fd00:10:244::/48",
    }
}

impl Rules for Words {
    fn nftables(&self) -> String {
        self.nftables.to_owned()
    }

    fn iptables(&self, ip: Ip) -> String {
        let lines = self.iptables.lines().filter_map(|line| match line.strip_prefix("v6 ") {
            Some(line) => (ip == Ip::V6).then_some(line),
            None => Some(line),
        });
        lines.map(|line| line.replace("PODS", pods(ip)) + "\n").collect()
    }
}
