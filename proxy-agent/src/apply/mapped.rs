//! The words of a memory-mapped array. The only file of the agent with raw pointers.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::atomic::{AtomicU64, Ordering},
};

use memmap2::{MmapOptions, MmapRaw};

use super::map::Words;

/// A map of kind `BPF_MAP_TYPE_ARRAY` with `BPF_F_MMAPABLE`, in this process's address space.
pub struct Mapped {
    memory: MmapRaw,
    words: usize,
    read_only: bool,
}

impl Mapped {
    /// Maps the first `words` words of the array behind `map`. Its value size must be a multiple of 8 bytes, so that
    /// the kernel packs values without gaps.
    ///
    /// # Errors
    /// The kernel's, if the map cannot be mapped or is shorter.
    pub fn new(map: impl AsFd, words: usize) -> io::Result<Self> {
        let memory = MmapOptions::new().len(pages(words)).map_raw(&file(map)?)?;
        Ok(Mapped {
            memory,
            words,
            read_only: false,
        })
    }

    /// The same for reading only.
    ///
    /// # Errors
    /// The kernel's, if the map cannot be mapped or is shorter.
    pub fn read_only(map: impl AsFd, words: usize) -> io::Result<Self> {
        let memory = MmapOptions::new().len(pages(words)).map_raw_read_only(&file(map)?)?;
        Ok(Mapped {
            memory,
            words,
            read_only: true,
        })
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.words, "word {index} of {}", self.words);
        let words = self.memory.as_mut_ptr().cast::<u64>();
        // SAFETY: `index` is inside the mapping, which is at least `words` words long and lives as long as `self`.
        let word = unsafe { words.add(index) };
        // SAFETY: the mapping is page-aligned, so every word of it is 8-byte aligned; it stays mapped while `self` is
        // borrowed. Nothing in this process reaches these words but through this function, and the kernel programs
        // touch them by whole words. A read-only mapping is only ever loaded from, see `store`.
        unsafe { AtomicU64::from_ptr(word) }
    }
}

impl Words for Mapped {
    fn len(&self) -> usize {
        self.words
    }

    fn load(&self, index: usize) -> u64 {
        self.word(index).load(Ordering::Acquire)
    }

    fn store(&mut self, index: usize, value: u64) {
        assert!(!self.read_only, "a map opened for reading was written");
        self.word(index).store(value, Ordering::Release);
    }
}

/// The mapping wants a file, and the map's descriptor is one; the mapping outlives it.
fn file(map: impl AsFd) -> io::Result<File> {
    let own: OwnedFd = map.as_fd().try_clone_to_owned()?;
    Ok(File::from(own))
}

/// The kernel maps whole pages and knows a file of no length: the length is said, not asked for.
fn pages(words: usize) -> usize {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(4096);
    (words * size_of::<u64>()).next_multiple_of(page)
}
