//! API objects, from wherever they come, as one stream of changes.

use std::time::Instant;

use tokio::sync::mpsc;

use crate::model::Kind;

use object::{EndpointSlice, Node, Service, ServiceCidr};

pub mod object;
pub mod api;
pub mod events;
pub mod manifests;
#[cfg(test)]
mod deployed;
#[cfg(test)]
mod tests;

/// Something that has happened to the API objects.
#[derive(Clone, Debug)]
pub enum Change {
    /// To a Service.
    Service(Event<Service>),
    /// To an EndpointSlice.
    Slice(Event<EndpointSlice>),
    /// To this node's Node.
    Node(Event<Node>),
    /// To a ServiceCIDR.
    ServiceCidr(Event<ServiceCidr>),
    /// An object cannot be read, or can be again; what is known of it stays.
    Unread(Unread),
}

/// An object that its source cannot read.
#[derive(Clone, Debug)]
pub struct Unread {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for what has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The field and what is wrong with it; `None`: nothing any more.
    pub wrong: Option<(String, String)>,
}

/// What has happened to objects of one kind.
///
/// A list is a `Begin`, a `Listed` for each object and an `End`: what was there before and is not in the list is gone,
/// from `End` on and not earlier. A list may be broken off by another `Begin`.
#[derive(Clone, Debug)]
pub enum Event<T> {
    /// A list begins.
    Begin,
    /// An object of the list.
    Listed(T),
    /// The list is complete.
    End,
    /// An object is new or has changed.
    Set(T),
    /// An object is gone.
    Gone(T),
    /// The server does not have this kind, or does not show it to us: nothing to wait for.
    Unavailable,
}

impl Change {
    /// Whether it is news, and not part of a list.
    #[must_use]
    pub const fn is_news(&self) -> bool {
        const fn is_news<T>(event: &Event<T>) -> bool {
            matches!(event, Event::Set(_) | Event::Gone(_))
        }
        match self {
            Change::Service(event) => is_news(event),
            Change::Slice(event) => is_news(event),
            Change::Node(event) => is_news(event),
            Change::ServiceCidr(event) => is_news(event),
            Change::Unread(_) => false,
        }
    }
}

/// What a source hands over.
#[derive(Clone, Debug)]
pub enum Notice {
    /// Changes that belong together.
    Changes {
        /// When the source had read them.
        seen: Instant,
        /// The changes, in their order.
        changes: Vec<Change>,
    },
    /// How the source is: what was handed over stays in force meanwhile. The source has logged it.
    Trouble {
        /// The source.
        source: &'static str,
        /// What is wrong with it; `None`: nothing any more.
        reason: Option<String>,
    },
}

impl Notice {
    /// Changes that have just been read.
    #[must_use]
    pub fn changes(changes: Vec<Change>) -> Self {
        let seen = Instant::now();
        Notice::Changes { seen, changes }
    }
}

/// Where sources put what they have. When it is full they wait.
#[derive(Clone, Debug)]
pub struct Feed(mpsc::Sender<Notice>);

/// How many notices may wait.
const WAITING: usize = 256;

impl Feed {
    /// A feed, and its other end.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Notice>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Feed(sender), receiver)
    }

    /// Hands over, from a thread. Returns whether somebody listens.
    fn send(&self, notice: Notice) -> bool {
        self.0.blocking_send(notice).is_ok()
    }

    /// Hands over, from a task. Returns whether somebody listens.
    async fn push(&self, notice: Notice) -> bool {
        self.0.send(notice).await.is_ok()
    }

    /// Tells how a source is, from a thread. Returns whether somebody listens.
    fn trouble(&self, source: &'static str, reason: Option<String>) -> bool {
        self.send(Notice::Trouble { source, reason })
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}
