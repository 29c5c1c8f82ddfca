//! Requests to the server, made in its namespace.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::door::Door;
use super::object::{admissible, find};
use crate::cluster::Place;

/// Requests under way at once, where there are many.
const AT_ONCE: usize = 32;
const WORKERS: usize = 2;

/// Who owns the fields that tests set.
const MANAGER: &str = "tests";

/// A client whose threads are in the server's namespace.
#[derive(Debug)]
pub(super) struct Requests {
    runtime: Runtime,
    client: Option<Ready>,
}

/// [`Client`] does not say how it looks.
struct Ready(Client);

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Requests {
    pub(super) fn new(place: &Place) -> Result<Self> {
        let netns = Arc::new(place.netns().handle().try_clone_to_owned()?);
        let enter = move || {
            if let Err(error) = setns(&*netns, CloneFlags::CLONE_NEWNET) {
                panic!("the API server's namespace cannot be entered: {error}");
            }
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .on_thread_start(enter)
            .enable_all()
            .build()?;
        Ok(Self { runtime, client: None })
    }

    /// Takes up what a kubeconfig says. No connection is made yet.
    pub(super) fn connect(&mut self, kubeconfig: &Path) -> Result<()> {
        let read = Kubeconfig::read_from(kubeconfig)?;
        let client = self.run(async move {
            let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
            Ok(Client::try_from(config)?)
        })?;
        self.client = Some(Ready(client));
        Ok(())
    }

    /// Whether the server answers and can give Services their addresses.
    pub(super) fn ready(&self) -> Result<()> {
        let client = self.client()?;
        // The namespace is made by the server itself once it is up.
        let name = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "kubernetes", "namespace": "default" } });
        self.run(async move {
            let (api, name) = find(&client, &name)?;
            api.get(&name).await?;
            // Where it has been before that is there at once, but what it gives addresses from is not.
            let service = json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": { "name": "none", "namespace": "default" },
                "spec": { "ipFamilyPolicy": "RequireDualStack", "ports": [{ "port": 80 }] },
            });
            let only_tried = PostParams {
                dry_run: true,
                ..PostParams::default()
            };
            api.create(&only_tried, &serde_json::from_value(service)?).await?;
            Ok(())
        })
    }

    pub(super) fn put(&self, object: &Value) -> Result<()> {
        let client = self.client()?;
        let (object, status) = admissible(object);
        self.run(async move {
            let (api, name) = find(&client, &object)?;
            let what = || format!("{name}: applying it");
            let parameters = PatchParams::apply(MANAGER).force();
            api.patch(&name, &parameters, &Patch::Apply(&object))
                .await
                .with_context(what)?;
            if let Some(status) = status {
                let status = Patch::Merge(json!({ "status": status }));
                api.patch_status(&name, &PatchParams::default(), &status)
                    .await
                    .with_context(what)?;
            }
            Ok(())
        })
    }

    pub(super) fn create_all(&self, objects: Vec<Value>) -> Result<()> {
        let client = self.client()?;
        self.run(async move {
            let create = |object: Value| {
                let client = client.clone();
                async move {
                    let (api, name) = find(&client, &object)?;
                    let object: DynamicObject = serde_json::from_value(admissible(&object).0)?;
                    api.create(&PostParams::default(), &object)
                        .await
                        .with_context(|| format!("{name}: creating it"))?;
                    Ok(())
                }
            };
            let done = stream::iter(objects).map(create).buffer_unordered(AT_ONCE);
            done.try_collect::<Vec<()>>().await.map(drop)
        })
    }

    pub(super) fn patch(&self, name: &Value, fields: Value) -> Result<Value> {
        let (client, named) = (self.client()?, name.clone());
        self.run(async move {
            let (api, name) = find(&client, &named)?;
            let patched = api.patch(&name, &PatchParams::default(), &Patch::Merge(fields)).await;
            Ok(serde_json::to_value(
                patched.with_context(|| format!("{name}: patching it"))?,
            )?)
        })
    }

    pub(super) fn delete(&self, name: &Value) -> Result<()> {
        let (client, named) = (self.client()?, name.clone());
        self.run(async move {
            let (api, name) = find(&client, &named)?;
            let deleted = api.delete(&name, &DeleteParams::default()).await;
            deleted.map(drop).with_context(|| format!("{name}: deleting it"))
        })
    }

    pub(super) fn get(&self, name: &Value) -> Result<Value> {
        let (client, named) = (self.client()?, name.clone());
        self.run(async move {
            let (api, name) = find(&client, &named)?;
            Ok(serde_json::to_value(api.get(&name).await?)?)
        })
    }

    pub(super) fn list(&self, example: &Value) -> Result<Vec<Value>> {
        let (client, example) = (self.client()?, example.clone());
        self.run(async move {
            let (api, _) = find(&client, &example)?;
            let items = api.list(&ListParams::default()).await?.items;
            Ok(items.iter().map(serde_json::to_value).collect::<Result<_, _>>()?)
        })
    }

    /// Lets the processes of another place connect to the server at its address.
    pub(super) fn open_door(&self, place: &Place) -> Result<Door> {
        Door::open(&self.runtime, place)
    }

    fn client(&self) -> Result<Client> {
        let ready = self.client.as_ref().context("the API server has not been started")?;
        Ok(ready.0.clone())
    }

    /// Runs `work` on the runtime's threads: a connection is made where its future is polled.
    fn run<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let task = self.runtime.spawn(work);
        self.runtime
            .block_on(task)
            .map_err(|error| anyhow!("a request: {error}"))?
    }
}
