//! A list of objects that replaces an earlier one: it comes in one by one and counts when it is complete.

use std::collections::HashSet;

use super::ObjectName;

/// How far the lists of one kind have come.
#[derive(Debug)]
pub(super) struct Relist<T> {
    /// Whether a list has been complete, or there is none to wait for.
    pub(super) settled: bool,
    seen: HashSet<ObjectName>,
    waiting: Vec<(ObjectName, T)>,
}

/// What a complete list says.
pub(super) struct Outcome<T> {
    /// The names of all its objects.
    pub(super) seen: HashSet<ObjectName>,
    /// The objects that differ from those that are known.
    pub(super) changed: Vec<(ObjectName, T)>,
}

impl<T> Default for Relist<T> {
    fn default() -> Self {
        Relist {
            settled: false,
            seen: HashSet::new(),
            waiting: Vec::new(),
        }
    }
}

impl<T> Relist<T> {
    /// A list begins; one that was not complete counts for nothing.
    pub(super) fn begin(&mut self) {
        self.seen.clear();
        self.waiting.clear();
    }

    /// An object of the list; `differs`: it is not as it is known.
    pub(super) fn listed(&mut self, name: ObjectName, object: T, differs: bool) {
        if differs {
            self.waiting.push((name.clone(), object));
        }
        self.seen.insert(name);
    }

    /// The list is complete.
    pub(super) fn end(&mut self) -> Outcome<T> {
        self.settled = true;
        Outcome {
            seen: std::mem::take(&mut self.seen),
            changed: std::mem::take(&mut self.waiting),
        }
    }
}
