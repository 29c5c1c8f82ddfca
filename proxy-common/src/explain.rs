//! What the explaining twin of the ingress program reports: the one entry of `EXPLANATION`.

use bytemuck::{Pod, Zeroable};

use crate::net::{Ip6, Port};

/// What would happen to a packet that opens a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Explanation {
    /// A [`Outcome`] as a number.
    pub outcome: u8,
    /// A [`crate::reason::Reason`] as a number.
    pub reason: u8,
    /// A [`crate::frontend::FrontendKind`] as a number; 0: no service answers there.
    pub kind: u8,
    /// 1 if the choice was among the local view, 2 if among the cluster view, 0 if nothing was chosen.
    pub view: u8,
    /// 1 if the backend would see an address of the node.
    pub masquerade: u8,
    /// 1 if the packet belongs to a flow that exists.
    pub known: u8,
    /// The backend's port.
    pub backend_port: Port,
    /// The service's number.
    pub service: u32,
    /// The endpoint's number.
    pub endpoint: u32,
    /// The generation of the service's block.
    pub generation: u32,
    /// Zero.
    pub zero: u32,
    /// The backend's address.
    pub backend: Ip6,
}

/// What the data path does with a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// It goes on as it is.
    #[default]
    Pass = 0,
    /// Its addresses change and it goes on.
    Translate = 1,
    /// It vanishes.
    Drop = 2,
    /// It vanishes and its sender is told: port unreachable.
    Reject = 3,
}
