//! What each floor needs and runs.

use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use super::libtest;
use super::tally::Tally;
use crate::setup::{self, Group};
use crate::{build, deny, process, tidy, vm, workspace};

/// A floor of tests: what can be shown with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Floor {
    /// Unit, property and table tests of the pure parts; formatting, lints
    Host,
    /// Every program through the verifier, packets by test-run, parity with the host build
    Kernel,
    /// Real sockets between network namespaces
    Netns,
    /// A real kube-apiserver and etcd
    Cluster,
    /// What other kernels change of the kernel and netns floors; SCTP, bonds and tunnels, which not every kernel has
    Vm,
}

/// The packages whose own tests are the host floor.
const HOST_TESTS: [&str; 4] = ["proxy-common", "proxy-ebpf", "proxy-agent", "xtask"];

/// What brings the test support of packages to other packages' tests.
const TEST_FEATURES: &str = "proxy-common/user,proxy-ebpf/testing";

impl Floor {
    /// The floors of `cargo xtask test` without a name, the cheapest first.
    pub(super) const ALL: [Self; 5] = [Self::Host, Self::Kernel, Self::Netns, Self::Cluster, Self::Vm];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Kernel => "kernel",
            Self::Netns => "netns",
            Self::Cluster => "cluster",
            Self::Vm => "vm",
        }
    }

    /// What must be set up for it.
    pub(super) fn groups(self) -> &'static [Group] {
        match self {
            Self::Host => &[Group::Build, Group::Checks],
            Self::Kernel | Self::Netns => &[Group::Build, Group::Netns],
            Self::Cluster => &[Group::Build, Group::Netns, Group::Cluster],
            Self::Vm => &[Group::Build, Group::Netns, Group::Vm],
        }
    }

    /// Tests that run at once.
    fn threads(self) -> usize {
        match self {
            // As many as the smallest machine this is made for has cores: the tests wait for each other otherwise.
            Self::Host | Self::Kernel => 2,
            // Each test moves real traffic through its own namespaces; more of them at once time out on two cores.
            Self::Netns => 2,
            // Each test has an API server and etcd of its own, which take both cores while they start.
            Self::Cluster => 1,
            // As many as the machine has processors.
            Self::Vm => vm::PROCESSORS,
        }
    }

    /// Runs the floor; everything that happens, and every reason why not, is in the tally.
    pub(super) fn run(self, filter: Option<&str>, tally: &mut Tally) {
        let result = match self {
            Self::Host => host(filter, tally),
            Self::Kernel | Self::Netns | Self::Cluster => self.integration(filter, tally),
            Self::Vm => build::agent().and_then(|()| vm::run(filter, tally)),
        };
        if let Err(error) = result {
            tally.fail(format!("cannot run: {error:#}"));
        }
    }

    /// A test target of the tests crate, against the agent as it would be installed.
    fn integration(self, filter: Option<&str>, tally: &mut Tally) -> Result<()> {
        if !process::is_root() {
            anyhow::bail!("programs and namespaces need root");
        }
        build::agent()?;
        let mut command = cargo();
        command
            .args(["test", "--package", "tests", "--test", self.name(), "--"])
            .args(filter);
        command
            .arg(format!("--test-threads={}", self.threads()))
            .env("FAIRLEAD", workspace::agent());
        if self == Self::Cluster {
            command.env("FAIRLEAD_CLUSTER_BIN", setup::cluster_folder()?);
        }
        libtest::run(&mut command, tally)
    }
}

fn host(filter: Option<&str>, tally: &mut Tally) -> Result<()> {
    let mut pure = cargo();
    pure.args(["test", "--no-fail-fast", "--features", TEST_FEATURES]);
    pure.args(HOST_TESTS.iter().flat_map(|name| ["--package", name]));
    libtest::run(pure.arg("--").args(filter), tally)?;
    // Of the tests crate only what needs no kernel: its support's own tests.
    libtest::run(
        cargo().args(["test", "--package", "tests", "--lib", "--"]).args(filter),
        tally,
    )?;
    if filter.is_none() {
        tally.check("tidy", tidy::check());
        tally.check("cargo fmt", process::run(cargo().args(["fmt", "--check"])));
        let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        tally.check("cargo clippy", process::run(cargo().args(clippy)));
        tally.check("cargo deny: licences, bans, sources", deny::check());
        match deny::check_advisories() {
            Some(result) => tally.check("cargo deny: advisories", result),
            None => tally.note("cargo deny: advisories were not checked: RustSec's database cannot be reached"),
        }
    }
    Ok(())
}

fn cargo() -> Command {
    let mut cargo = process::cargo();
    cargo.current_dir(workspace::root());
    cargo
}
