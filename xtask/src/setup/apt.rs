//! Debian packages, each known by a program it brings: whoever has the program needs no package.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Group;
use crate::process;

/// A package that is not there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) group: Group,
    pub(super) package: &'static str,
}

/// Package and program, by group.
const PACKAGES: [(Group, &str, &str); 23] = [
    (Group::Build, "gcc", "cc"),
    (Group::Netns, "iproute2", "ip"),
    (Group::Netns, "nginx-light", "nginx"),
    (Group::Netns, "dnsmasq-base", "dnsmasq"),
    (Group::Netns, "bind9-dnsutils", "dig"),
    (Group::Netns, "curl", "curl"),
    (Group::Netns, "wrk", "wrk"),
    (Group::Netns, "iperf3", "iperf3"),
    (Group::Netns, "nftables", "nft"),
    (Group::Netns, "iptables", "iptables"),
    (Group::Netns, "conntrack", "conntrack"),
    (Group::Netns, "tcpdump", "tcpdump"),
    (Group::Netns, "ethtool", "ethtool"),
    (Group::Netns, "iputils-ping", "ping"),
    (Group::Netns, "arping", "arping"),
    (Group::Netns, "ndisc6", "ndisc6"),
    (Group::Netns, "traceroute", "traceroute"),
    (Group::Netns, "kmod", "modprobe"),
    (Group::Cluster, "unzip", "unzip"),
    (Group::Cluster, "ipset", "ipset"),
    (Group::Profile, "linux-perf", "perf"),
    (Group::Vm, "qemu-system-x86", "qemu-system-x86_64"),
    (Group::Vm, "xz-utils", "xz"),
];

/// The packages of these groups whose programs are nowhere.
pub(super) fn missing(groups: &BTreeSet<Group>) -> Vec<Missing> {
    let wanted = PACKAGES.iter().filter(|(group, _, _)| groups.contains(group));
    wanted
        .filter(|(_, _, program)| process::find(program).is_none() && is_of_use(program))
        .map(|&(group, package, _)| Missing { group, package })
        .collect()
}

/// A tool for something that the kernel does not have is of no use.
fn is_of_use(program: &str) -> bool {
    program != "ipset" || process::output(Command::new("modprobe").args(["--dry-run", "--quiet", "ip_vs"])).is_ok()
}

/// The programs of a group.
pub(crate) fn programs(group: Group) -> impl Iterator<Item = &'static str> {
    PACKAGES
        .iter()
        .filter(move |(of, _, _)| *of == group)
        .map(|(_, _, program)| *program)
}

/// Installs packages; nothing at all if there are none.
///
/// # Errors
/// No apt-get, not root, or apt-get's failure.
pub(super) fn install(missing: &[Missing]) -> Result<()> {
    let names: Vec<_> = missing.iter().map(|missing| missing.package).collect();
    install_named(&names)
}

/// Installs packages by name.
///
/// # Errors
/// As [`install`].
pub(super) fn install_named(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if process::find("apt-get").is_none() {
        bail!("{names}: missing, and there is no apt-get here; install them by hand");
    }
    if !process::is_root() {
        bail!("{names}: missing, and only root can install them");
    }
    let _no_services = NoServices::declare()?;
    // An archive that does not answer need not be the one that has the packages: the installation will tell.
    if let Err(error) = process::run(apt_get().arg("update")) {
        println!("setup: {error:#}");
    }
    process::run(
        apt_get()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )
}

/// Asks the archives what they have.
///
/// # Errors
/// Not root, or apt-get's failure.
pub(super) fn update() -> Result<()> {
    if !process::is_root() {
        bail!("apt-get update: only root can ask the archives what they have");
    }
    process::run(apt_get().arg("update"))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// While this lives, packages do not start their services: an nginx on the machine's port 80 was not asked for.
///
/// `policy-rc.d` is what Debian's package scripts ask (invoke-rc.d(8)); an administrator's own is left alone.
struct NoServices(Option<PathBuf>);

impl NoServices {
    fn declare() -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let policy = Path::new("/usr/sbin/policy-rc.d");
        if policy.exists() {
            return Ok(Self(None));
        }
        let write = || {
            fs::write(policy, "#!/bin/sh\nexit 101\n")?;
            fs::set_permissions(policy, fs::Permissions::from_mode(0o755))
        };
        write().with_context(|| format!("{}: cannot be written", policy.display()))?;
        Ok(Self(Some(policy.to_owned())))
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = &self.0
            && let Err(error) = fs::remove_file(policy)
        {
            eprintln!("setup: {}: cannot be removed: {error}", policy.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_was_not_asked_for_is_not_looked_at() {
        assert_eq!(missing(&BTreeSet::new()), []);
    }

    #[test]
    fn a_package_is_listed_once() {
        let names: BTreeSet<_> = PACKAGES.iter().map(|(_, package, _)| package).collect();
        assert_eq!(names.len(), PACKAGES.len());
    }

    #[test]
    fn nothing_missing_needs_neither_apt_nor_root() {
        install(&[]).unwrap();
    }
}
