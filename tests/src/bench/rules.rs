//! What the live rules of kube-proxy list.

use anyhow::Result;

use super::kube_proxy::{Mode, Tools};
use super::objects;
use crate::cluster::Node;
use crate::plan::Ip;

/// The Services (by [`objects::number`]) of the cluster addresses' ports in a node's rules, in the order in which packets
/// meet them where they meet them one after the other; a Service once for each of its ports.
///
/// # Errors
/// When the tool fails.
pub fn services(node: &Node, mode: Mode, ip: Ip) -> Result<Vec<usize>> {
    let text = match mode {
        Mode::Iptables(tools) => iptables_save(node, tools, ip)?,
        Mode::Nftables => node.tool("nft", &["list", "map", nft_family(ip), "kube-proxy", "service-ips"])?,
        Mode::Ipvs => node.tool("ipset", &["save", "KUBE-CLUSTER-IP"])?,
    };
    Ok(match mode {
        Mode::Iptables(_) => in_iptables(&text),
        Mode::Nftables | Mode::Ipvs => in_map(&text),
    })
}

/// The rules of the table `nat`.
pub(super) fn iptables_save(node: &Node, tools: Tools, ip: Ip) -> Result<String> {
    let family = match ip {
        Ip::V4 => "iptables",
        Ip::V6 => "ip6tables",
    };
    node.tool(&format!("{family}-{}-save", tools.name()), &["-t", "nat", "-c"])
}

/// The family's name in nftables.
pub(super) const fn nft_family(ip: Ip) -> &'static str {
    match ip {
        Ip::V4 => "ip",
        Ip::V6 => "ip6",
    }
}

/// `[0:0] -A KUBE-SERVICES -d 10.100.0.1/32 -p tcp -m comment --comment "default/service-00001:http cluster IP" ...`.
fn in_iptables(text: &str) -> Vec<usize> {
    let lines = text
        .lines()
        .filter(|line| line.contains("-A KUBE-SERVICES ") && line.contains(" cluster IP\""));
    lines
        .filter_map(|line| objects::number(line.split_once("default/")?.1.split_once(':')?.0))
        .collect()
}

/// `10.100.0.1 . tcp . 80 : goto service-2QRHZV4L-default/service-00001/tcp/http`, several in a line.
fn in_map(text: &str) -> Vec<usize> {
    let names = text
        .split("-default/")
        .skip(1)
        .filter_map(|rest| rest.split('/').next());
    names.filter_map(objects::number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_list_is_that_of_its_rules() {
        let text = "\
:KUBE-SERVICES - [0:0]
[4:240] -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
[0:0] -A KUBE-SERVICES -d 10.100.0.7/32 -p tcp -m comment --comment \"default/service-00007:http cluster IP\" -m tcp --dport 80 -j KUBE-SVC-A
[0:0] -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment \"default/kubernetes:https cluster IP\" -m tcp --dport 443 -j KUBE-SVC-B
[0:0] -A KUBE-SERVICES -d 10.100.0.1/32 -p tcp -m comment --comment \"default/service-00001:http cluster IP\" -m tcp --dport 80 -j KUBE-SVC-C
[0:0] -A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports; NOTE: this must be the last rule in this chain\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
[0:0] -A KUBE-SVC-A ! -s 10.244.0.0/16 -d 10.100.0.7/32 -p tcp -m comment --comment \"default/service-00007:http cluster IP\" -m tcp --dport 80 -j KUBE-MARK-MASQ
";
        assert_eq!(in_iptables(text), [7, 1]);
    }

    #[test]
    fn a_map_of_verdicts_names_services() {
        let text = "elements = { 10.100.0.7 . tcp . 80 : goto service-AAAA-default/service-00007/tcp/http,
            10.96.0.1 . tcp . 443 : goto service-BBBB-default/kubernetes/tcp/https,
            10.100.0.1 . tcp . 80 : goto service-CCCC-default/service-00001/tcp/http }";
        assert_eq!(in_map(text), [7, 1]);
    }
}
