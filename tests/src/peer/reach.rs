//! Many short conversations at once, to learn who answers at an address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::session::Session;
use super::{Failure, Open, Transport, Why};

/// So many are aimed at, at a time.
const AT_ONCE: usize = 24;

/// After so many failures in a row nobody is expected to answer.
const PATIENCE: usize = 3;

/// An address, and how often it is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aim {
    /// The protocol.
    pub transport: Transport,
    /// Where to.
    pub to: SocketAddr,
    /// How many conversations.
    pub tries: usize,
    /// How long each may take.
    pub within: Duration,
}

/// What came of an [`Aim`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Met {
    /// The servers that answered, and the client's addresses that each of them saw.
    pub servers: BTreeMap<String, BTreeSet<IpAddr>>,
    /// The ways in which a conversation failed.
    pub failures: BTreeSet<Why>,
}

impl Met {
    fn of(aim: &Aim) -> Self {
        let mut met = Self::default();
        let mut in_a_row = 0;
        for _ in 0..aim.tries {
            let open = Open {
                transport: aim.transport,
                to: aim.to,
                from: None,
                within: aim.within,
            };
            match Session::open(&open) {
                Ok((_, opened)) => {
                    in_a_row = 0;
                    met.servers.entry(opened.server).or_default().insert(opened.seen.ip());
                }
                Err(error) => {
                    in_a_row += 1;
                    met.failures.insert(Failure::from(error).why);
                }
            }
            if in_a_row == PATIENCE {
                break;
            }
        }
        met
    }
}

/// Dials all of them; the answers stand in the order of the aims.
pub fn reach(aims: &[Aim]) -> Vec<Met> {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(aims.len()) {
            scope.spawn(|| {
                while let Some((number, aim)) = numbered(aims, &next) {
                    let met = Met::of(aim);
                    all.lock().unwrap_or_else(PoisonError::into_inner).insert(number, met);
                }
            });
        }
    });
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.into_values().collect()
}

fn numbered<'a>(aims: &'a [Aim], next: &AtomicUsize) -> Option<(usize, &'a Aim)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    Some((number, aims.get(number)?))
}
