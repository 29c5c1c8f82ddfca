//! The archive a kernel unpacks as its first file system: "newc" cpio
//! (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel).

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_777;

/// An archive being written.
pub(super) struct Archive<W> {
    out: W,
    written: u64,
    entries: u32,
    folders: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            written: 0,
            entries: 0,
            folders: BTreeSet::new(),
        }
    }

    /// Adds a file's content, or that of the file it links to, and its permissions.
    ///
    /// # Errors
    /// The file cannot be read, or the archive not written.
    pub(super) fn copy(&mut self, from: &Path, path: &str) -> Result<()> {
        let read = || Ok::<_, std::io::Error>((fs::read(from)?, fs::metadata(from)?.permissions().mode() & 0o7777));
        let (content, mode) = read().with_context(|| format!("{}: cannot be read", from.display()))?;
        self.file(path, mode, &content)
    }

    /// Adds a file; the folders above it come by themselves.
    ///
    /// # Errors
    /// The archive cannot be written.
    pub(super) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        let path = path.trim_start_matches('/');
        self.folders_above(path)?;
        self.entry(path, FILE | mode, content)
    }

    /// Adds an empty folder.
    ///
    /// # Errors
    /// The archive cannot be written.
    pub(super) fn folder(&mut self, path: &str) -> Result<()> {
        let path = path.trim_matches('/');
        self.folders_above(path)?;
        if self.folders.insert(path.to_owned()) {
            self.entry(path, FOLDER, &[])?;
        }
        Ok(())
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// The archive cannot be written.
    pub(super) fn link(&mut self, path: &str, target: &str) -> Result<()> {
        let path = path.trim_start_matches('/');
        self.folders_above(path)?;
        self.entry(path, LINK, target.as_bytes())
    }

    /// Writes the mark of the end and gives the writer back.
    ///
    /// # Errors
    /// The archive cannot be written.
    pub(super) fn finish(mut self) -> Result<W> {
        self.entry("TRAILER!!!", 0, &[])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn folders_above(&mut self, path: &str) -> Result<()> {
        let above: Vec<_> = path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect();
        for folder in above {
            if self.folders.insert(folder.clone()) {
                self.entry(&folder, FOLDER, &[])?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entries += 1;
        let size = u32::try_from(content.len()).with_context(|| format!("{path}: too large for a cpio archive"))?;
        let name_size = u32::try_from(path.len() + 1).with_context(|| format!("{path}: too long a name"))?;
        // Inode, mode, owner, group, links, time, size, device and its device (two numbers each), name size, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        let header: String = fields.iter().map(|field| format!("{field:08x}")).collect();
        self.write(format!("070701{header}{path}\0").as_bytes())?;
        self.write(content)
    }

    /// Writes and fills up to the next multiple of four.
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        while !self.written.is_multiple_of(4) {
            self.out.write_all(&[0])?;
            self.written += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bytes: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        let mut rest = bytes;
        while rest.len() >= 110 {
            let field = |index: usize| {
                let text = std::str::from_utf8(&rest[6 + 8 * index..14 + 8 * index]).unwrap();
                usize::from_str_radix(text, 16).unwrap()
            };
            assert_eq!(&rest[..6], b"070701");
            let (size, name_size) = (field(6), field(11));
            names.push(String::from_utf8(rest[110..110 + name_size - 1].to_vec()).unwrap());
            let content = (110 + name_size).next_multiple_of(4);
            rest = &rest[(content + size).next_multiple_of(4)..];
        }
        names
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_once() {
        let mut archive = Archive::new(Vec::new());
        archive.file("/a/b/c", 0o755, b"hello").unwrap();
        archive.file("/a/b/d", 0o644, b"").unwrap();
        archive.folder("/a/e").unwrap();
        archive.link("/a/f", "b/c").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(
            names(&bytes),
            ["a", "a/b", "a/b/c", "a/b/d", "a/e", "a/f", "TRAILER!!!"]
        );
    }
}
