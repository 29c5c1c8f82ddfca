//! The load tools, each as a function from "who to whom" to figures.

mod own;
mod wrk;
mod stream;
mod processor;

use std::net::SocketAddr;

use crate::cluster::Place;

pub(super) use own::own;
pub(super) use stream::{datagrams, stream};
pub(super) use wrk::requests;

/// Who puts the load on whom.
#[derive(Clone, Debug)]
pub(super) struct Ends<'a> {
    /// Where the client runs.
    pub(super) from: &'a Place,
    /// One address per worker, in turn: the service's, or where there is none those of all its endpoints, so that as many
    /// servers work in either case.
    pub(super) to: Vec<SocketAddr>,
    /// The processor that clients run on; servers have the others.
    pub(super) processor: usize,
    /// Of so many endpoints, each with a name of its own, the service has to choose; 0 where names say nothing.
    pub(super) endpoints: usize,
}

/// What a load of conversations came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Talk {
    /// Conversations or requests in a second.
    pub(super) rate: f64,
    /// The middle, the 99th and the 99.9th percentile of their times, in microseconds.
    pub(super) times: [f64; 3],
}
