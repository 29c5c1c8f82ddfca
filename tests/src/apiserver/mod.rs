//! A real API server over a real etcd, in the router's namespace or in one of its own: the nodes reach it over their own
//! network, and no socket hook of a node is in its way.

mod programs;
mod planted;
mod credentials;
mod client;
mod object;
mod door;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cluster::{Lone, Place, World};
use crate::manifests::{Service, node};
use crate::plan;
use crate::process::{Process, tail};
use crate::wait;
use client::Requests;
use credentials::Credentials;

pub use door::Door;
pub(crate) use programs::binary;

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(60);

/// etcd and kube-apiserver. Dropping it kills both.
#[derive(Debug)]
pub struct ApiServer {
    // First, so that no request outlives the server.
    requests: Requests,
    server: Option<Process>,
    etcd: Process,
    place: Arc<Place>,
    folder: PathBuf,
    credentials: Credentials,
    // Last, so that both have ended before.
    _lone: Option<Lone>,
}

impl ApiServer {
    /// Starts both, waits until they answer, and creates the Nodes of the world.
    ///
    /// # Errors
    /// When a program is missing, or does not answer within a minute.
    pub fn start(world: &World) -> Result<Self> {
        let api = Self::start_at(Arc::clone(&world.router), None, None)?;
        api.put_nodes(world)?;
        Ok(api)
    }

    /// Starts both in a namespace of their own, for the worlds that [`ApiServer::join`] it, and waits until they answer.
    ///
    /// # Errors
    /// As [`ApiServer::start`].
    pub fn shared() -> Result<Self> {
        Self::shared_with(None)
    }

    /// The same with what [`ApiServer::store_with`] has put into a folder.
    ///
    /// # Errors
    /// As [`ApiServer::start`].
    pub fn shared_with(stored: Option<&Path>) -> Result<Self> {
        let lone = Lone::build("api")?;
        let place = lone.shared();
        // The address by which every world knows the server, so that one kubeconfig and one certificate serve all.
        place.netns().ip(&format!("addr add {}/32 dev lo", plan::router().v4))?;
        Self::start_at(place, Some(lone), stored)
    }

    /// Puts Services and EndpointSlices that do not exist yet where the server keeps them, which takes seconds for many;
    /// ends both and copies what etcd holds to a folder that does not exist yet.
    ///
    /// # Errors
    /// When an object is of another kind, etcd refuses one or does not end in time, or the folder cannot be made.
    pub fn store_with(mut self, objects: impl IntoIterator<Item = Value>, to: &Path) -> Result<()> {
        // It would take an address for lost that it hears of before it hears of its Service.
        self.crash()?;
        planted::plant(&self.place, objects)?;
        self.etcd.signal(Signal::SIGTERM)?;
        self.etcd.wait(START)?;
        programs::copy(&programs::data(&self.folder), to)
    }

    /// Makes a shared server reachable in a world, where it would be if it ran there, and creates the world's Nodes.
    ///
    /// # Errors
    /// When the address is taken, or what the server says against a Node.
    pub fn join(&self, world: &World) -> Result<Door> {
        let door = self.requests.open_door(&world.router)?;
        self.put_nodes(world)?;
        Ok(door)
    }

    fn put_nodes(&self, world: &World) -> Result<()> {
        world.nodes.iter().try_for_each(|of| self.put(&node(of)))
    }

    fn start_at(place: Arc<Place>, lone: Option<Lone>, stored: Option<&Path>) -> Result<Self> {
        let folder = place.folder().join("apiserver");
        fs::create_dir(&folder).with_context(|| format!("{}", folder.display()))?;
        let credentials = Credentials::make(&folder)?;
        if let Some(stored) = stored {
            programs::copy(stored, &programs::data(&folder))?;
        }
        let etcd = place.start("etcd", &mut programs::etcd(&folder)?)?;
        let mut api = Self {
            requests: Requests::new(&place)?,
            server: None,
            etcd,
            place,
            folder,
            credentials,
            _lone: lone,
        };
        api.resume()?;
        Ok(api)
    }

    /// The file that tells an agent where the server is and how to be let in.
    pub fn kubeconfig(&self) -> PathBuf {
        self.credentials.kubeconfig()
    }

    /// Starts the server again after [`ApiServer::crash`], and waits until it answers.
    ///
    /// # Errors
    /// When it does not answer within a minute: then with the end of its log.
    pub fn resume(&mut self) -> Result<()> {
        let mut command = programs::kube_apiserver(&self.folder, &self.credentials)?;
        let server = self.server.insert(self.place.start("kube-apiserver", &mut command)?);
        let (credentials, requests) = (&self.credentials, &mut self.requests);
        wait::until("the API server is ready", START, || {
            if let Some(status) = server.ended() {
                return Ok(Some(Err(anyhow::anyhow!("kube-apiserver ended with {status}"))));
            }
            // It writes its certificate when it starts for the first time.
            credentials.write_kubeconfig()?;
            requests.connect(&credentials.kubeconfig())?;
            requests.ready()?;
            Ok(Some(Ok(())))
        })
        .and_then(|ended| ended)
        .with_context(|| format!("the end of its log: {}", tail(&server.log(), 20)))
    }

    /// Kills the server with SIGKILL; etcd stays.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub fn crash(&mut self) -> Result<()> {
        self.server.take().context("kube-apiserver does not run")?.crash()
    }

    /// Stops the server's process: its connections stay and say nothing.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets a stopped server go on, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)?;
        wait::until("the API server is ready again", START, || {
            self.requests.ready().map(Some)
        })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let server = self.server.as_ref().context("kube-apiserver does not run")?;
        server.signal(signal)
    }

    /// Creates an object, or gives one that exists these fields; its status too, if it has one.
    ///
    /// # Errors
    /// What the server says against it.
    pub fn put(&self, object: &Value) -> Result<()> {
        self.requests.put(object)
    }

    /// Creates many objects that do not exist yet, 32 requests at a time.
    ///
    /// # Errors
    /// What the server says against the first that it refuses.
    pub fn create_all(&self, objects: impl IntoIterator<Item = Value>) -> Result<()> {
        self.requests.create_all(objects.into_iter().collect())
    }

    /// Merges fields into an object (RFC 7386) that `name` names by kind, namespace and name. Returns the object.
    ///
    /// # Errors
    /// What the server says against it.
    pub fn patch(&self, name: &Value, fields: Value) -> Result<Value> {
        self.requests.patch(name, fields)
    }

    /// Deletes the object that `name` names by kind, namespace and name.
    ///
    /// # Errors
    /// When there is none.
    pub fn delete(&self, name: &Value) -> Result<()> {
        self.requests.delete(name)
    }

    /// The object that `name` names by kind, namespace and name.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &Value) -> Result<Value> {
        self.requests.get(name)
    }

    /// All objects of an example's kind in its namespace.
    ///
    /// # Errors
    /// When the server does not tell.
    pub fn list(&self, example: &Value) -> Result<Vec<Value>> {
        self.requests.list(example)
    }

    /// Creates or changes a Service and its EndpointSlices.
    ///
    /// # Errors
    /// What the server says against it.
    pub fn put_service(&self, service: &Service) -> Result<()> {
        service.objects().iter().try_for_each(|object| self.put(object))
    }

    /// Deletes a Service and its EndpointSlices.
    ///
    /// # Errors
    /// When one is not there.
    pub fn delete_service(&self, service: &Service) -> Result<()> {
        service.objects().iter().try_for_each(|object| self.delete(object))
    }

    /// The memory of etcd and the server is theirs; this is where their logs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
