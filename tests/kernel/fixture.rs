//! A node for one test: a network namespace of the test's own thread, and pins and a cgroup of its own.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use nix::sched::{CloneFlags, unshare};
use proxy_agent::{
    agent::{DataPath as _, Failure},
    apply::KernelPath,
    cli::{CapacityArgs, SocketLb},
    datapath::{Pins, requirements},
    desired::Changes,
    host::HostFacts,
    settings::DataPathSettings,
};
use tests::wait;

/// What one test may do to its node.
pub(crate) struct Node {
    /// How the data path is set up.
    pub(crate) settings: DataPathSettings,
}

/// How long something may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(20);

impl Node {
    /// Moves the thread into a new network namespace.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "fairlead-kernel-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        let cgroup = requirements::cgroup(None).expect("cgroup v2").join(&name);
        fs::create_dir(&cgroup).expect("a cgroup");
        let settings = DataPathSettings {
            state: PathBuf::from("/sys/fs/bpf").join(&name),
            socket_lb: SocketLb::Auto,
            cgroup: Some(cgroup),
            capacities: CapacityArgs {
                max_flows: Some(1_024),
                ..CapacityArgs::default()
            },
            own_ports: Vec::new(),
            unsafe_no_grace: false,
            log_packets: false,
        };
        Node { settings }
    }

    /// Its pins.
    pub(crate) fn pins(&self) -> Pins {
        Pins::new(&self.settings.state)
    }

    /// A data path that hears no news.
    pub(crate) fn open(&self) -> KernelPath {
        KernelPath::open(&self.settings, |_| true).expect("a data path")
    }

    /// A data path and its news.
    pub(crate) fn open_with_news(&self) -> (KernelPath, std::sync::mpsc::Receiver<HostFacts>) {
        let (tell, news) = std::sync::mpsc::channel();
        let path = KernelPath::open(&self.settings, move |facts| tell.send(facts).is_ok());
        (path.expect("a data path"), news)
    }

    /// Runs `ip` in the test's namespace and returns what it says.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        run("ip", arguments)
    }

    /// Makes another network namespace, known by the returned name.
    pub(crate) fn namespace(&self) -> String {
        let name = format!("{}-other", self.name());
        self.ip(&format!("netns add {name}"));
        name
    }

    fn name(&self) -> String {
        self.settings
            .state
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// Makes a pair of devices whose one end bears the name, and returns its interface index.
    pub(crate) fn device(&self, name: &str) -> u32 {
        self.ip(&format!("link add {name} type veth peer name {name}p"));
        index(name)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.settings.state).unwrap_or_default();
        // There is one only if the test has asked for it.
        let _ = Command::new("ip")
            .args(["netns", "del", &format!("{}-other", self.name())])
            .output();
        if let Some(cgroup) = &self.settings.cgroup {
            fs::remove_dir(cgroup).unwrap_or_default();
        }
    }
}

/// The interface index of a device of the test's namespace.
pub(crate) fn index(name: &str) -> u32 {
    nix::net::if_::if_nametoindex(name).expect("a device")
}

/// Runs a command and returns what it says.
pub(crate) fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program)
        .args(arguments.split_whitespace())
        .output()
        .expect(program);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments}: {text}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait::until_true(what, PATIENCE, || Ok(is_so())).expect(what);
}

/// Hands changes to a data path that must take them all.
pub(crate) fn apply(path: &mut KernelPath, changes: &Changes) {
    let failures: Vec<Failure> = path.apply(changes);
    assert_eq!(failures, []);
}
