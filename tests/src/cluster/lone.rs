//! A place of no world, for what several worlds share.

use std::sync::Arc;

use anyhow::Result;

use super::place::Place;
use super::scratch::Scratch;
use crate::cgroup::Cgroup;
use crate::netns::NetNs;

/// A [`Place`] with a cgroup and a folder of its own. Dropping it ends every process in it and removes every trace.
#[derive(Debug)]
pub struct Lone {
    place: Arc<Place>,
    // Last, so that the processes and the namespace are gone before what they used.
    cgroup: Arc<Cgroup>,
    _scratch: Scratch,
}

impl Lone {
    /// Makes it; there is nothing in its namespace but a loopback device that is up.
    ///
    /// # Errors
    /// When not root, or a part cannot be made.
    pub fn build(label: &str) -> Result<Self> {
        let scratch = Scratch::for_test()?;
        let cgroup = Arc::new(Cgroup::create(scratch.name())?);
        let netns = NetNs::create(&format!("{}-{label}", scratch.name()))?;
        let place = Place::new(label, netns, Arc::clone(&cgroup), &scratch.path(""));
        Ok(Self {
            place: Arc::new(place),
            cgroup,
            _scratch: scratch,
        })
    }

    /// The place, for what outlives a borrow of it.
    pub fn shared(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }
}

impl Drop for Lone {
    fn drop(&mut self) {
        if let Err(error) = self.cgroup.kill() {
            eprintln!("{error:#}");
        }
    }
}
