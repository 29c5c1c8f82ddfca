//! The ports of later fragments: remembered from the first, looked up for the rest.

use proxy_common::{
    fragment::{FragmentKey, FragmentPorts},
    lifetime,
    node::Hook,
    reason::Reason,
};

use crate::{
    node::Node,
    parse::{Fragment, Parse, Segment},
};

/// Gives a later fragment its ports, and remembers those of a first one.
///
/// # Errors
///
/// [`Reason::LostFragment`] if the first fragment was not seen lately.
#[inline(always)]
pub fn resolve<F: Parse>(segment: &mut Segment<F>, node: &impl Node<F>, hook: Hook) -> Result<(), Reason> {
    match segment.fragment {
        Fragment::Whole => Ok(()),
        Fragment::First(identification) => {
            let ports = FragmentPorts {
                seen: node.now(),
                source: segment.tuple.source.port,
                destination: segment.tuple.destination.port,
                zero: [0; 4],
            };
            node.remember_fragment(&key(segment, identification, hook), &ports);
            Ok(())
        }
        Fragment::Later(identification) => {
            let ports = node
                .fragment(&key(segment, identification, hook))
                .ok_or(Reason::LostFragment)?;
            if node.now().saturating_sub(ports.seen) > lifetime::FRAGMENT {
                return Err(Reason::LostFragment);
            }
            segment.tuple.source.port = ports.source;
            segment.tuple.destination.port = ports.destination;
            Ok(())
        }
    }
}

#[inline(always)]
fn key<F: Parse>(segment: &Segment<F>, identification: [u8; 4], hook: Hook) -> FragmentKey<F> {
    FragmentKey {
        source: segment.tuple.source.address,
        destination: segment.tuple.destination.address,
        identification,
        protocol: segment.tuple.protocol.number(),
        hook: hook as u8,
        zero: [0; 2],
    }
}
