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
    watch::{
        Feed, api,
        events::{self, Events, Incident, Outcome},
        manifests,
    },
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
    let events = source.events(&settings.node.name, &health, &runtime);
    answers(&settings, &health, &events, &runtime);
    let (feed, notices) = Feed::new();
    source
        .start(&settings.node.name, feed, &runtime)
        .map_err(|error| Error::Host(error.into()))?;
    let mut inbox = Inbox::new(runtime.handle().clone(), notices, news_end, stop);
    Agent::new(&settings.node, data_path, health)
        .telling(events)
        .run(&mut inbox);
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

    /// Where to tell what is wrong with objects: nowhere, if there is no server.
    fn events(&self, node: &str, health: &Arc<Health>, runtime: &Runtime) -> Events {
        let Prepared::Server(client) = self else {
            return Events::default();
        };
        let (events, incidents) = Events::new();
        let note = format!("Fairlead {} begins", env!("CARGO_PKG_VERSION"));
        if !events.tell(Incident::of_node(node, "Starting", note, false)) {
            health.metrics.event(Outcome::Lost);
        }
        let (client, node, health) = (client.clone(), node.to_owned(), Arc::clone(health));
        runtime.spawn(async move {
            events::write(client, node, incidents, |outcome| health.metrics.event(outcome)).await;
        });
        events
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

fn answers(settings: &Settings, health: &Arc<Health>, events: &Events, runtime: &Runtime) {
    if let Some(address) = settings.healthz {
        runtime.spawn(serve::healthz(Arc::clone(health), address, events.clone()));
    }
    if let Some(address) = settings.metrics {
        runtime.spawn(serve::metrics(Arc::clone(health), address, events.clone()));
    }
    let (health, state) = (Arc::clone(health), settings.data_path.state.clone());
    runtime.spawn(async move { serve::status(health, &state).await });
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::IpAddr};

    use clap::Parser as _;
    use rstest::rstest;

    use super::*;
    use crate::{
        agent::Failure,
        cli::{Cli, Command},
        desired::Changes,
    };

    /// A data path that nobody has opened.
    #[derive(Debug)]
    enum Unopened {}

    impl DataPath for Unopened {
        type News = ();

        fn host_changed(&mut self, (): ()) -> Vec<Failure> {
            match *self {}
        }

        fn addresses(&self) -> BTreeSet<IpAddr> {
            match *self {}
        }

        fn apply(&mut self, _: &Changes) -> Vec<Failure> {
            match *self {}
        }

        fn idle(&mut self) -> Vec<Failure> {
            match *self {}
        }

        fn writes(&self) -> u64 {
            match *self {}
        }
    }

    const HEAD: &str = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

    /// What a file says that is there in the place of `FILE`.
    #[rstest]
    #[case::a_field(&["--manifests", "/", "--config", "FILE"], &format!("{HEAD}mode: fast"), "mode: \"fast\": ")]
    #[case::a_field_without_meaning(
        &["--manifests", "/", "--config", "FILE"], &format!("{HEAD}oomScoreAdj: 1001"), "oomScoreAdj: \"1001\": ")]
    #[case::no_configuration(&["--manifests", "/", "--config", "FILE"], "\t{", "")]
    #[case::a_flag(&["--manifests", "/", "--proxy-mode", "fast"], "", "--proxy-mode: \"fast\": ")]
    #[case::a_name(&["--manifests", "/", "--node-name", "a_b"], "", "--node-name: \"a_b\": ")]
    #[case::no_kubeconfig(&["--kubeconfig", "/nowhere"], "", "/nowhere: ")]
    #[case::a_kubeconfig_of_nothing(&["--kubeconfig", "FILE"], "clusters: 7", "")]
    #[case::no_manifests(&["--manifests", "/nowhere"], "", "/nowhere: ")]
    fn a_wrong_setting_ends_it_before_anything_is_touched(
        #[case] arguments: &[&str],
        #[case] file: &str,
        #[case] expected: &str,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file.yaml");
        std::fs::write(&path, file).expect("written");
        let path = path.to_str().expect("a path");
        let given = arguments.iter().map(|word| if *word == "FILE" { path } else { *word });
        let cli = Cli::try_parse_from(["fairlead", "run"].into_iter().chain(given)).expect("a command line");
        let Command::Run(args) = cli.command else {
            panic!("not run: {cli:?}");
        };
        let open = |_: &Settings, _: &Health, _: mpsc::Sender<()>| -> Result<Unopened, Error> {
            panic!("the data path is touched")
        };
        let error = run(&args, open).expect_err("wrong");
        assert_eq!(error.exit_code(), 2);
        let line = error.to_string();
        let begins = if expected.is_empty() { path } else { expected };
        assert!(line.contains(begins) && !line.contains('\n'), "{line}");
    }
}
