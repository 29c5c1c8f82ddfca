//! The kernel modules that networks are made of, and the index by which modprobe finds them.
//!
//! Debian's packages leave the index to depmod at installation; nothing is installed here, so it is made from what each
//! module says of itself (its `.modinfo` section: `depends=` and `alias=`).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Folders whose modules are taken with all they depend on.
const TAKEN: [&str; 2] = ["kernel/net/", "kernel/drivers/net/"];
/// Folders below these for hardware that no virtual machine here has.
const LEFT: [&str; 4] = [
    "kernel/drivers/net/ethernet/",
    "kernel/drivers/net/wireless/",
    "kernel/drivers/net/phy/",
    "kernel/drivers/net/usb/",
];

/// What a module says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Info {
    depends: Vec<String>,
    aliases: Vec<String>,
}

/// Copies the modules of the network from an unpacked package to a folder, uncompressed, and writes their index there.
///
/// # Errors
/// What cannot be read or written.
pub(super) fn take(from: &Path, to: &Path) -> Result<()> {
    decompress(from)?;
    let mut files = BTreeMap::new();
    collect(from, "", &mut files)?;
    let infos: BTreeMap<_, _> = files
        .iter()
        .map(|(name, path)| Ok((name.clone(), info(&read(&from.join(path))?))))
        .collect::<Result<_>>()?;
    let names = closure(&files, &infos);
    for path in names.iter().filter_map(|name| files.get(name)) {
        let target = to.join(path);
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        fs::copy(from.join(path), &target).with_context(|| format!("{path}: cannot be copied"))?;
    }
    let builtin = fs::read_to_string(from.join("modules.builtin")).context("modules.builtin: cannot be read")?;
    fs::write(to.join("modules.builtin"), builtin)?;
    fs::write(to.join("modules.dep"), dependencies(&names, &files, &infos))?;
    fs::write(to.join("modules.alias"), aliases(&names, &infos)).context("modules.alias: cannot be written")
}

/// Unpacks the modules that are compressed; newer packages compress all of them.
fn decompress(folder: &Path) -> Result<()> {
    let mut compressed = Vec::new();
    find_compressed(folder, &mut compressed)?;
    if compressed.is_empty() {
        return Ok(());
    }
    process::run(Command::new("xz").arg("--decompress").args(compressed)).context("unpacking kernel modules")
}

fn find_compressed(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{}: cannot be read", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find_compressed(&path, found)?;
        } else if path.extension() == Some(OsStr::new("xz")) {
            found.push(path);
        }
    }
    Ok(())
}

/// Name and path, relative to the folder, of every module.
fn collect(root: &Path, below: &str, found: &mut BTreeMap<String, String>) -> Result<()> {
    let folder = root.join(below);
    for entry in fs::read_dir(&folder).with_context(|| format!("{}: cannot be read", folder.display()))? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() {
            file.clone()
        } else {
            format!("{below}/{file}")
        };
        if entry.file_type()?.is_dir() {
            collect(root, &path, found)?;
        } else if let Some(name) = file.strip_suffix(".ko") {
            found.insert(normal(name), path);
        }
    }
    Ok(())
}

/// A module's name as the kernel writes it.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
}

/// Reads `.modinfo`: strings that end in a zero byte, one after the other.
fn info(module: &[u8]) -> Info {
    let mut info = Info::default();
    for text in module
        .split(|byte| *byte == 0)
        .filter_map(|text| std::str::from_utf8(text).ok())
    {
        if let Some(names) = text.strip_prefix("depends=") {
            info.depends = names.split(',').filter(|name| !name.is_empty()).map(normal).collect();
        } else if let Some(alias) = text.strip_prefix("alias=") {
            info.aliases.push(alias.to_owned());
        }
    }
    info
}

/// The modules of the network and what they need.
fn closure(files: &BTreeMap<String, String>, infos: &BTreeMap<String, Info>) -> BTreeSet<String> {
    let is_taken = |path: &str| {
        TAKEN.iter().any(|folder| path.starts_with(folder)) && !LEFT.iter().any(|folder| path.starts_with(folder))
    };
    let mut wanted: Vec<_> = files
        .iter()
        .filter(|(_, path)| is_taken(path))
        .map(|(name, _)| name.clone())
        .collect();
    let mut names = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        let depends = infos.get(&name).map_or(&[][..], |info| &info.depends);
        if names.insert(name) {
            wanted.extend_from_slice(depends);
        }
    }
    names
}

/// `modules.dep`: each module's path and those of all it needs, the nearest first, as modprobe(8) loads them from the end.
fn dependencies(names: &BTreeSet<String>, files: &BTreeMap<String, String>, infos: &BTreeMap<String, Info>) -> String {
    let mut text = String::new();
    for (name, path) in names.iter().filter_map(|name| Some((name, files.get(name)?))) {
        let mut order = Vec::new();
        needs(name, infos, &mut order);
        let paths: Vec<_> = order
            .iter()
            .rev()
            .filter_map(|name| files.get(*name))
            .map(String::as_str)
            .collect();
        text += &format!("{path}: {}\n", paths.join(" "));
    }
    text
}

/// Everything a module needs, in the order of loading.
fn needs<'a>(name: &str, infos: &'a BTreeMap<String, Info>, order: &mut Vec<&'a str>) {
    for needed in infos.get(name).map_or(&[][..], |info| &info.depends) {
        if !order.contains(&needed.as_str()) {
            needs(needed, infos, order);
            order.push(needed);
        }
    }
}

fn aliases(names: &BTreeSet<String>, infos: &BTreeMap<String, Info>) -> String {
    let of = |name: &String| {
        infos.get(name).map_or(Vec::new(), |info| {
            info.aliases
                .iter()
                .map(|alias| format!("alias {alias} {name}\n"))
                .collect()
        })
    };
    names.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> (BTreeMap<String, String>, BTreeMap<String, Info>) {
        let rows = [
            ("bridge", "kernel/net/bridge/bridge.ko", &["stp", "llc"][..]),
            ("stp", "kernel/net/802/stp.ko", &["llc"]),
            ("llc", "kernel/net/llc/llc.ko", &[]),
            ("sctp", "kernel/net/sctp/sctp.ko", &["libcrc32c"]),
            ("libcrc32c", "kernel/lib/libcrc32c.ko", &[]),
            ("e1000", "kernel/drivers/net/ethernet/e1000.ko", &[]),
        ];
        let files = rows
            .iter()
            .map(|(name, path, _)| ((*name).to_owned(), (*path).to_owned()))
            .collect();
        let info = |depends: &[&str]| Info {
            depends: depends.iter().map(|name| (*name).to_owned()).collect(),
            aliases: Vec::new(),
        };
        (
            files,
            rows.iter()
                .map(|(name, _, depends)| ((*name).to_owned(), info(depends)))
                .collect(),
        )
    }

    #[test]
    fn a_module_says_what_it_needs_and_what_it_is_called() {
        let module = b"\x7fELF\0license=GPL\0alias=rtnl-link-bridge\0depends=stp,nf-log\0alias=x\0name=bridge\0";
        let expected = Info {
            depends: vec!["stp".to_owned(), "nf_log".to_owned()],
            aliases: vec!["rtnl-link-bridge".to_owned(), "x".to_owned()],
        };
        assert_eq!(info(module), expected);
    }

    #[test]
    fn what_the_network_needs_from_elsewhere_comes_along_and_cards_stay() {
        let (files, infos) = world();
        let names: Vec<_> = closure(&files, &infos).into_iter().collect();
        assert_eq!(names, ["bridge", "libcrc32c", "llc", "sctp", "stp"]);
    }

    #[test]
    fn a_module_is_loaded_after_all_it_needs() {
        let (files, infos) = world();
        let text = dependencies(&closure(&files, &infos), &files, &infos);
        assert!(
            text.contains("kernel/net/bridge/bridge.ko: kernel/net/802/stp.ko kernel/net/llc/llc.ko\n"),
            "{text}"
        );
        assert!(text.contains("kernel/net/llc/llc.ko: \n"), "{text}");
    }
}
