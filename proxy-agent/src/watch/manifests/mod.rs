//! A folder of manifests as the source of API objects, followed while it changes.
//!
//! A document that cannot be read keeps what it said before, and so does the whole file if it may have been cut short; a
//! file that a writer has open is left alone until it is closed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::{Change, Feed, Notice};

use debounce::Debounce;
use folder::{Folder, Outcome};
use notify::{Noticed, Watcher};
use read::{Fault, Key, Object, Reading};
use scan::Stamp;

mod scan;
mod read;
mod endpoints;
mod folder;
mod change;
mod debounce;
mod notify;
#[cfg(test)]
mod tests;

/// How often the folder is looked at although nothing was noticed: what a link points at may change unseen.
const REGULARLY: Duration = Duration::from_secs(5);
/// The same while there is no folder.
const SEARCHING: Duration = Duration::from_millis(500);
/// The longest wait: a listener that is gone is noticed after it.
const ROUND: Duration = Duration::from_millis(500);
/// How many objects of the first list are handed over at once.
const PORTION: usize = 256;
/// What this source is called in reports.
const SOURCE: &str = "manifests";

/// A folder and what is known of it.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    folder: Folder,
    stamps: BTreeMap<String, Stamp>,
    /// Files that have to be read again, whatever their stamp says.
    dirty: BTreeSet<String>,
    /// Files that cannot be used at the moment, and why.
    faulty: BTreeMap<String, String>,
    /// The objects in each file that cannot be read.
    unread: BTreeMap<String, Vec<Key>>,
    /// What is to be said about such objects with the next changes.
    told: Vec<Change>,
    /// Whether the folder could be read last time.
    lost: bool,
}

/// Reads the folder and hands everything over as complete lists.
///
/// # Errors
///
/// If there is no such folder. Files that cannot be used are told about and left out.
pub fn read_once(path: &Path, mut take: impl FnMut(Vec<Change>)) -> io::Result<()> {
    Source::new(path).start(&mut take).map(|_| ())
}

/// Follows the folder until nobody listens any more. Blocks: it belongs on a thread of its own.
///
/// # Errors
///
/// If there is no such folder when it starts.
pub fn follow(path: &Path, feed: &Feed) -> io::Result<()> {
    let mut source = Source::new(path);
    let mut watcher = Watcher::new(path)?;
    let mut open = true;
    source.start(&mut |changes| open &= feed.send(Notice::changes(changes)))?;
    source.report(feed);
    let mut debounce = Debounce::default();
    let mut looked = Instant::now();
    while open && !feed.is_closed() {
        let wait = debounce.wait(Instant::now()).unwrap_or(ROUND);
        for noticed in watcher.wait(wait) {
            source.notice(noticed, &mut debounce);
        }
        let now = Instant::now();
        if debounce.take(now) || now.duration_since(looked) >= regularly(&watcher) {
            looked = now;
            open = source.look(&mut watcher, &mut debounce, feed);
        }
    }
    Ok(())
}

const fn regularly(watcher: &Watcher) -> Duration {
    if watcher.is_lost() { SEARCHING } else { REGULARLY }
}

impl Source {
    fn new(path: &Path) -> Self {
        Source {
            path: path.to_owned(),
            folder: Folder::default(),
            stamps: BTreeMap::new(),
            dirty: BTreeSet::new(),
            faulty: BTreeMap::new(),
            unread: BTreeMap::new(),
            told: Vec::new(),
            lost: false,
        }
    }

    /// The first reading: a complete list of each kind. A document that cannot be used is left out alone.
    fn start(&mut self, take: &mut dyn FnMut(Vec<Change>)) -> io::Result<()> {
        self.stamps = scan::scan(&self.path)?;
        take(change::begin());
        for file in self.stamps.keys().cloned().collect::<Vec<_>>() {
            let reading = self.read(&file).unwrap_or_default();
            let outcome = self.folder.replace(&file, reading);
            self.warn(&outcome);
            let mut changes = outcome.set.into_iter().map(change::listed).peekable();
            while changes.peek().is_some() {
                take(changes.by_ref().take(PORTION).collect());
            }
        }
        take(std::mem::take(&mut self.told));
        take(change::end());
        info!(folder = %self.path.display(), files = self.stamps.len(), "read the manifests");
        Ok(())
    }

    fn notice(&mut self, noticed: Noticed, debounce: &mut Debounce) {
        debounce.notice(Instant::now());
        if let Noticed::File(name) = noticed
            && scan::syntax(&name).is_some()
        {
            self.dirty.insert(name);
        }
    }

    /// Looks at the folder and hands over what is different, all of it at once. Returns whether somebody listens.
    fn look(&mut self, watcher: &mut Watcher, debounce: &mut Debounce, feed: &Feed) -> bool {
        let found = match watcher.renew(&self.path).and_then(|()| scan::scan(&self.path)) {
            Ok(found) => found,
            Err(error) => {
                let reason = format!("{}: {error}; what it said stays in force", self.path.display());
                if !std::mem::replace(&mut self.lost, true) {
                    warn!("{reason}");
                }
                return feed.trouble(SOURCE, Some(reason));
            }
        };
        self.lost = false;
        let mut changes = self.take_changed(&found, watcher, debounce);
        changes.extend(self.take_gone(&found));
        changes.append(&mut self.told);
        self.report(feed) && (changes.is_empty() || feed.send(Notice::changes(changes)))
    }

    /// Reads what has changed, as far as nobody is writing it.
    fn take_changed(
        &mut self,
        found: &BTreeMap<String, Stamp>,
        watcher: &mut Watcher,
        debounce: &mut Debounce,
    ) -> Vec<Change> {
        let changed: Vec<(String, Stamp)> = found
            .iter()
            .filter(|(file, stamp)| self.dirty.contains(*file) || self.stamps.get(*file) != Some(stamp))
            .filter(|(file, _)| !watcher.is_being_written(file))
            .map(|(file, stamp)| (file.clone(), *stamp))
            .collect();
        let readings: Vec<_> = changed
            .into_iter()
            .map(|(file, stamp)| (self.read_again(&file), file, stamp))
            .collect();
        // What a writer has opened in the meantime was perhaps read half-way: it is read again when it is closed.
        for noticed in watcher.wait(Duration::ZERO) {
            self.notice(noticed, debounce);
        }
        let mut changes = Vec::new();
        for (reading, file, stamp) in readings {
            if watcher.is_being_written(&file) {
                continue;
            }
            self.dirty.remove(&file);
            self.stamps.insert(file.clone(), stamp);
            if let Some(reading) = reading {
                info!(file, "read again");
                let outcome = self.folder.replace(&file, reading);
                changes.extend(self.finish(outcome));
            }
        }
        changes
    }

    /// Drops the files that are no longer there.
    fn take_gone(&mut self, found: &BTreeMap<String, Stamp>) -> Vec<Change> {
        let known = self.folder.files();
        let gone: Vec<String> = known.filter(|file| !found.contains_key(*file)).cloned().collect();
        let mut changes = Vec::new();
        for file in gone {
            info!(file, "gone");
            self.stamps.remove(&file);
            self.dirty.remove(&file);
            self.faulty.remove(&file);
            self.tell_unread(&file, &[]);
            let outcome = self.folder.remove(&file);
            changes.extend(self.finish(outcome));
        }
        changes
    }

    /// A file that has been read before, if it can be told what it says; else it keeps what it said.
    fn read_again(&mut self, file: &str) -> Option<Reading> {
        let known = self.folder.knows(file);
        let reading = self.read(file)?;
        (!known || !reading.is_unsure()).then_some(reading)
    }

    /// Tells which objects of a file cannot be read, and which of those that could not can be read again or are gone.
    fn tell_unread(&mut self, file: &str, faults: &[Fault]) {
        let known = self.unread.remove(file).unwrap_or_default();
        let unread: Vec<Key> = faults.iter().filter_map(|fault| fault.object.clone()).collect();
        let again = known.iter().filter(|key| !unread.contains(key));
        self.told.extend(again.filter_map(change::read));
        self.told.extend(faults.iter().filter_map(change::unread));
        if !unread.is_empty() {
            self.unread.insert(file.to_owned(), unread);
        }
    }

    /// What a file says. Whatever is wrong with it is told once.
    fn read(&mut self, file: &str) -> Option<Reading> {
        let path = self.path.join(file);
        let read = fs::read_to_string(&path)
            .map_err(|error| error.to_string())
            .and_then(|text| {
                let syntax = scan::syntax(file).ok_or("not a manifest")?;
                read::read(&text, syntax)
            });
        let faults = match &read {
            Ok(reading) => {
                for line in &reading.ignored {
                    info!("{}: {line}", path.display());
                }
                self.tell_unread(file, &reading.faults);
                reading.faults.iter().map(Fault::to_string).collect()
            }
            Err(reason) => vec![reason.clone()],
        };
        for fault in &faults {
            warn!("{}: {fault}", path.display());
        }
        match faults.first() {
            None => {
                if self.faulty.remove(file).is_some() {
                    info!("{}: all right again", path.display());
                }
                None
            }
            Some(fault) => self
                .faulty
                .insert(file.to_owned(), format!("{}: {fault}", path.display())),
        };
        read.ok()
    }

    /// The changes of an outcome, with those of objects that now count in another file.
    fn finish(&mut self, outcome: Outcome) -> Vec<Change> {
        self.warn(&outcome);
        let mut changes: Vec<Change> = outcome.set.into_iter().map(change::set).collect();
        changes.extend(outcome.gone.iter().map(change::gone));
        let mut heirs: BTreeMap<String, BTreeSet<Key>> = BTreeMap::new();
        for (file, key) in outcome.inherited {
            heirs.entry(file).or_default().insert(key);
        }
        for (file, mut keys) in heirs {
            let objects: Vec<(Key, Object)> = self.read(&file).map(|reading| reading.objects).unwrap_or_default();
            for (key, object) in objects {
                if keys.remove(&key) {
                    changes.push(change::set(object));
                }
            }
        }
        changes
    }

    fn warn(&self, outcome: &Outcome) {
        for warning in &outcome.warnings {
            warn!("{}: {warning}", self.path.display());
        }
    }

    /// Tells whether everything in the folder is in use.
    fn report(&self, feed: &Feed) -> bool {
        feed.trouble(SOURCE, self.faulty.values().next().cloned())
    }
}
