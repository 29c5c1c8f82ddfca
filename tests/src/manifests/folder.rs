//! A folder of manifests that changes under a running agent.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Service;
use crate::cluster::World;

/// The same manifests for every node of a world, as the API server gives every node the same objects.
#[derive(Debug)]
pub struct Folder {
    paths: Vec<PathBuf>,
}

impl Folder {
    /// The folders of a world's nodes, with the Node objects in them.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn of(world: &World) -> Result<Self> {
        let folder = Self {
            paths: world.nodes.iter().map(|node| node.manifests_dir()).collect(),
        };
        for node in &world.nodes {
            folder.write(&format!("node-{}", node.label()), &[super::node(node)])?;
        }
        Ok(folder)
    }

    /// Creates or replaces a Service and its EndpointSlices.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn put(&self, service: &Service) -> Result<()> {
        self.write(&service.name, &service.objects())
    }

    /// Deletes what was put under the name of a Service.
    ///
    /// # Errors
    /// When there is nothing.
    pub fn delete(&self, name: &str) -> Result<()> {
        for folder in &self.paths {
            let path = folder.join(format!("{name}.json"));
            fs::remove_file(&path).with_context(|| format!("{}", path.display()))?;
        }
        Ok(())
    }

    /// Writes objects to `NAME.json` in every folder, in one step each: a reader sees the old file or the new one.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, name: &str, objects: &[Value]) -> Result<()> {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        let text = serde_json::to_string_pretty(&list)?;
        for folder in &self.paths {
            let unfinished = folder.join(format!(".{name}.unfinished"));
            fs::write(&unfinished, &text).with_context(|| format!("{}", unfinished.display()))?;
            fs::rename(&unfinished, folder.join(format!("{name}.json")))?;
        }
        Ok(())
    }
}
