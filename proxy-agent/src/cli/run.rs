//! `fairlead run`: from settings to threads and tasks, until a signal.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
};

use tokio::{
    runtime::{self, Runtime},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tracing::{error, info, warn};

use crate::{
    agent::{Agent, DataPath, Inbox},
    error::Error,
    health::{Health, serve},
    settings::{Settings, Source},
    watch::{Feed, api, manifests},
};

use super::RunArgs;

/// Threads for what is asynchronous: sources, answers. The agent itself has the main thread.
const WORKERS: usize = 1;
/// How many of the host's news may wait.
const NEWS: usize = 1024;

/// Works until SIGTERM or SIGINT. `open` makes the data path; it is given the settings, where to say what it counts, and
/// where to put the host's news.
///
/// # Errors
///
/// Whatever keeps it from beginning.
pub fn run<D, O>(args: &RunArgs, open: O) -> Result<ExitCode, Error>
where
    D: DataPath,
    O: FnOnce(&Settings, &Health, mpsc::Sender<D::News>) -> Result<D, Error>,
{
    let (settings, warnings) = Settings::of_run(args)?;
    for warning in warnings {
        warn!("{warning}");
    }
    one_arena();
    let runtime = runtime().map_err(|error| Error::Host(error.into()))?;
    let stop = signals(&runtime).map_err(|error| Error::Host(error.into()))?;
    let source = Prepared::new(&settings, &runtime)?;
    let health = Arc::new(Health::new(&settings.node));
    let (news, news_end) = mpsc::channel(NEWS);
    let data_path = open(&settings, &health, news)?;
    info!(node = settings.node.name, mode = ?settings.node.mode, state = %settings.data_path.state.display(), "begin");
    answers(&settings, &health, &runtime);
    let (feed, notices) = Feed::new();
    source
        .start(&settings.node.name, feed, &runtime)
        .map_err(|error| Error::Host(error.into()))?;
    let mut inbox = Inbox::new(runtime.handle().clone(), notices, news_end, stop);
    Agent::new(&settings.node, data_path, health).run(&mut inbox);
    info!("end; what is pinned goes on working");
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

/// Objects are read on one thread and dropped on another. With an arena of its own each thread would keep what it once
/// needed, and there is too little to allocate for them to be in each other's way.
fn one_arena() {
    // SAFETY: sets a number inside the allocator; no other thread runs yet.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
}

/// Says once when the process is asked to end.
fn signals(runtime: &Runtime) -> io::Result<mpsc::Receiver<()>> {
    let _entered = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = mpsc::channel(1);
    runtime.spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // Nobody listens any more if the agent has ended by itself.
        let _ = sender.send(()).await;
    });
    Ok(receiver)
}

/// A source whose settings are known to be usable.
enum Prepared {
    Server(api::Client),
    Folder(PathBuf),
}

impl Prepared {
    fn new(settings: &Settings, runtime: &Runtime) -> Result<Self, Error> {
        match &settings.source {
            Source::Manifests(folder) => {
                std::fs::read_dir(folder).map_err(|error| Error::file(folder, error))?;
                Ok(Prepared::Folder(folder.clone()))
            }
            Source::Kubeconfig(path) => runtime.block_on(api::client(Some(path))).map(Prepared::Server),
            Source::InCluster => runtime.block_on(api::client(None)).map(Prepared::Server),
        }
    }

    fn start(self, node: &str, feed: Feed, runtime: &Runtime) -> io::Result<()> {
        match self {
            Prepared::Server(client) => {
                let node = node.to_owned();
                runtime.spawn(async move { api::follow(client, &node, feed).await });
            }
            Prepared::Folder(folder) => {
                thread::Builder::new()
                    .name("manifests".to_owned())
                    .spawn(move || follow(&folder, &feed))?;
            }
        }
        Ok(())
    }
}

fn follow(folder: &Path, feed: &Feed) {
    if let Err(error) = manifests::follow(folder, feed) {
        error!("{}: {error}: changes of manifests are not followed", folder.display());
    }
}

fn answers(settings: &Settings, health: &Arc<Health>, runtime: &Runtime) {
    if let Some(address) = settings.healthz {
        runtime.spawn(serve::healthz(Arc::clone(health), address));
    }
    if let Some(address) = settings.metrics {
        runtime.spawn(serve::metrics(Arc::clone(health), address));
    }
    let (health, state) = (Arc::clone(health), settings.data_path.state.clone());
    runtime.spawn(async move { serve::status(health, &state).await });
}
