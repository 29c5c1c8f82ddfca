//! Which view a client has, and whether the backend sees it: kube-proxy's traffic policies and its masquerade rules.

use proxy_common::{
    block::{BlockHeader, View, policy as flags},
    family::Family,
    frontend::FrontendKind,
    net::Address as _,
    node::{NodeConfig, device_flag, node_flag},
};

use crate::node::Tables;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A pod, by the configured detector.
    Pod,
    /// The node itself.
    Host,
    /// Anybody else; everybody, where no detector is configured.
    Other,
}

/// What a client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Treatment {
    /// Which endpoints it may be sent to.
    pub view: View,
    /// Whether the backend sees an address of the node.
    pub masquerade: bool,
}

/// Who sends a packet that came in from an interface.
#[inline(always)]
pub fn sender<F: Family>(node: &impl Tables<F>, config: &NodeConfig<F>, interface: u32, source: &F::Address) -> Sender {
    let by_network = config.flags & node_flag::DETECT_NETWORK != 0 && source.within(&config.pods, &config.pods_mask);
    let by_device = config.flags & node_flag::DETECT_DEVICE != 0
        && node
            .device(interface)
            .is_some_and(|device| device.flags & device_flag::PODS != 0);
    if by_network || by_device {
        Sender::Pod
    } else {
        Sender::Other
    }
}

/// What a client gets that dialled an address of this kind.
#[inline(always)]
pub fn treatment<F: Family>(
    kind: FrontendKind,
    header: &BlockHeader,
    config: &NodeConfig<F>,
    sender: Sender,
) -> Treatment {
    let has_detector = config.flags & (node_flag::DETECT_NETWORK | node_flag::DETECT_DEVICE) != 0;
    match kind {
        FrontendKind::ClusterIp => Treatment {
            view: if header.flags & flags::INTERNAL_LOCAL != 0 {
                View::Local
            } else {
                View::Cluster
            },
            masquerade: config.flags & node_flag::MASQUERADE_ALL != 0 || (has_detector && sender != Sender::Pod),
        },
        FrontendKind::External | FrontendKind::LoadBalancer | FrontendKind::NodePort => {
            if header.flags & flags::EXTERNAL_LOCAL == 0 {
                return Treatment {
                    view: View::Cluster,
                    masquerade: true,
                };
            }
            // The short circuits: pods and the node itself get what the ClusterIP would give them.
            match sender {
                Sender::Pod => Treatment {
                    view: View::Cluster,
                    masquerade: false,
                },
                Sender::Host => Treatment {
                    view: View::Cluster,
                    masquerade: true,
                },
                Sender::Other => Treatment {
                    view: View::Local,
                    masquerade: false,
                },
            }
        }
    }
}
