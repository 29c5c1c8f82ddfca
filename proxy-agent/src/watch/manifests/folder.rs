//! Which file has which object. Of several files with the same object the first by name counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::read::{Key, Object, Reading};

/// All files, and whose their objects are.
#[derive(Debug, Default)]
pub(super) struct Folder {
    files: BTreeMap<String, BTreeSet<Key>>,
    owners: HashMap<Key, BTreeSet<String>>,
}

/// What follows from a file's change.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Objects that are new or perhaps different.
    pub(super) set: Vec<Object>,
    /// Objects that are gone.
    pub(super) gone: Vec<Key>,
    /// Objects that another file has as well and that count there from now on.
    pub(super) inherited: Vec<(String, Key)>,
    /// What should be said.
    pub(super) warnings: Vec<String>,
}

impl Folder {
    /// Whether a file has been read before.
    pub(super) fn knows(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }

    /// The files that have been read.
    pub(super) fn files(&self) -> impl Iterator<Item = &String> {
        self.files.keys()
    }

    /// A file says something new.
    pub(super) fn replace(&mut self, file: &str, reading: Reading) -> Outcome {
        let mut outcome = Outcome::default();
        let mut keys = BTreeSet::new();
        let known = self.files.remove(file).unwrap_or_default();
        // What cannot be read now is what it was.
        let unread = reading.faults.into_iter().filter_map(|fault| fault.object);
        keys.extend(unread.filter(|key| known.contains(key)));
        for (key, object) in reading.objects {
            if !keys.insert(key.clone()) {
                outcome
                    .warnings
                    .push(format!("{file}: {key}: twice in this file, the first one counts"));
                continue;
            }
            let owners = self.owners.entry(key.clone()).or_default();
            owners.insert(file.to_owned());
            match owners.first().filter(|first| *first != file) {
                None => {
                    if let Some(other) = owners.iter().nth(1).filter(|_| !known.contains(&key)) {
                        outcome
                            .warnings
                            .push(format!("{other}: {key}: also in {file}, which counts"));
                    }
                    outcome.set.push(object);
                }
                Some(first) if !known.contains(&key) => {
                    outcome
                        .warnings
                        .push(format!("{file}: {key}: also in {first}, which counts"));
                }
                Some(_) => {}
            }
        }
        for key in known.difference(&keys) {
            self.disown(file, key, &mut outcome);
        }
        self.files.insert(file.to_owned(), keys);
        outcome
    }

    /// A file is gone.
    pub(super) fn remove(&mut self, file: &str) -> Outcome {
        let mut outcome = Outcome::default();
        for key in self.files.remove(file).unwrap_or_default() {
            self.disown(file, &key, &mut outcome);
        }
        outcome
    }

    fn disown(&mut self, file: &str, key: &Key, outcome: &mut Outcome) {
        let Some(owners) = self.owners.get_mut(key) else {
            return;
        };
        let counted = owners.first().is_some_and(|first| first == file);
        owners.remove(file);
        match owners.first() {
            Some(heir) if counted => outcome.inherited.push((heir.clone(), key.clone())),
            Some(_) => {}
            None => {
                self.owners.remove(key);
                outcome.gone.push(key.clone());
            }
        }
    }
}
