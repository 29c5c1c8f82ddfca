//! How etcd and kube-apiserver are started.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::credentials::Credentials;
use crate::{plan, tool};

/// The port of the API server on the router's address.
pub(super) const PORT: u16 = 6443;

/// Where etcd answers, in its namespace.
pub(super) const ETCD: &str = "http://127.0.0.1:2379";

/// What etcd keeps, in the folder of the two.
pub(super) fn data(folder: &Path) -> PathBuf {
    folder.join("etcd")
}

/// Copies a folder of etcd's to a place where there is none.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut cp = Command::new("cp");
    cp.args(["--archive", "--sparse=always", "--no-target-directory"]);
    tool::output(cp.arg(from).arg(to), "").map(drop)
}

pub(super) fn etcd(folder: &Path) -> Result<Command> {
    let mut command = Command::new(binary("etcd")?);
    command
        .arg("--data-dir")
        .arg(data(folder))
        // What a crash of the machine would lose is a test's; writing it out takes the disk from everything else.
        .arg("--unsafe-no-fsync")
        .arg(format!("--listen-client-urls={ETCD}"))
        .arg(format!("--advertise-client-urls={ETCD}"))
        .args(["--listen-peer-urls=http://127.0.0.1:2380", "--log-level=error"])
        .arg("--quota-backend-bytes=8589934592");
    Ok(command)
}

pub(super) fn kube_apiserver(folder: &Path, credentials: &Credentials) -> Result<Command> {
    let mut command = Command::new(binary("kube-apiserver")?);
    command
        .arg(format!("--etcd-servers={ETCD}"))
        .arg(format!("--advertise-address={}", plan::router().v4))
        .arg(format!("--secure-port={PORT}"))
        .arg(format!("--service-cluster-ip-range={}", plan::SERVICE_NETWORKS))
        .arg("--cert-dir")
        .arg(folder.join("certificates"))
        .arg("--token-auth-file")
        .arg(credentials.tokens())
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg("--service-account-key-file")
        .arg(credentials.public_key())
        .arg("--service-account-signing-key-file")
        .arg(credentials.signing_key())
        // There is no controller that makes the accounts it asks for.
        .arg("--disable-admission-plugins=ServiceAccount")
        // The tests are one client with many requests, which fairness would hold back.
        .arg("--enable-priority-and-fairness=false")
        .args(["--max-requests-inflight=2000", "--max-mutating-requests-inflight=1000"]);
    Ok(command)
}

/// A program of the cluster floor: in the folder that `FAIRLEAD_CLUSTER_BIN` names, or where the set-up puts it.
pub(crate) fn binary(name: &str) -> Result<PathBuf> {
    let folder = match env::var_os("FAIRLEAD_CLUSTER_BIN") {
        Some(folder) => PathBuf::from(folder),
        None => cache()?.join("fairlead/cluster"),
    };
    let path = folder.join(name);
    if !path.is_file() {
        bail!("{}: no such program; cargo xtask setup", path.display());
    }
    Ok(path)
}

fn cache() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let home = env::var_os("HOME").context("FAIRLEAD_CLUSTER_BIN does not name the folder of kube-apiserver")?;
    Ok(PathBuf::from(home).join(".cache"))
}
