//! A load on a server: workers that each keep one attempt open, and the count of what came of it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::session::{self, Session};
use super::{Failure, Open, Transport, Why};

/// What a worker does again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadKind {
    /// Opens a conversation, exchanges `bytes` and closes.
    Short,
    /// Opens a conversation, which ends with the server's first answer, and closes.
    Once,
    /// Opens one conversation and keeps exchanging `bytes` in it; opens another only after a failure.
    Long,
    /// Connects a datagram socket and closes it: not one packet, but whatever hooks there are on `connect`.
    Dial,
}

/// A load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadPlan {
    /// The protocol.
    pub transport: Transport,
    /// Where to.
    pub to: SocketAddr,
    /// What each worker does.
    pub kind: LoadKind,
    /// How many do it at once.
    pub workers: usize,
    /// The size of a message.
    pub bytes: usize,
    /// From the begin of one attempt to that of the next, at least; without, the next follows at once.
    pub every: Option<Duration>,
    /// How long an attempt may take before it counts as failed.
    pub within: Duration,
    /// Whether the report lists every opening.
    pub record: bool,
    /// Whether the report lists how long every exchange took.
    pub times: bool,
}

/// When a conversation was opened, by the clock that all processes of the machine share, and who answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Opening {
    /// Before the first packet left.
    pub begin: Duration,
    /// After the answer to it came.
    pub end: Duration,
    /// The server that answered.
    pub server: String,
    /// The client's own address and port.
    pub local: SocketAddr,
}

/// What became of a load.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LoadReport {
    /// Exchanges that came back whole.
    pub completed: u64,
    /// Those that did not, by kind.
    pub failed: BTreeMap<String, u64>,
    /// The text of the first failure.
    pub first_failure: Option<String>,
    /// How often each server answered.
    pub answered_by: BTreeMap<String, u64>,
    /// The longest an exchange took.
    pub longest: Duration,
    /// Every opening, when the plan asks for it.
    pub openings: Vec<Opening>,
    /// How long every exchange took, in nanoseconds, when the plan asks for it.
    pub times: Vec<u64>,
    /// From the start until the load was told to stop.
    pub lasted: Duration,
}

impl LoadPlan {
    /// Short conversations over `transport`, four at once, of 64 bytes, each within three seconds.
    pub fn short(transport: Transport, to: SocketAddr) -> Self {
        Self {
            transport,
            to,
            kind: LoadKind::Short,
            workers: 4,
            bytes: 64,
            every: None,
            within: Duration::from_secs(3),
            record: false,
            times: false,
        }
    }

    /// The same in conversations that stay open.
    pub fn long(transport: Transport, to: SocketAddr) -> Self {
        Self {
            kind: LoadKind::Long,
            ..Self::short(transport, to)
        }
    }
}

impl LoadReport {
    /// The number of failures of all kinds.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Adds what another worker did.
    pub fn merge(&mut self, other: Self) {
        self.completed += other.completed;
        for (kind, count) in other.failed {
            *self.failed.entry(kind).or_default() += count;
        }
        for (server, count) in other.answered_by {
            *self.answered_by.entry(server).or_default() += count;
        }
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.longest = self.longest.max(other.longest);
        self.openings.extend(other.openings);
        self.times.extend(other.times);
        self.lasted = self.lasted.max(other.lasted);
    }

    fn success(&mut self, plan: &LoadPlan, server: &str, took: Duration) {
        self.completed += 1;
        match self.answered_by.get_mut(server) {
            Some(count) => *count += 1,
            None => drop(self.answered_by.insert(server.to_owned(), 1)),
        }
        self.longest = self.longest.max(took);
        if plan.times {
            self.times.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    fn failure(&mut self, failure: &Failure) {
        *self.failed.entry(format!("{:?}", failure.why)).or_default() += 1;
        self.first_failure.get_or_insert_with(|| failure.to_string());
    }
}

/// A load that runs until it is stopped.
#[derive(Debug)]
pub struct Running {
    begun: Instant,
    shared: Arc<Shared>,
    workers: Vec<thread::JoinHandle<LoadReport>>,
}

/// What the workers and their owner tell each other while they run.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Exchanges completed by all workers.
    completed: AtomicU64,
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Starts the workers.
pub fn start(plan: &LoadPlan) -> Running {
    let shared = Arc::new(Shared::default());
    let worker = |_| {
        let (plan, shared) = (plan.clone(), Arc::clone(&shared));
        thread::spawn(move || work(&plan, &shared))
    };
    let begun = Instant::now();
    let workers = (0..plan.workers).map(worker).collect();
    Running { begun, shared, workers }
}

impl Running {
    /// Exchanges completed so far.
    pub fn completed(&self) -> u64 {
        self.shared.completed.load(Ordering::Relaxed)
    }

    /// Lets every worker finish what it has begun, and adds up.
    pub fn stop(self) -> LoadReport {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut total = LoadReport {
            lasted: self.begun.elapsed(),
            ..LoadReport::default()
        };
        for worker in self.workers {
            total.merge(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        total
    }
}

fn work(plan: &LoadPlan, shared: &Shared) -> LoadReport {
    let mut report = LoadReport::default();
    while !shared.stopped() {
        let begun = Instant::now();
        if let Err(error) = converse(plan, shared, &mut report) {
            let failure = Failure::from(error);
            report.failure(&failure);
            if failure.why == Why::Refused || failure.why == Why::AddressInUse {
                // Refusals come at once; a worker that repeats them without a pause takes the processor from the rest.
                thread::sleep(Duration::from_millis(5));
            }
        }
        if let Some(every) = plan.every {
            thread::sleep(every.saturating_sub(begun.elapsed()));
        }
    }
    report
}

/// Now, by the clock that all processes of the machine share.
///
/// # Errors
/// None that a Linux kernel knows.
pub fn monotonic() -> io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC)?.into())
}

fn converse(plan: &LoadPlan, shared: &Shared, report: &mut LoadReport) -> io::Result<()> {
    if plan.kind == LoadKind::Dial {
        session::dial(plan.to)?;
        report.completed += 1;
        shared.completed.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    let begin = Instant::now();
    let open = Open {
        transport: plan.transport,
        to: plan.to,
        from: None,
        within: plan.within,
    };
    let begun = monotonic()?;
    let (mut session, opened) = Session::open(&open)?;
    if plan.record {
        let server = opened.server.clone();
        report.openings.push(Opening {
            begin: begun,
            end: opened.connected,
            server,
            local: opened.local,
        });
    }
    if plan.kind != LoadKind::Once {
        session.exchange(plan.bytes, plan.within)?;
    }
    report.success(plan, &opened.server, begin.elapsed());
    shared.completed.fetch_add(1, Ordering::Relaxed);
    while plan.kind == LoadKind::Long && !shared.stopped() {
        let begin = Instant::now();
        let server = session.exchange(plan.bytes, plan.within)?;
        report.success(plan, server.as_deref().unwrap_or(&opened.server), begin.elapsed());
        shared.completed.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
