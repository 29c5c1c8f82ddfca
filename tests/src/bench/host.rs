//! What a node is like apart from its proxy.

use anyhow::Result;

use crate::cluster::{NodePlan, World};

/// A CNI's rule: what pods send to the world outside bears the node's address.
const MASQUERADE: &str = "
table inet cni {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 10.244.0.0/16 ip daddr != { 10.244.0.0/16, 224.0.0.0/4 } counter masquerade
    ip6 saddr fd00:10:244::/48 ip6 daddr != { fd00:10:244::/48, ff00::/8 } counter masquerade
  }
}";

/// The two kinds of nodes on which peers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// No rules but the peer's: the kernel tracks connections only where the peer asks for it
    Bare,
    /// Connections are tracked, bridged packets go through the hooks of IP, and a CNI masquerades
    AsANode,
}

impl Host {
    /// As the report says it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::AsANode => "as a node is",
        }
    }

    /// The nftables tables that a node of this kind has without any peer, as `nft list tables` names them.
    pub const fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Bare => &[],
            Self::AsANode => &["inet tracked", "inet cni"],
        }
    }

    /// Plans a node of this kind.
    pub fn plan(self, node: &mut NodePlan) {
        let as_a_node = self == Self::AsANode;
        (node.conntrack, node.bridge_netfilter) = (as_a_node, as_a_node);
    }

    /// Does to a world of such nodes what no plan says.
    ///
    /// # Errors
    /// When a rule is refused.
    pub fn finish(self, world: &World) -> Result<()> {
        if self == Self::Bare {
            return Ok(());
        }
        let mut nodes = world.nodes.iter();
        nodes.try_for_each(|node| node.tool("nft", &[MASQUERADE]).map(drop))
    }
}
