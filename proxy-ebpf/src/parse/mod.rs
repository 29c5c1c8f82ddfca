//! 1. Bytes -> a packet that cannot be malformed, or the reason why it is not looked at.

pub mod ipv4;
pub mod ipv6;
pub mod transport;
pub mod icmp;

use proxy_common::{
    family::Family,
    net::{Protocol, Tuple},
    phase::TcpFlags,
    reason::Reason,
};

use crate::frame::Frame;

/// What is in a packet.
#[derive(Clone, Copy, Debug)]
pub enum Packet<F: Family> {
    /// A segment or datagram of a protocol that services use, or a fragment of one.
    Segment(Segment<F>),
    /// An ICMP message, perhaps about another packet: [`icmp::error`] tells.
    Icmp(NetworkHeader<F>),
}

/// A segment, datagram or fragment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Segment<F: Family> {
    /// Who sends to whom. The ports of a later fragment are zero until they are looked up.
    pub tuple: Tuple<F>,
    /// Where the transport header begins; in a later fragment, where it would.
    pub transport: u32,
    /// Where the packet ends.
    pub end: u32,
    /// Whether the packet is whole.
    pub fragment: Fragment,
    /// Whether the packet may open a flow: a SYN, an INIT, a datagram.
    pub opens: bool,
    /// Whether it is a datagram without checksum (RFC 768).
    pub unsummed: bool,
    /// TCP's control bits.
    pub flags: TcpFlags,
    /// TCP's sequence number, host byte order.
    pub sequence: u32,
    /// TCP's acknowledgement number, host byte order; it means something only with the control bit.
    pub acknowledgement: u32,
}

/// Which part of a packet a fragment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fragment {
    /// The whole.
    #[default]
    Whole,
    /// The first: it has the transport header. With the identification, network byte order.
    First([u8; 4]),
    /// A later one, with the identification.
    Later([u8; 4]),
}

/// A network header that holds together.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkHeader<F: Family> {
    /// The sender.
    pub source: F::Address,
    /// The receiver.
    pub destination: F::Address,
    /// The number of the protocol behind the header and its extensions.
    pub protocol: u8,
    /// Where the header of that protocol begins.
    pub payload: u32,
    /// Where the packet ends by its own account.
    pub end: u32,
    /// Whether it is whole.
    pub fragment: Fragment,
    /// How far from the payload's begin a later fragment's bytes lie, in bytes.
    pub fragment_offset: u32,
}

/// How a header's length is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The packet is here: its length must fit into the frame.
    Here,
    /// The packet is quoted in an error: its end may have been cut off.
    Quoted,
}

/// What is read differently in the two families.
pub trait Parse: Family {
    /// The network header at an offset.
    ///
    /// # Errors
    ///
    /// The reason why it cannot be trusted.
    fn network_header(frame: &impl Frame, at: u32, extent: Extent) -> Result<NetworkHeader<Self>, Reason>;

    /// Writes other addresses into the header at an offset, source first, and accounts for them in the checksums.
    ///
    /// # Errors
    ///
    /// [`Reason::RewriteFailed`] if the kernel refuses; the packet may then be half changed.
    fn replace_addresses(
        frame: &mut impl Frame,
        at: u32,
        old: (&Self::Address, &Self::Address),
        new: (&Self::Address, &Self::Address),
        sums: crate::frame::Sums,
    ) -> Result<(), Reason>;

    /// What an ICMP message of this family is.
    fn icmp_kind(kind: u8) -> icmp::IcmpKind;

    /// Where the packet that an ICMP redirect quotes begins.
    fn redirected(frame: &impl Frame, message: u32, end: u32) -> Option<u32>;
}

/// The packet at the begin of a frame.
///
/// # Errors
///
/// The reason why it is not looked at.
#[inline(always)]
pub fn packet<F: Parse>(frame: &impl Frame) -> Result<Packet<F>, Reason> {
    let header = F::network_header(frame, 0, Extent::Here)?;
    if header.protocol == F::ICMP {
        return Ok(Packet::Icmp(header));
    }
    let Some(protocol) = Protocol::from_number(header.protocol) else {
        return Err(Reason::OtherProtocol);
    };
    transport::segment(frame, &header, protocol).map(Packet::Segment)
}
