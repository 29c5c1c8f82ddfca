//! Kernels for the vm floor: Debian's cloud kernels, downloaded and unpacked into the cache folder, not installed.
//!
//! A kernel's folder holds `vmlinuz`, the modules of the network in `modules/`, and their index as modprobe reads it.

mod modules;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Group, Step, apt};
use crate::{process, workspace};

/// The kernels to try: the oldest and the newest of those that Debian 12 carries, one without tcx and one with it.
pub(crate) const SERIES: [&str; 2] = ["6.1", "6.12"];

/// Written last, so that a folder without it is made again; counts the layouts of the folder.
const STAMP: &str = "complete-1";

/// What a folder of a kernel holds.
pub(crate) struct Kernel {
    pub(crate) image: PathBuf,
    /// What belongs below `/lib/modules` of the machine that boots it.
    pub(crate) modules: PathBuf,
}

/// The kernel of a series; whether it is there is [`missing`]'s business.
///
/// # Errors
/// There is no cache folder ([`workspace::cache`]).
pub(crate) fn kernel(series: &str) -> Result<Kernel> {
    let folder = folder(series)?;
    Ok(Kernel {
        image: folder.join("vmlinuz"),
        modules: folder.join("modules"),
    })
}

/// A shell and the small tools that start a machine, linked statically.
///
/// # Errors
/// As [`kernel`].
pub(crate) fn busybox() -> Result<PathBuf> {
    Ok(folder("busybox")?.join("busybox"))
}

fn folder(name: &str) -> Result<PathBuf> {
    Ok(workspace::cache()?.join("vm").join(name))
}

fn is_complete(name: &str) -> bool {
    folder(name).is_ok_and(|folder| folder.join(STAMP).exists())
}

/// One step for each kernel that is not there, and one for busybox.
pub(super) fn missing() -> Vec<Step> {
    let mut steps = Vec::new();
    if !is_complete("busybox") {
        let what = "download busybox for virtual machines (1 MB)".to_owned();
        steps.push(Step {
            group: Group::Vm,
            what,
            install: Box::new(fetch_busybox),
        });
    }
    for series in SERIES.into_iter().filter(|series| !is_complete(series)) {
        let what = format!("download Debian's cloud kernel {series} for virtual machines (30 MB)");
        steps.push(Step {
            group: Group::Vm,
            what,
            install: Box::new(|| fetch_kernel(series)),
        });
    }
    steps
}

fn fetch_busybox() -> Result<()> {
    let folder = folder("busybox")?;
    let root = unpack("busybox-static", &folder)?;
    move_file(&root.join("bin/busybox"), &folder.join("busybox"))?;
    finish(&folder, &root)
}

fn fetch_kernel(series: &str) -> Result<()> {
    let package = newest_package(series)?;
    let folder = folder(series)?;
    let root = unpack(&package, &folder)?;
    let release = package.trim_start_matches("linux-image-");
    move_file(
        &root.join("boot").join(format!("vmlinuz-{release}")),
        &folder.join("vmlinuz"),
    )?;
    modules::take(
        &root.join("lib/modules").join(release),
        &folder.join("modules").join(release),
    )?;
    finish(&folder, &root)
}

fn finish(folder: &Path, unpacked: &Path) -> Result<()> {
    fs::remove_dir_all(unpacked).with_context(|| format!("{}: cannot be removed", unpacked.display()))?;
    fs::write(folder.join(STAMP), "").with_context(|| format!("{}: cannot be written", folder.display()))
}

fn move_file(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("{}: is not in the package", from.display()))
}

/// Downloads a package and unpacks it below the folder, which is emptied first.
fn unpack(package: &str, folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("{}: cannot be removed", folder.display()))?;
    }
    let download = folder.join("download");
    fs::create_dir_all(&download).with_context(|| format!("{}: cannot be made", download.display()))?;
    process::run(
        Command::new("apt-get")
            .current_dir(&download)
            // The cache folder need not be readable by the user that apt otherwise downloads as.
            .args(["-o", "APT::Sandbox::User=root", "download", package]),
    )?;
    let archive = fs::read_dir(&download)?
        .next()
        .with_context(|| format!("{package}: nothing was downloaded"))??;
    let root = folder.join("unpacked");
    process::run(Command::new("dpkg-deb").arg("--extract").arg(archive.path()).arg(&root))?;
    fs::remove_dir_all(&download)?;
    Ok(root)
}

/// The name of the newest package of a series that this machine's archives have.
fn newest_package(series: &str) -> Result<String> {
    if let Some(package) = search(series)? {
        return Ok(package);
    }
    // A machine that never asked its archives knows no packages.
    apt::update()?;
    match search(series)? {
        Some(package) => Ok(package),
        None => bail!("kernel {series}: the archives of this machine have no linux-image-{series}.*-cloud-amd64"),
    }
}

fn search(series: &str) -> Result<Option<String>> {
    let pattern = format!("^linux-image-{}\\..*-cloud-amd64$", series.replace('.', "\\."));
    let lines = process::output(Command::new("apt-cache").args(["search", "--names-only", &pattern]))?;
    Ok(newest(lines.lines().filter_map(|line| line.split(' ').next())).map(str::to_owned))
}

/// The newest of some names that differ only in numbers.
fn newest<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let numbers = |name: &str| -> Vec<u64> {
        name.split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect()
    };
    names.max_by_key(|name| numbers(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_package_is_told_by_its_numbers() {
        let old = "linux-image-6.1.0-9-cloud-amd64";
        let new = "linux-image-6.1.0-56-cloud-amd64";
        assert_eq!(newest([new, old].into_iter()), Some(new));
        let backport = "linux-image-6.12.117+deb12-cloud-amd64";
        assert_eq!(
            newest([backport, "linux-image-6.12.9+deb12-cloud-amd64"].into_iter()),
            Some(backport)
        );
        assert_eq!(newest(std::iter::empty()), None);
    }
}
