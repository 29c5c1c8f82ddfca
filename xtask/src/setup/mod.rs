//! `cargo xtask setup`: finds what the machine lacks, says what it will install, installs it.
//!
//! A command asks only for the groups it needs. Looking costs milliseconds, so a second run is a no-op.

mod apt;
mod tools;
mod go;
mod cluster;
mod kernels;
pub(crate) mod ebpf;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use clap::ValueEnum;

pub(crate) use apt::programs;
pub(crate) use cluster::folder as cluster_folder;
pub(crate) use kernels::{Kernel, SERIES as KERNELS, busybox, kernel};

/// What a command needs of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Group {
    /// Compilers and linkers for the agent and for the kernel programs
    Build,
    /// Real servers and clients, and the tools that make network namespaces
    Netns,
    /// etcd, kube-apiserver and kube-proxy, built from their Go modules
    Cluster,
    /// perf, with which the comparison looks into the kernel where something is lost
    Profile,
    /// QEMU, and Debian's cloud kernels to boot in it
    Vm,
    /// cargo-deny, for licences and advisories
    Checks,
}

/// Something that is missing and how to get it.
struct Step {
    group: Group,
    /// What it is and what it costs, as the user reads it.
    what: String,
    install: Box<dyn FnOnce() -> Result<()>>,
}

/// What the asked-for groups lack.
struct Plan {
    packages: Vec<apt::Missing>,
    steps: Vec<Step>,
}

/// Why a group is not ready, one reason for each that is not.
pub(crate) type Failures = BTreeMap<Group, String>;

/// Prepares for the named groups, or for all.
///
/// # Errors
/// What could not be installed, and why.
pub(crate) fn command(groups: &[Group]) -> Result<()> {
    require(if groups.is_empty() {
        Group::value_variants()
    } else {
        groups
    })?;
    println!("setup: everything is there");
    Ok(())
}

/// As [`ensure`], for a command that can do nothing without all of its groups.
///
/// # Errors
/// The reasons of the groups that are not ready.
pub(crate) fn require(groups: &[Group]) -> Result<()> {
    let failures = ensure(groups);
    if failures.is_empty() {
        return Ok(());
    }
    bail!(
        "set-up is not complete: {}",
        failures.into_values().collect::<Vec<_>>().join("; ")
    )
}

/// Installs what the groups lack and returns which of them are still not ready.
pub(crate) fn ensure(groups: &[Group]) -> Failures {
    let plan = plan(&groups.iter().copied().collect());
    announce(&plan);
    let mut failures = Failures::new();
    if let Err(error) = apt::install(&plan.packages) {
        for missing in &plan.packages {
            failures.entry(missing.group).or_insert_with(|| format!("{error:#}"));
        }
    }
    for step in plan.steps {
        if failures.contains_key(&step.group) {
            continue;
        }
        println!("setup: {}", step.what);
        if let Err(error) = (step.install)() {
            failures.insert(step.group, format!("{error:#}"));
        }
    }
    failures
}

fn plan(groups: &BTreeSet<Group>) -> Plan {
    let mut steps = Vec::new();
    for &group in groups {
        steps.extend(tools::missing(group));
        match group {
            Group::Build => steps.extend(ebpf::missing()),
            Group::Cluster => {
                let sources = cluster::missing();
                steps.extend(go::missing().filter(|_| !sources.is_empty()));
                steps.extend(sources);
            }
            Group::Vm => steps.extend(kernels::missing()),
            Group::Netns | Group::Profile | Group::Checks => {}
        }
    }
    Plan {
        packages: apt::missing(groups),
        steps,
    }
}

fn announce(plan: &Plan) {
    if !plan.packages.is_empty() {
        let names: Vec<_> = plan.packages.iter().map(|missing| missing.package).collect();
        println!("setup will install these Debian packages: {}", names.join(" "));
    }
    for step in &plan.steps {
        println!("setup will do: {}", step.what);
    }
}
