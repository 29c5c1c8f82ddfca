//! The test's end of a peer.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Aim, Answer, Failure, LoadPlan, LoadReport, Met, Open, Opened, Request, Transport};
use crate::cluster::Place;
use crate::process::Process;
use crate::wait;

/// How long a conversation may take unless the test says otherwise.
const WITHIN: Duration = Duration::from_secs(3);

const PROGRESS: Duration = Duration::from_secs(20);

/// A peer process that runs in a [`Place`].
#[derive(Debug)]
pub struct Peer {
    // Its pipes go first: it ends by itself when its input closes.
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    process: Process,
    label: String,
}

/// A conversation that a peer keeps open; closed when dropped.
#[derive(Debug)]
pub struct Connection<'a> {
    peer: &'a Peer,
    /// What both ends saw when it was opened.
    pub opened: Opened,
}

/// A load that a peer runs in the background.
#[derive(Debug)]
pub struct Load<'a> {
    peer: &'a Peer,
    id: u32,
}

/// A peer that speaks for an address; silent when dropped.
#[derive(Debug)]
pub struct Speaker<'a> {
    peer: &'a Peer,
    address: IpAddr,
}

/// The outcome of a socket's work: the test may expect a failure, so it is not an error of the test.
pub type Outcome<T> = std::result::Result<T, Failure>;

impl Peer {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn start(place: &Place) -> Result<Self> {
        let mut command = place.command(binary()?)?;
        let (process, input, output) = Process::start_piped(&mut command, &place.log("peer"))?;
        let pipes = Mutex::new((input, BufReader::new(output)));
        Ok(Self {
            pipes,
            process,
            label: place.label().to_owned(),
        })
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// When the process is gone; what the socket said is the inner result.
    pub fn ask(&self, request: &Request) -> Result<Outcome<Answer>> {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        pipes
            .0
            .write_all(line.as_bytes())
            .with_context(|| format!("peer of {}: gone", self.label))?;
        let mut answer = String::new();
        pipes.1.read_line(&mut answer)?;
        serde_json::from_str(&answer).with_context(|| format!("peer of {}: {}", self.label, self.process.log()))
    }

    /// Serves TCP and UDP at `at` under the place's own label; see [`super::serve`].
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn serve(&self, at: SocketAddr) -> Result<()> {
        self.ask(&Request::Serve {
            at,
            name: self.label.clone(),
        })?
        .with_context(|| format!("{}: {at}", self.label))?;
        Ok(())
    }

    /// Serves SCTP at `at` under the place's own label.
    ///
    /// # Errors
    /// When the kernel has no SCTP, or the address cannot be bound.
    pub fn serve_sctp(&self, at: SocketAddr) -> Result<()> {
        let name = self.label.clone();
        self.ask(&Request::ServeSctp { at, name })?
            .with_context(|| format!("{}: {at} over SCTP", self.label))?;
        Ok(())
    }

    /// Stops serving there; open connections go on.
    ///
    /// # Errors
    /// When nothing was served there.
    pub fn stop_serving(&self, at: SocketAddr) -> Result<()> {
        self.ask(&Request::StopServing { at })?
            .with_context(|| format!("{}: {at}", self.label))?;
        Ok(())
    }

    /// Announces an address on the segment of a device and answers for it there.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn speak(&self, device: &str, address: IpAddr) -> Result<Speaker<'_>> {
        let device = device.to_owned();
        self.ask(&Request::Speak { device, address })?
            .with_context(|| format!("{} speaks for {address}", self.label))?;
        Ok(Speaker { peer: self, address })
    }

    /// Opens a conversation.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn try_open(&self, how: Open) -> Result<Outcome<Connection<'_>>> {
        match self.ask(&Request::Open(how))? {
            Ok(Answer::Opened(opened)) => Ok(Ok(Connection { peer: self, opened })),
            Ok(other) => bail!("peer of {}: {other:?}", self.label),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Opens a conversation with `to` that must succeed within three seconds.
    ///
    /// # Errors
    /// When it does not, with both ends named.
    pub fn open(&self, transport: Transport, to: SocketAddr) -> Result<Connection<'_>> {
        self.try_open(Open {
            transport,
            to,
            from: None,
            within: WITHIN,
        })?
        .with_context(|| format!("{} to {to} over {transport:?}", self.label))
    }

    /// As [`Peer::open`] from an own address and port.
    ///
    /// # Errors
    /// When it does not succeed.
    pub fn open_from(&self, transport: Transport, from: SocketAddr, to: SocketAddr) -> Result<Connection<'_>> {
        self.try_open(Open {
            transport,
            to,
            from: Some(from),
            within: WITHIN,
        })?
        .with_context(|| format!("{} from {from} to {to} over {transport:?}", self.label))
    }

    /// Fetches the page of an nginx once and returns what both ends saw.
    ///
    /// # Errors
    /// When there is no answer with status 200 within three seconds.
    pub fn http(&self, to: SocketAddr) -> Result<Opened> {
        Ok(self.open(Transport::Http, to)?.opened.clone())
    }

    /// Opens many conversations, several at a time, and tells what came of each aim.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn reach(&self, aims: Vec<Aim>) -> Result<Vec<Met>> {
        let answer = self.ask(&Request::Reach(aims))??;
        let Answer::Reached(met) = answer else {
            bail!("peer of {}: {answer:?}", self.label)
        };
        Ok(met)
    }

    /// Puts a load on a server.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn load(&self, plan: LoadPlan) -> Result<Load<'_>> {
        let answer = self.ask(&Request::StartLoad(plan))??;
        let Answer::LoadStarted(id) = answer else {
            bail!("peer of {}: {answer:?} for a load", self.label)
        };
        Ok(Load { peer: self, id })
    }
}

impl Connection<'_> {
    /// Sends `bytes` and gets them back.
    ///
    /// # Errors
    /// When the process is gone; what the socket said is the inner result.
    pub fn try_exchange(&self, bytes: usize, within: Duration) -> Result<Outcome<()>> {
        let request = Request::Exchange {
            id: self.opened.id,
            bytes,
            within,
        };
        Ok(self.peer.ask(&request)?.map(drop))
    }

    /// Sends `bytes` and must get them back within three seconds.
    ///
    /// # Errors
    /// When it does not.
    pub fn exchange(&self, bytes: usize) -> Result<()> {
        self.try_exchange(bytes, WITHIN)?
            .with_context(|| format!("{} with {}: {bytes} bytes", self.peer.label, self.opened.remote))
    }

    /// Ends it with a reset instead of in order.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn abort(self) -> Result<()> {
        self.peer.ask(&Request::Close {
            id: self.opened.id,
            abort: true,
        })??;
        Ok(())
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        // A peer that is gone has closed it.
        let _ = self.peer.ask(&Request::Close {
            id: self.opened.id,
            abort: false,
        });
    }
}

impl Drop for Speaker<'_> {
    fn drop(&mut self) {
        // A peer that is gone speaks no longer.
        let _ = self.peer.ask(&Request::Hush { address: self.address });
    }
}

impl Load<'_> {
    /// Waits until `more` further exchanges are completed: the load has gone on since the call.
    ///
    /// # Errors
    /// When they are not within twenty seconds.
    pub fn goes_on(&self, more: u64) -> Result<()> {
        let goal = self.completed()? + more;
        let what = format!("{more} more exchanges of a load of {}", self.peer.label);
        wait::until_true(&what, PROGRESS, || Ok(self.completed()? >= goal))
    }

    fn completed(&self) -> Result<u64> {
        let answer = self.peer.ask(&Request::LoadProgress { id: self.id })??;
        let Answer::LoadProgress(count) = answer else {
            bail!("peer of {}: {answer:?} for a count", self.peer.label)
        };
        Ok(count)
    }

    /// Stops it and says what came of it.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn stop(self) -> Result<LoadReport> {
        let answer = self.peer.ask(&Request::StopLoad { id: self.id })??;
        let Answer::LoadReport(report) = answer else {
            bail!("peer of {}: {answer:?} for a report", self.peer.label)
        };
        Ok(report)
    }
}

/// The binary `peer`: beside this program, or a folder up when this is a test.
fn binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join("peer"));
    let found = beside.into_iter().find(|path| path.is_file());
    found.with_context(|| format!("peer: not beside {}; cargo build -p tests --bins", own.display()))
}
