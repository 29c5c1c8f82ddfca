//! What the kernel tells of a folder: inotify(7).

use std::{collections::HashSet, io, os::fd::AsFd as _, path::Path, time::Duration};

use inotify::{EventMask, Inotify, WatchMask};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Something that may be worth a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Noticed {
    /// A file is complete, came or went.
    File(String),
    /// Something else about the folder.
    Folder,
}

/// The kernel's view of a folder, and of the files that somebody is writing in it.
#[derive(Debug)]
pub(super) struct Watcher {
    inotify: Inotify,
    being_written: HashSet<String>,
    /// The folder itself went: another one of its name has to be watched anew.
    lost: bool,
}

impl Watcher {
    /// Watches a folder.
    ///
    /// # Errors
    ///
    /// If it is not there or cannot be watched.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let inotify = Inotify::init()?;
        watch(&inotify, folder)?;
        Ok(Watcher {
            inotify,
            being_written: HashSet::new(),
            lost: false,
        })
    }

    /// Watches the folder again if it was lost.
    ///
    /// # Errors
    ///
    /// As [`Watcher::new`].
    pub(super) fn renew(&mut self, folder: &Path) -> io::Result<()> {
        if self.lost {
            watch(&self.inotify, folder)?;
            self.lost = false;
            self.being_written.clear();
        }
        Ok(())
    }

    /// Whether the folder has to be looked for.
    pub(super) const fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether somebody has changed a file and not closed it yet.
    pub(super) fn is_being_written(&self, file: &str) -> bool {
        self.being_written.contains(file)
    }

    /// What happens within a time; returns as soon as something does.
    pub(super) fn wait(&mut self, time: Duration) -> Vec<Noticed> {
        let timeout = PollTimeout::try_from(time + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        // An interrupted or failed wait is a wait that saw nothing: the folder is looked at regularly all the same.
        if !poll(&mut fds, timeout).is_ok_and(|ready| ready > 0) {
            return Vec::new();
        }
        let mut buffer = [0; 4096];
        let mut noticed = Vec::new();
        if let Ok(events) = self.inotify.read_events(&mut buffer) {
            for event in events {
                let name = event.name.map(|name| name.to_string_lossy().into_owned());
                noticed.extend(note(event.mask, name, &mut self.being_written, &mut self.lost));
            }
        }
        noticed
    }
}

fn watch(inotify: &Inotify, folder: &Path) -> io::Result<()> {
    let mask = WatchMask::MODIFY
        | WatchMask::CLOSE_WRITE
        | WatchMask::CREATE
        | WatchMask::MOVE
        | WatchMask::DELETE
        | WatchMask::DELETE_SELF
        | WatchMask::MOVE_SELF
        | WatchMask::ONLYDIR;
    inotify.watches().add(folder, mask).map(|_| ())
}

/// What an event means.
fn note(
    mask: EventMask,
    name: Option<String>,
    being_written: &mut HashSet<String>,
    lost: &mut bool,
) -> Option<Noticed> {
    if mask.intersects(EventMask::IGNORED | EventMask::DELETE_SELF | EventMask::MOVE_SELF) {
        *lost = true;
        return Some(Noticed::Folder);
    }
    if mask.contains(EventMask::Q_OVERFLOW) {
        being_written.clear();
        return Some(Noticed::Folder);
    }
    let name = name?;
    if mask.contains(EventMask::MODIFY) {
        being_written.insert(name);
        return None;
    }
    being_written.remove(&name);
    Some(Noticed::File(name))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _};

    use super::*;

    #[test]
    fn a_file_is_complete_when_its_writer_closes_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut watcher = Watcher::new(folder.path()).expect("a watch");
        let mut file = File::create(folder.path().join("a.yaml")).expect("a file");
        assert_eq!(
            watcher.wait(Duration::from_secs(5)),
            [Noticed::File("a.yaml".to_owned())]
        );
        file.write_all(b"half").expect("a write");
        assert_eq!(watcher.wait(Duration::from_secs(5)), []);
        assert!(watcher.is_being_written("a.yaml"));
        drop(file);
        assert_eq!(
            watcher.wait(Duration::from_secs(5)),
            [Noticed::File("a.yaml".to_owned())]
        );
        assert!(!watcher.is_being_written("a.yaml"));
    }

    #[test]
    fn a_folder_that_goes_and_comes_again_is_watched_again() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("manifests");
        std::fs::create_dir(&folder).expect("a folder");
        let mut watcher = Watcher::new(&folder).expect("a watch");
        std::fs::remove_dir(&folder).expect("removed");
        assert_eq!(watcher.wait(Duration::from_secs(5)).first(), Some(&Noticed::Folder));
        assert!(watcher.renew(&folder).is_err());
        std::fs::create_dir(&folder).expect("a folder");
        watcher.renew(&folder).expect("watched again");
        File::create(folder.join("b.yaml")).expect("a file");
        assert_eq!(
            watcher.wait(Duration::from_secs(5)).first(),
            Some(&Noticed::File("b.yaml".to_owned()))
        );
    }
}
