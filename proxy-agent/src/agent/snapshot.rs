//! What is wanted at one moment, for commands that compare or explain.

use std::{collections::BTreeSet, net::IpAddr, path::Path, time::Duration};

use tokio::{runtime::Builder, sync::mpsc::Receiver, time::timeout};

use crate::{
    desired::Changes,
    error::Error,
    settings::{NodeSettings, Source},
    watch::{Feed, Notice, api, manifests},
};

use super::Objects;

/// Everything that is wanted on a node with these addresses, and a line about each refusal. Blocks.
///
/// # Errors
///
/// If the source cannot be read, or an API server does not answer in time.
pub fn snapshot(
    settings: &NodeSettings,
    source: &Source,
    addresses: BTreeSet<IpAddr>,
    patience: Duration,
) -> Result<(Changes, Vec<String>), Error> {
    let mut objects = Objects::new(settings);
    objects.set_node_addresses(addresses);
    match source {
        Source::Manifests(folder) => {
            let mut take = |changes: Vec<_>| changes.into_iter().for_each(|change| objects.take(change));
            manifests::read_once(folder, &mut take).map_err(|error| Error::file(folder, error))?;
        }
        Source::Kubeconfig(path) => from_server(Some(path), settings, &mut objects, patience)?,
        Source::InCluster => from_server(None, settings, &mut objects, patience)?,
    }
    let mut all = Changes::default();
    while let Some(part) = objects.wanted() {
        all.services.extend(part.services);
        all.addresses.extend(part.addresses);
        all.node = part.node.or(all.node);
        all.complete = part.complete;
    }
    Ok((all, objects.take_refusals()))
}

fn from_server(
    kubeconfig: Option<&Path>,
    settings: &NodeSettings,
    objects: &mut Objects,
    patience: Duration,
) -> Result<(), Error> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::Host(error.into()))?.block_on(async {
        let client = api::client(kubeconfig).await?;
        let (feed, notices) = Feed::new();
        let mut last = "no answer".to_owned();
        let complete = tokio::select! {
            complete = timeout(patience, listen(notices, objects, &mut last)) => complete.unwrap_or(false),
            () = api::follow(client, &settings.name, feed) => false,
        };
        if complete {
            Ok(())
        } else {
            Err(Error::Failed(anyhow::anyhow!("the API server: {last}")))
        }
    })
}

/// Takes in what comes until everything is known; `last` is the last trouble. Returns whether everything is.
async fn listen(mut notices: Receiver<Notice>, objects: &mut Objects, last: &mut String) -> bool {
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::Changes { changes, .. } => changes.into_iter().for_each(|change| objects.take(change)),
            Notice::Trouble { source, reason } => {
                if let Some(reason) = reason {
                    *last = format!("{source}: {reason}");
                }
            }
        }
        if objects.is_complete() {
            return true;
        }
    }
    false
}
