//! What lets a client in, and what lets it know the server.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::KeyPair;
use serde_json::json;

use super::programs::PORT;
use crate::plan;

const TOKEN: &str = "administrator-of-a-test";

/// Files in the server's folder.
#[derive(Debug)]
pub(super) struct Credentials {
    folder: PathBuf,
}

impl Credentials {
    /// Makes what must be there before the server starts.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let made = Self {
            folder: folder.to_owned(),
        };
        fs::write(made.tokens(), format!("{TOKEN},admin,admin,\"system:masters\"\n"))?;
        let key = KeyPair::generate()?;
        fs::write(made.signing_key(), key.serialize_pem())?;
        fs::write(made.public_key(), key.public_key_pem())?;
        Ok(made)
    }

    /// Who may come in: a token, a name and a group a line.
    pub(super) fn tokens(&self) -> PathBuf {
        self.folder.join("tokens.csv")
    }

    /// The key with which the server signs tokens that nobody here uses.
    pub(super) fn signing_key(&self) -> PathBuf {
        self.folder.join("service-account.key")
    }

    /// The other half of it.
    pub(super) fn public_key(&self) -> PathBuf {
        self.folder.join("service-account.pub")
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Writes the kubeconfig; the server has made its own certificate by then.
    pub(super) fn write_kubeconfig(&self) -> Result<()> {
        let authority = self.folder.join("certificates/apiserver.crt");
        fs::metadata(&authority).with_context(|| format!("{}", authority.display()))?;
        let server = format!("https://{}:{PORT}", plan::router().v4);
        // Every JSON document is a YAML document.
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": { "server": server, "certificate-authority": authority } }],
            "users": [{ "name": "admin", "user": { "token": TOKEN } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "admin" } }],
            "current-context": "test",
        });
        fs::write(self.kubeconfig(), config.to_string()).context("kubeconfig")
    }
}
