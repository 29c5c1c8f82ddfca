//! Opens sockets for the tests, in the namespace and the cgroup it was started in; see `tests::peer`.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::net::{IpAddr, SocketAddr};

use tests::peer::load::{self, Running};
use tests::peer::reach::reach;
use tests::peer::serve::{Serving, serve, serve_sctp};
use tests::peer::session::Session;
use tests::peer::speak::{Speaking, speak};
use tests::peer::{Answer, Failure, Open, Request};

/// What this process holds for the test.
#[derive(Default)]
struct State {
    next: u32,
    serving: HashMap<SocketAddr, Serving>,
    serving_sctp: Vec<Serving>,
    sessions: HashMap<u32, Session>,
    loads: HashMap<u32, Running>,
    speaking: HashMap<IpAddr, Speaking>,
}

fn main() -> io::Result<()> {
    let mut state = State::default();
    for line in io::stdin().lock().lines() {
        let outcome = serde_json::from_str(&line?)
            .map_err(io::Error::other)
            .and_then(|request| state.answer(request));
        let answer = serde_json::to_string(&outcome.map_err(Failure::from))?;
        writeln!(io::stdout(), "{answer}")?;
    }
    // The servers' threads may wait for clients for ever.
    std::process::exit(0)
}

impl State {
    fn answer(&mut self, request: Request) -> io::Result<Answer> {
        match request {
            Request::Serve { at, name } => {
                self.serving.insert(at, serve(at, &name)?);
                Ok(Answer::Done)
            }
            Request::ServeSctp { at, name } => {
                self.serving_sctp.push(serve_sctp(at, &name)?);
                Ok(Answer::Done)
            }
            Request::StopServing { at } => self
                .serving
                .remove(&at)
                .map(|_| Answer::Done)
                .ok_or_else(|| io::ErrorKind::NotFound.into()),
            Request::Speak { device, address } => {
                self.speaking.insert(address, speak(&device, address)?);
                Ok(Answer::Done)
            }
            Request::Hush { address } => {
                self.speaking.remove(&address);
                Ok(Answer::Done)
            }
            Request::Open(how) => self.open(&how),
            Request::Exchange { id, bytes, within } => {
                let session = self.sessions.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
                session.exchange(bytes, within).map(|_| Answer::Done)
            }
            Request::Close { id, abort } => {
                // A connection that was aborted before is closed again when its handle goes.
                match self.sessions.remove(&id) {
                    Some(session) if abort => session.abort()?,
                    Some(_) | None => {}
                }
                Ok(Answer::Done)
            }
            Request::Reach(aims) => Ok(Answer::Reached(reach(&aims))),
            Request::StartLoad(plan) => {
                let id = self.number();
                self.loads.insert(id, load::start(&plan));
                Ok(Answer::LoadStarted(id))
            }
            Request::LoadProgress { id } => {
                let running = self.loads.get(&id).ok_or(io::ErrorKind::NotFound)?;
                Ok(Answer::LoadProgress(running.completed()))
            }
            Request::StopLoad { id } => {
                let running = self.loads.remove(&id).ok_or(io::ErrorKind::NotFound)?;
                Ok(Answer::LoadReport(running.stop()))
            }
        }
    }

    fn open(&mut self, how: &Open) -> io::Result<Answer> {
        let (session, mut opened) = Session::open(how)?;
        opened.id = self.number();
        self.sessions.insert(opened.id, session);
        Ok(Answer::Opened(opened))
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }
}
