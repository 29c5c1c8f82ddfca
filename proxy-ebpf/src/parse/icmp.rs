//! ICMP messages about other packets (RFC 792, RFC 4443, RFC 4861).

use proxy_common::{
    family::Family,
    net::{Peer, Port, Protocol, Tuple},
    reason::Reason,
};

use super::{Extent, Fragment, NetworkHeader, Parse};
use crate::frame::Frame;

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpKind {
    /// It reports that a packet could not be delivered.
    Error,
    /// It says that a packet would better go another way.
    Redirect,
    /// Anything else: echo, neighbour discovery.
    Other,
}

/// A message that quotes a packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct IcmpError<F: Family> {
    /// Who sends the message.
    pub source: F::Address,
    /// Who gets it.
    pub destination: F::Address,
    /// Where the ICMP header begins.
    pub message: u32,
    /// Whether it is a redirect.
    pub redirect: bool,
    /// Where the quoted packet begins.
    pub quoted: u32,
    /// Where its transport header begins.
    pub quoted_transport: u32,
    /// Where the quote ends.
    pub end: u32,
    /// Who sent the quoted packet to whom.
    pub tuple: Tuple<F>,
}

/// The message behind a network header, if it quotes a packet.
///
/// # Errors
///
/// The reason why it is not looked at.
#[inline(always)]
pub fn error<F: Parse>(frame: &impl Frame, header: &NetworkHeader<F>) -> Result<IcmpError<F>, Reason> {
    // The quote of a fragmented message cannot be told to be whole; its checksum covers what is not here.
    if header.fragment != Fragment::Whole {
        return Err(Reason::IcmpUnrelated);
    }
    if header.payload + 8 > header.end {
        return Err(Reason::Truncated);
    }
    let head = frame.read::<2>(header.payload).ok_or(Reason::Truncated)?;
    let kind = F::icmp_kind(head.byte::<0>());
    let quoted = match kind {
        IcmpKind::Other => return Err(Reason::IcmpQuery),
        IcmpKind::Error => header.payload + 8,
        IcmpKind::Redirect => F::redirected(frame, header.payload, header.end).ok_or(Reason::IcmpUnrelated)?,
    };
    let inner = F::network_header(frame, quoted, Extent::Quoted).map_err(|_| Reason::IcmpUnrelated)?;
    let protocol = Protocol::from_number(inner.protocol).ok_or(Reason::IcmpUnrelated)?;
    if matches!(inner.fragment, Fragment::Later(_)) {
        return Err(Reason::IcmpUnrelated);
    }
    let end = if inner.end < header.end { inner.end } else { header.end };
    if inner.payload + 8 > end {
        return Err(Reason::IcmpUnrelated);
    }
    let ports = frame.read::<4>(inner.payload).ok_or(Reason::Truncated)?;
    Ok(IcmpError {
        source: header.source,
        destination: header.destination,
        message: header.payload,
        redirect: kind == IcmpKind::Redirect,
        quoted,
        quoted_transport: inner.payload,
        end,
        tuple: Tuple {
            source: Peer::new(inner.source, Port(ports.field::<0, 2>())),
            destination: Peer::new(inner.destination, Port(ports.field::<2, 2>())),
            protocol,
        },
    })
}
