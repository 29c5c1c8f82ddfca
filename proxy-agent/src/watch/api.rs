//! The API server as the source of API objects: B-10, B-11, B-17.

use std::{fmt::Debug, fs::File, path::Path, time::Duration};

use backon::ExponentialBuilder;
use futures::{StreamExt as _, pin_mut};
use kube::{
    Api, Config, Resource,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{
        WatchStreamExt as _,
        utils::ResetTimerBackoff,
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tracing::{info, warn};

pub use kube::Client;

use crate::error::Error;

use super::{
    Change, Event, Feed, Notice,
    object::{LABEL_HEADLESS, LABEL_PROXY_NAME},
};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// The shortest and the longest pause before a failed request is tried again; chance adds up to as much again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(10));
/// A server that gives no error for this long is there again: longer than two tries are apart.
const QUIET: Duration = Duration::from_secs(30);

/// A client for the server that a file names, or for that of the cluster that this runs in. It does not connect yet.
///
/// # Errors
///
/// If the file, or the cluster's credentials, cannot be read.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client, Error> {
    let mut config = match kubeconfig {
        Some(path) => {
            // The library's message for a file that is not there has its name twice.
            File::open(path).map_err(|error| Error::file(path, error))?;
            let read = Kubeconfig::read_from(path).map_err(|error| Error::file(path, one_line(&error)))?;
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
                .await
                .map_err(|error| Error::file(path, one_line(&error)))?
        }
        None => Config::incluster().map_err(|error| {
            Error::Host(anyhow::anyhow!(
                "neither --kubeconfig nor --manifests, and not in a pod: {}",
                one_line(&error)
            ))
        })?,
    };
    config.connect_timeout = Some(CONNECT);
    Client::try_from(config).map_err(|error| match kubeconfig {
        Some(path) => Error::file(path, one_line(&error)),
        None => Error::Host(anyhow::anyhow!(one_line(&error))),
    })
}

/// Follows the server until nobody listens any more. What goes wrong is told and tried again.
pub async fn follow(client: Client, node: &str, feed: Feed) {
    let all = || watcher::Config::default();
    let ours = all().labels(&format!("!{LABEL_PROXY_NAME}"));
    let with_address = all().labels(&format!("!{LABEL_HEADLESS}"));
    let this_node = all().fields(&format!("metadata.name={node}"));
    let (services, slices) = (Api::all(client.clone()), Api::all(client.clone()));
    let (nodes, cidrs) = (Api::all(client.clone()), Api::all(client));
    let kind = |source, optional| Kind {
        source,
        optional,
        feed: &feed,
        trouble: None,
    };
    tokio::join!(
        kind("services", false).follow(services, ours, Change::Service),
        kind("endpointslices", false).follow(slices, with_address, Change::Slice),
        kind("nodes", true).follow(nodes, this_node, Change::Node),
        kind("servicecidrs", true).follow(cidrs, all(), Change::ServiceCidr),
    );
}

/// What is followed of one kind of object.
struct Kind<'a> {
    source: &'static str,
    /// The agent can do without it where the server does not have it or does not show it.
    optional: bool,
    feed: &'a Feed,
    /// What is wrong with it.
    trouble: Option<String>,
}

impl Kind<'_> {
    async fn follow<K>(mut self, api: Api<K>, config: watcher::Config, change: fn(Event<K>) -> Change)
    where
        K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let events = watcher(api, config).backoff(ResetTimerBackoff::new(pauses(), QUIET));
        pin_mut!(events);
        loop {
            let event = if self.trouble.is_none() {
                events.next().await
            } else if let Ok(event) = timeout(QUIET, events.next()).await {
                event
            } else {
                // A watch that is open again says nothing until something changes; one that is not would have failed
                // again.
                self.tell(None).await;
                continue;
            };
            let open = match event {
                None => false,
                // Says that a list is about to be asked for, not that the server answers.
                Some(Ok(watcher::Event::Init)) => self.hand_over(change(Event::Begin)).await,
                Some(Ok(event)) => self.tell(None).await && self.hand_over(change(translate(event))).await,
                Some(Err(error)) if self.optional && is_absent(&error) => {
                    self.tell(None).await && self.hand_over(change(Event::Unavailable)).await
                }
                Some(Err(error)) => self.tell(Some(one_line(&error))).await,
            };
            if !open {
                return;
            }
        }
    }

    /// Returns whether somebody listens.
    async fn hand_over(&self, change: Change) -> bool {
        self.feed.push(Notice::changes(vec![change])).await
    }

    /// Tells how the source is, if it is not as it is known to be. Returns whether somebody listens.
    async fn tell(&mut self, reason: Option<String>) -> bool {
        if self.trouble == reason {
            return true;
        }
        let source = self.source;
        match &reason {
            Some(reason) => warn!("{source}: {reason}; what is known stays in force, tried again"),
            None => info!("{source}: followed again"),
        }
        self.trouble.clone_from(&reason);
        self.feed.push(Notice::Trouble { source, reason }).await
    }
}

fn pauses() -> watcher::ExponentialBackoff {
    let (shortest, longest) = PAUSES;
    let pauses = ExponentialBuilder::new()
        .with_min_delay(shortest)
        .with_max_delay(longest);
    pauses.without_max_times().with_jitter().into()
}

fn translate<K>(event: watcher::Event<K>) -> Event<K> {
    match event {
        watcher::Event::Init => Event::Begin,
        watcher::Event::InitApply(object) => Event::Listed(object),
        watcher::Event::InitDone => Event::End,
        watcher::Event::Apply(object) => Event::Set(object),
        watcher::Event::Delete(object) => Event::Gone(object),
    }
}

/// Whether the server says that it does not have the kind, or that we may not see it.
fn is_absent(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if matches!(status.code, 403 | 404))
}

/// An error and its causes as one line: of each that spans lines, such as a reader's with an excerpt, the first.
pub(super) fn one_line(error: &dyn std::error::Error) -> String {
    let first = |error: &dyn std::error::Error| error.to_string().lines().next().unwrap_or_default().to_owned();
    let mut line = first(error);
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = first(inner);
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = inner.source();
    }
    line
}
