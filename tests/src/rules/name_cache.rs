//! A cache of a name server on a node, at addresses of its own: what is sent there is not tracked, so that no rule of
//! iptables translates it.

use super::{Rules, family};
use crate::plan::{Dual, Ip};

/// The port of name servers.
const PORT: u16 = 53;

/// The addresses of a cache.
#[derive(Clone, Debug)]
pub struct NameCache {
    /// All of them.
    pub addresses: Vec<Dual>,
}

impl Rules for NameCache {
    fn nftables(&self) -> String {
        let (mut to, mut from) = (String::new(), String::new());
        for (ip, address) in Ip::BOTH
            .into_iter()
            .flat_map(|ip| self.addresses.iter().map(move |own| (ip, own.of(ip))))
        {
            let family = family(ip);
            for protocol in ["tcp", "udp"] {
                to += &format!("    {family} daddr {address} {protocol} dport {PORT} notrack\n");
                from += &format!("    {family} saddr {address} {protocol} sport {PORT} notrack\n");
            }
        }
        format!(
            "table inet namecache {{
  chain prerouting {{
    type filter hook prerouting priority -300;
{to}  }}
  chain output {{
    type filter hook output priority -300;
{to}{from}  }}
}}"
        )
    }

    fn iptables(&self, ip: Ip) -> String {
        let mut lines = String::new();
        for address in self.addresses.iter().map(|own| own.of(ip)) {
            for protocol in ["tcp", "udp"] {
                let to = format!("-d {address} -p {protocol} --dport {PORT} -j CT --notrack");
                let from = format!("-s {address} -p {protocol} --sport {PORT} -j CT --notrack");
                lines += &format!("-A PREROUTING {to}\n-A OUTPUT {to}\n-A OUTPUT {from}\n");
            }
        }
        format!("*raw\n{lines}COMMIT\n")
    }
}
