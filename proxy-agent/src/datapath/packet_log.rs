//! What the programs tell of packets, when they are asked to: numbers in, lines of our log out.

use std::{io, os::fd::AsFd as _, thread};

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use proxy_common::{node::Hook, reason::Reason};

/// The constant that switches it on; the verifier takes out what it switches off.
pub(super) const SWITCH: &str = "LOG_PACKETS";

/// Takes the programs' records from now on, on a thread of its own, until the process ends.
pub(super) fn start(ebpf: &mut Ebpf) -> io::Result<()> {
    let mut logger = EbpfLogger::init_with_logger(ebpf, Packets).map_err(io::Error::other)?;
    let follow = move || {
        loop {
            logger.flush();
            let mut records = [PollFd::new(logger.as_fd(), PollFlags::POLLIN)];
            if let Err(error) = poll(&mut records, PollTimeout::NONE)
                && error != nix::errno::Errno::EINTR
            {
                tracing::warn!(%error, "packets are not told of any more");
                return;
            }
        }
    };
    thread::Builder::new().name("packets".into()).spawn(follow).map(drop)
}

/// Gives numbers their names.
struct Packets;

impl Log for Packets {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let text = record.args().to_string();
        match read(&text) {
            Some((hook, reason, interface)) => {
                let device = nix::net::if_::if_indextoname(interface);
                let device = device.map_or_else(|_| interface.to_string(), |name| name.to_string_lossy().into_owned());
                tracing::info!(hook, reason, device, "packet");
            }
            None => tracing::warn!(text, "a record of a packet that cannot be understood"),
        }
    }

    fn flush(&self) {}
}

/// Hook, reason and interface of a record, which has their numbers in this order.
fn read(text: &str) -> Option<(&'static str, &'static str, u32)> {
    let mut numbers = text.split(' ');
    let hook: u32 = numbers.next()?.parse().ok()?;
    let reason = Reason::from_number(numbers.next()?.parse().ok()?)?;
    let interface = numbers.next()?.parse().ok()?;
    let hook = Hook::ALL.into_iter().find(|known| *known as u32 == hook)?;
    Some((crate::apply::metrics::hook_name(hook), reason.name(), interface))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0 0 7", Some(("ingress", "Translated", 7)))]
    #[case("1 1 12", Some(("egress", "NotIp", 12)))]
    #[case("9 0 7", None)]
    #[case("0 255 7", None)]
    #[case("0 0", None)]
    fn a_record_is_three_numbers(#[case] text: &str, #[case] expected: Option<(&str, &str, u32)>) {
        assert_eq!(read(text), expected);
    }
}
