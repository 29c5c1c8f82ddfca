//! What is wanted at one moment, for commands that compare or explain.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use tokio::time::{Instant, timeout_at};

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
    let changes = objects.wanted().unwrap_or_default();
    Ok((changes, objects.take_refusals()))
}

fn from_server(
    kubeconfig: Option<&std::path::PathBuf>,
    settings: &NodeSettings,
    objects: &mut Objects,
    patience: Duration,
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Host(error.into()))?;
    runtime.block_on(async {
        let client = api::client(kubeconfig.map(std::path::PathBuf::as_path)).await?;
        let deadline = Instant::now() + patience;
        let (feed, mut notices) = Feed::new();
        let mut last = "no answer".to_owned();
        let listen = async {
            while let Some(notice) = notices.recv().await {
                match notice {
                    Notice::Changes(changes) => changes.into_iter().for_each(|change| objects.take(change)),
                    Notice::Trouble { reason, .. } => {
                        if let Some(reason) = reason {
                            last = reason;
                        }
                    }
                }
                if objects.is_complete() {
                    return true;
                }
            }
            false
        };
        let name = settings.name.clone();
        let complete = tokio::select! {
            complete = timeout_at(deadline, listen) => complete.unwrap_or(false),
            () = api::follow(client, &name, feed) => false,
        };
        if complete {
            Ok(())
        } else {
            Err(Error::Failed(anyhow::anyhow!("the API server: {last}")))
        }
    })
}
