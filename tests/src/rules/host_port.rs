//! Host ports: a port of a node that leads to one of its pods, by the rules of a CNI's port mapping.

use super::{Rules, family};
use crate::plan::{Dual, Ip};

/// A port of a node, for TCP and UDP.
#[derive(Clone, Copy, Debug)]
pub struct HostPort {
    /// The node's port, at all its addresses.
    pub port: u16,
    /// The pod.
    pub pod: Dual,
    /// The pod's port.
    pub target: u16,
    /// The network of the node's pods: who is in it could answer the pod directly, and so is masqueraded.
    pub network: Dual,
}

impl HostPort {
    fn network(&self, ip: Ip) -> String {
        let length = match ip {
            Ip::V4 => 24,
            Ip::V6 => 64,
        };
        format!("{}/{length}", self.network.of(ip))
    }
}

impl Rules for HostPort {
    fn nftables(&self) -> String {
        let (mut ports, mut masquerades) = (String::new(), String::new());
        for ip in Ip::BOTH {
            let (family, pod, network) = (family(ip), self.pod.of(ip), self.network(ip));
            let version = match ip {
                Ip::V4 => "ipv4",
                Ip::V6 => "ipv6",
            };
            let to = self.pod.at(ip, self.target);
            for protocol in ["tcp", "udp"] {
                ports += &format!(
                    "    meta nfproto {version} {protocol} dport {} dnat {family} to {to}\n",
                    self.port
                );
            }
            masquerades += &format!("    {family} saddr {network} {family} daddr {pod} ct status dnat masquerade\n");
        }
        format!(
            "table inet hostport {{
  chain ports {{
{ports}  }}
  chain prerouting {{
    type nat hook prerouting priority -100;
    fib daddr type local jump ports
  }}
  chain output {{
    type nat hook output priority -100;
    fib daddr type local jump ports
  }}
  chain postrouting {{
    type nat hook postrouting priority 100;
{masquerades}    ip saddr 127.0.0.0/8 ct status dnat masquerade
  }}
}}"
        )
    }

    fn iptables(&self, ip: Ip) -> String {
        let to = self.pod.at(ip, self.target);
        let mut masqueraded = vec![self.network(ip)];
        masqueraded.extend((ip == Ip::V4).then(|| "127.0.0.0/8".to_owned()));
        let mut ports = String::new();
        for protocol in ["tcp", "udp"] {
            let port = format!("-p {protocol} --dport {}", self.port);
            for source in &masqueraded {
                ports += &format!("-A HOSTPORT -s {source} {port} -j MARK --set-xmark 0x2000/0x2000\n");
            }
            ports += &format!("-A HOSTPORT {port} -j DNAT --to-destination {to}\n");
        }
        format!(
            "*nat
:HOSTPORT - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j HOSTPORT
-A OUTPUT -m addrtype --dst-type LOCAL -j HOSTPORT
-A POSTROUTING -m mark --mark 0x2000/0x2000 -j MASQUERADE
{ports}COMMIT
"
        )
    }
}
