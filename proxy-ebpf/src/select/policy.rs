//! Which view a client has, and whether the backend sees it: kube-proxy's traffic policies and its masquerade rules.

use proxy_common::{
    block::{BlockHeader, View, policy as flags},
    family::Family,
    frontend::FrontendKind,
    net::Address as _,
    node::{NodeConfig, device_flag, node_flag},
    reason::Reason,
};

use crate::{node::Tables, service::Dialled, verdict::Verdict};

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

/// Whether a client may use the address that it dialled. Of the node's own processes the block says whether they may: they
/// have no address yet.
///
/// # Errors
///
/// The packet of one who may not vanishes; a socket whose address is not known yet is left to what looks at its packets.
#[inline(always)]
pub fn admit<F: Family>(
    node: &impl Tables<F>,
    dialled: Dialled,
    header: &BlockHeader,
    sender: Sender,
    source: Option<&F::Address>,
) -> Result<(), Verdict> {
    if dialled.kind != FrontendKind::LoadBalancer || header.flags & flags::SOURCE_RANGES == 0 {
        return Ok(());
    }
    let is_admitted = match (sender, source) {
        (Sender::Host, _) => header.flags & flags::NODE_ADMITTED != 0,
        (Sender::Pod | Sender::Other, Some(source)) => node.rule(dialled.service, source).is_some(),
        (Sender::Pod | Sender::Other, None) => return Err(Verdict::pass(Reason::SourceUnknown)),
    };
    if is_admitted {
        Ok(())
    } else {
        Err(Verdict::drop(Reason::SourceNotAdmitted))
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
            if header.flags & flags::NO_EXCEPTIONS != 0 {
                return Treatment {
                    view: View::Local,
                    masquerade: sender == Sender::Host,
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
