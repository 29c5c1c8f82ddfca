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
    object::{EndpointSlice, LABEL_HEADLESS, LABEL_PROXY_NAME, Node, Service, ServiceCidr},
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
    let ours = || all().labels(&format!("!{LABEL_PROXY_NAME},!{LABEL_HEADLESS}"));
    let this_node = all().fields(&format!("metadata.name={node}"));
    tokio::join!(
        kind::<Service>(
            "services",
            Api::all(client.clone()),
            ours(),
            &feed,
            Change::Service,
            false
        ),
        kind::<EndpointSlice>(
            "endpointslices",
            Api::all(client.clone()),
            ours(),
            &feed,
            Change::Slice,
            false
        ),
        kind::<Node>("nodes", Api::all(client.clone()), this_node, &feed, Change::Node, true),
        kind::<ServiceCidr>(
            "servicecidrs",
            Api::all(client),
            all(),
            &feed,
            Change::ServiceCidr,
            true
        ),
    );
}

/// Follows one kind. `optional`: the agent can do without it where the server does not have it or does not show it.
async fn kind<K>(
    source: &'static str,
    api: Api<K>,
    config: watcher::Config,
    feed: &Feed,
    change: fn(Event<K>) -> Change,
    optional: bool,
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let pauses = ResetTimerBackoff::new(pauses(), QUIET);
    let events = watcher(api, config).backoff(pauses);
    pin_mut!(events);
    let mut known = None;
    loop {
        let event = if known.is_none() {
            events.next().await
        } else if let Ok(event) = timeout(QUIET, events.next()).await {
            event
        } else {
            // A watch that is open again says nothing until something changes; one that is not would have failed again.
            tell(source, None, &mut known, feed).await;
            continue;
        };
        let Some(event) = event else {
            return;
        };
        let open = match event {
            // Says that a list is about to be asked for, not that the server answers.
            Ok(watcher::Event::Init) => feed.push(Notice::Changes(vec![change(Event::Begin)])).await,
            Ok(event) => {
                tell(source, None, &mut known, feed).await
                    && feed.push(Notice::Changes(vec![change(translate(event))])).await
            }
            Err(error) if optional && is_absent(&error) => {
                tell(source, None, &mut known, feed).await
                    && feed.push(Notice::Changes(vec![change(Event::Unavailable)])).await
            }
            Err(error) => tell(source, Some(one_line(&error)), &mut known, feed).await,
        };
        if !open {
            return;
        }
    }
}

fn pauses() -> watcher::ExponentialBackoff {
    let (shortest, longest) = PAUSES;
    let pauses = ExponentialBuilder::new()
        .with_min_delay(shortest)
        .with_max_delay(longest);
    pauses.without_max_times().with_jitter().into()
}

/// Tells how a source is, if it is not as it is known to be. Returns whether somebody listens.
async fn tell(source: &'static str, reason: Option<String>, known: &mut Option<String>, feed: &Feed) -> bool {
    if *known == reason {
        return true;
    }
    match &reason {
        Some(reason) => warn!("{source}: {reason}; what is known stays in force, tried again"),
        None => info!("{source}: followed again"),
    }
    known.clone_from(&reason);
    feed.push(Notice::Trouble { source, reason }).await
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
fn one_line(error: &dyn std::error::Error) -> String {
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
