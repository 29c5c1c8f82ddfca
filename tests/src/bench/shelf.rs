//! API servers that have everything already.
//!
//! Each number of Services is put there once, on top of a smaller one, and kept as what etcd holds.

use std::cell::RefCell;
use std::path::PathBuf;

use anyhow::Result;

use super::objects::{Objects, Scale};
use crate::apiserver::ApiServer;
use crate::cluster::Lone;

/// What etcd holds for some numbers of Services. Dropping it removes the files.
#[derive(Debug)]
pub struct Shelf {
    stored: RefCell<Vec<Objects>>,
    lone: Lone,
}

impl Shelf {
    /// Nothing yet.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn new() -> Result<Self> {
        Ok(Self {
            stored: RefCell::default(),
            lone: Lone::build("shelf")?,
        })
    }

    /// A server of its own that has these objects and no Nodes.
    ///
    /// # Errors
    /// When a server does not start, or refuses an object.
    pub fn api(&self, objects: Objects) -> Result<ApiServer> {
        if !self.stored.borrow().contains(&objects) {
            let fewer = self.largest_below(objects);
            let api = self.start(fewer)?;
            let already = fewer.map_or(0, Objects::count);
            api.store_with(objects.more(already), &self.path(objects))?;
            self.stored.borrow_mut().push(objects);
        }
        self.start(Some(objects))
    }

    fn start(&self, of: Option<Objects>) -> Result<ApiServer> {
        ApiServer::shared_with(of.map(|objects| self.path(objects)).as_deref())
    }

    fn largest_below(&self, objects: Objects) -> Option<Objects> {
        let stored = self.stored.borrow();
        let fewer = stored.iter().filter(|one| {
            // Else they have other endpoints, or what is made once.
            let alike = (one.scale, objects.scale) == (Scale::Services, Scale::Services);
            alike && one.endpoints == objects.endpoints && one.services < objects.services
        });
        fewer.max_by_key(|one| one.services).copied()
    }

    fn path(&self, objects: Objects) -> PathBuf {
        let Objects {
            services,
            endpoints,
            scale,
        } = objects;
        let name = format!("{services}-services-{endpoints}-endpoints-{scale:?}");
        self.lone.shared().folder().join(name)
    }
}
