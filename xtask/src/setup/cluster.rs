//! etcd, kube-apiserver and kube-proxy for the cluster floor, built from their Go modules into the cache folder.
//!
//! Each binary lies beside a file that names its version: another version here means another build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Group, Step, go};
use crate::{process, workspace};

const ETCD_VERSION: &str = "3.6.8";
/// Without the leading `1.` it is the version of the staging modules too (v0.36.3).
const KUBERNETES_VERSION: &str = "1.36.3";

/// A set of programs that come from one module.
struct Source {
    module: &'static str,
    version: &'static str,
    /// Name of the program and its package.
    programs: &'static [(&'static str, &'static str)],
    minutes: &'static str,
}

const SOURCES: [Source; 2] = [
    Source {
        module: "go.etcd.io/etcd/server/v3",
        version: ETCD_VERSION,
        programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
        minutes: "1 minute",
    },
    Source {
        module: "k8s.io/kubernetes",
        version: KUBERNETES_VERSION,
        programs: &[
            ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
        ],
        minutes: "3 to 5 minutes",
    },
];

/// Where the programs are.
///
/// # Errors
/// There is no cache folder ([`workspace::cache`]).
pub(crate) fn folder() -> Result<PathBuf> {
    Ok(workspace::cache()?.join("cluster"))
}

/// One step for each source whose programs are not there in the right version.
pub(super) fn missing() -> Vec<Step> {
    let sources = SOURCES
        .iter()
        .filter(|source| !folder().is_ok_and(|folder| is_built(source, &folder)));
    sources.map(step).collect()
}

fn step(source: &'static Source) -> Step {
    let names: Vec<_> = source.programs.iter().map(|(name, _)| *name).collect();
    Step {
        group: Group::Cluster,
        what: format!(
            "go build {} {} ({})",
            names.join(" and "),
            source.version,
            source.minutes
        ),
        install: Box::new(|| build(source)),
    }
}

fn is_built(source: &Source, folder: &Path) -> bool {
    source.programs.iter().all(|(name, _)| {
        let version = fs::read_to_string(version_file(folder, name));
        folder.join(name).exists() && version.is_ok_and(|version| version.trim() == source.version)
    })
}

fn version_file(folder: &Path, program: &str) -> PathBuf {
    folder.join(format!("{program}.version"))
}

fn build(source: &Source) -> Result<()> {
    let folder = folder()?;
    let scratch = folder.join(format!("{}.build", source.programs[0].0));
    fs::create_dir_all(&scratch).with_context(|| format!("{}: cannot be made", scratch.display()))?;
    write_module(source, &scratch)?;
    let packages = source.programs.iter().map(|(_, package)| *package);
    let mut build = go_in(&scratch);
    process::run(
        build
            .args(["build", "-trimpath", "-ldflags", &linker_flags(source), "-o", "bin/"])
            .args(packages),
    )?;
    for (name, package) in source.programs {
        let built = scratch.join("bin").join(last_element(package));
        fs::rename(&built, folder.join(name)).with_context(|| format!("{}: cannot be moved", built.display()))?;
        fs::write(version_file(&folder, name), source.version)?;
    }
    fs::remove_dir_all(&scratch).with_context(|| format!("{}: cannot be removed", scratch.display()))
}

fn go_in(folder: &Path) -> Command {
    let mut go = Command::new(go::program().unwrap_or_else(|| "go".into()));
    // The module is made here and complete only after go has added what the programs import.
    go.current_dir(folder)
        .env("GOFLAGS", "-mod=mod")
        .env("CGO_ENABLED", "0");
    go
}

/// What `go build` calls a program: the last element of its package path that is no major version.
fn last_element(package: &str) -> &str {
    let is_version = |element: &&str| element.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok());
    package
        .rsplit('/')
        .find(|element| !is_version(element))
        .unwrap_or(package)
}

fn linker_flags(source: &Source) -> String {
    let mut flags = "-s -w".to_owned();
    if source.module == "k8s.io/kubernetes" {
        // Clients and emulated versions are checked against it; unset it reads v0.0.0.
        for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
            flags += &format!(" -X {package}.gitVersion=v{}", source.version);
        }
    }
    flags
}

/// Writes a module that needs nothing but the source's.
fn write_module(source: &Source, folder: &Path) -> Result<()> {
    let upstream = if source.module == "k8s.io/kubernetes" {
        upstream_go_mod(source, folder)?
    } else {
        String::new()
    };
    let imports: String = source
        .programs
        .iter()
        .map(|(_, package)| format!("import _ \"{package}\"\n"))
        .collect();
    fs::write(folder.join("go.mod"), go_mod(source.module, source.version, &upstream))?;
    fs::write(
        folder.join("tools.go"),
        format!("//go:build tools\n\npackage tools\n\n{imports}"),
    )?;
    Ok(())
}

/// Kubernetes' own go.mod, as downloaded.
fn upstream_go_mod(source: &Source, folder: &Path) -> Result<String> {
    let module = format!("{}@v{}", source.module, source.version);
    println!("setup: downloading {module}");
    fs::write(folder.join("go.mod"), "module fairlead.local/download\n")?;
    let json = process::output(go_in(folder).args(["mod", "download", "-json", &module]))?;
    // The answer is an object of strings, one a line; reading one of them needs no JSON library.
    let path = json
        .lines()
        .find_map(|line| line.trim().strip_prefix("\"GoMod\": \""))
        .map(|rest| rest.trim_end_matches(['"', ',']));
    let path = path.with_context(|| format!("`go mod download {module}`: its answer names no GoMod"))?;
    fs::read_to_string(path).with_context(|| format!("{path}: cannot be read"))
}

/// A go.mod that requires one module.
///
/// Kubernetes replaces its staging modules by folders that are not in its zip: each of these replacements in
/// `upstream` becomes one by the module as published.
fn go_mod(module: &str, version: &str, upstream: &str) -> String {
    let go = upstream
        .lines()
        .find(|line| line.starts_with("go "))
        .unwrap_or("go 1.24");
    let mut text = format!("module fairlead.local/programs\n\n{go}\n\nrequire {module} v{version}\n\n");
    let staging = version.strip_prefix("1.").unwrap_or(version);
    for name in upstream.lines().filter_map(staging_module) {
        text += &format!("replace {name} => {name} v0.{staging}\n");
    }
    text
}

/// The module of a line like `k8s.io/api => ./staging/src/k8s.io/api`.
fn staging_module(line: &str) -> Option<&str> {
    let (name, target) = line.trim().split_once(" => ")?;
    target
        .starts_with("./staging/")
        .then(|| name.strip_prefix("replace ").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPSTREAM: &str = "module k8s.io/kubernetes\n\ngo 1.26.0\n\nrequire (\n\tk8s.io/api v0.0.0\n)\n\n\
        replace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\nreplace k8s.io/mount => ./staging/src/k8s.io/mount\n\
        replace example.com/x => example.com/y v1.0.0\n";

    #[test]
    fn staging_modules_are_replaced_by_the_published_ones() {
        let text = go_mod("k8s.io/kubernetes", "1.36.3", UPSTREAM);
        assert!(text.contains("\ngo 1.26.0\n"), "{text}");
        assert!(text.contains("require k8s.io/kubernetes v1.36.3\n"), "{text}");
        assert!(text.contains("replace k8s.io/api => k8s.io/api v0.36.3\n"), "{text}");
        assert!(
            text.contains("replace k8s.io/mount => k8s.io/mount v0.36.3\n"),
            "{text}"
        );
        assert!(!text.contains("example.com"), "{text}");
    }

    #[test]
    fn a_program_is_called_after_its_package_and_not_after_its_version() {
        assert_eq!(last_element("go.etcd.io/etcd/server/v3"), "server");
        assert_eq!(last_element("k8s.io/kubernetes/cmd/kube-proxy"), "kube-proxy");
    }
}
