//! The host's news: a thread that looks at everything again when the kernel says that something has changed, and now and
//! then even if it does not.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use super::{HostFacts, netlink::Netlink, netns::Namespaces, ports};

/// How often ports are looked at: the kernel says nothing of them.
const PORTS: Duration = Duration::from_secs(5);
/// How soon a namespace that could not be found is looked for again: its first process may be on its way.
const NAMESPACES: Duration = Duration::from_millis(500);
/// Devices, addresses of IPv4 and of IPv6 (`RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR`).
const GROUPS: u32 = 0x1 | 0x10 | 0x100;

/// Reads everything once.
///
/// # Errors
/// The kernel's.
pub fn read() -> io::Result<HostFacts> {
    let mut facts = HostFacts {
        ports: ports::read(),
        ..HostFacts::default()
    };
    facts.read_links()?;
    facts.namespaces = Namespaces::default().find(&facts.links)?;
    Ok(facts)
}

/// Calls `tell` with the host's facts whenever they differ from those told last, beginning with `known`; until `tell`
/// says that nobody listens any longer.
///
/// # Errors
/// If the kernel's news cannot be heard.
pub fn start(known: HostFacts, tell: impl FnMut(HostFacts) -> bool + Send + 'static) -> io::Result<()> {
    let socket = Netlink::open(GROUPS)?;
    let watcher = Watcher {
        socket,
        namespaces: Namespaces::default(),
        told: known,
        tell,
    };
    thread::Builder::new()
        .name("host".into())
        .spawn(move || watcher.run())?;
    Ok(())
}

struct Watcher<T> {
    socket: Netlink,
    namespaces: Namespaces,
    told: HostFacts,
    tell: T,
}

impl<T: FnMut(HostFacts) -> bool> Watcher<T> {
    fn run(mut self) {
        let mut ports_read = Instant::now();
        loop {
            match self
                .look(&mut ports_read)
                .and_then(|listening| Ok(listening && self.wait()?))
            {
                Ok(true) => {}
                Ok(false) => return,
                // What could not be read now is read again after the usual time.
                Err(error) => {
                    tracing::warn!(%error, "the host's devices and addresses could not be read");
                    thread::sleep(NAMESPACES);
                }
            }
        }
    }

    /// Tells of devices and addresses at once, and of the namespaces behind them when they are found.
    fn look(&mut self, ports_read: &mut Instant) -> io::Result<bool> {
        let mut facts = self.told.clone();
        facts.read_links()?;
        facts.namespaces.retain(|index, _| facts.links.contains_key(index));
        if ports_read.elapsed() >= PORTS {
            facts.ports = ports::read();
            *ports_read = Instant::now();
        }
        if !self.told_of(facts.clone()) {
            return Ok(false);
        }
        facts.namespaces = self.namespaces.find(&facts.links)?;
        Ok(self.told_of(facts))
    }

    fn told_of(&mut self, facts: HostFacts) -> bool {
        if facts == self.told {
            return true;
        }
        self.told = facts.clone();
        (self.tell)(facts)
    }

    fn wait(&mut self) -> io::Result<bool> {
        let patience = if self.namespaces.are_missing(&self.told.links) {
            NAMESPACES
        } else {
            PORTS
        };
        let millis = u16::try_from(patience.as_millis()).unwrap_or(u16::MAX);
        self.socket.wait(millis.into())?;
        Ok(true)
    }
}
