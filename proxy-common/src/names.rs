//! What the numbers stand for, so that the maps can be read without the agent that wrote them: `SERVICE_NAMES` and
//! `ENDPOINT_NAMES`.

use bytemuck::{Pod, Zeroable};

use crate::net::{Ip6, Port};

/// The longest name of a namespace, a Service or a port (RFC 1123 label).
pub const LABEL: usize = 63;

/// A service port of one family. Texts are padded with zero bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ServiceName {
    /// `metadata.namespace`.
    pub namespace: [u8; LABEL],
    /// The protocol's number; 0: the entry is free.
    pub protocol: u8,
    /// `metadata.name`.
    pub name: [u8; LABEL],
    /// 4 or 6.
    pub family: u8,
    /// `spec.ports[].name`.
    pub port: [u8; LABEL],
    /// Zero.
    pub zero: u8,
}

/// An endpoint of one service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct EndpointName {
    /// The service's number; 0: the entry is free.
    pub service: u32,
    /// The endpoint's port.
    pub port: Port,
    /// Zero.
    pub zero: [u8; 2],
    /// The endpoint's address; IPv4 stands in the first four bytes.
    pub address: Ip6,
}
