//! What a test machine consists of: tools of this machine with their libraries, the tests, and a plan what to run.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::cpio::Archive;
use crate::setup::{self, Group, Kernel};
use crate::{process, workspace};

/// Where the tests and the agent are in the machine.
const HOME: &str = "/fairlead";

/// Folders and files of this machine that its tools read; what is not there is not needed.
const DATA: [&str; 9] = [
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/protocols",
    "/etc/services",
    "/etc/iproute2",
    "/etc/nginx",
    "/usr/share/iproute2",
    "/usr/lib/x86_64-linux-gnu/xtables",
];

/// Programs of this machine beside those of the netns group; packages of that group bring them.
const PROGRAMS: [&str; 3] = ["bridge", "ss", "tc"];
/// The program of the group that is busybox's there: kmod's reads an index that only depmod writes.
const BUSYBOX: &str = "modprobe";

/// What is run, and from where.
pub(super) struct Contents<'a> {
    /// The agent as it would be installed.
    pub(super) agent: &'a Path,
    /// Programs that the tests start, found beside them.
    pub(super) helpers: &'a [PathBuf],
    /// Test binaries and their arguments, run in this order.
    pub(super) tests: &'a [TestRun],
    /// Whether the arguments choose tests by a name that the user gave.
    pub(super) is_filtered: bool,
}

/// One test binary and how it is called.
pub(super) struct TestRun {
    pub(super) name: &'static str,
    pub(super) binary: PathBuf,
    pub(super) arguments: Vec<String>,
}

/// Writes an archive that a kernel can start from.
///
/// # Errors
/// What cannot be read or written.
pub(super) fn write(target: &Path, kernel: &Kernel, contents: &Contents<'_>) -> Result<()> {
    let file = File::create(target).with_context(|| format!("{}: cannot be written", target.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));
    archive.copy(&setup::busybox()?, "/bin/busybox")?;
    archive.file("/init", 0o755, include_bytes!("init.sh"))?;
    archive.file(&format!("{HOME}/plan"), 0o644, plan(contents.tests).as_bytes())?;
    // The kernel loads its modules by this name; busybox is named after what it is called as.
    archive.link("/sbin/modprobe", "/bin/busybox")?;
    tree(&mut archive, &kernel.modules, "/lib/modules")?;
    for path in DATA.map(Path::new).into_iter().filter(|path| path.exists()) {
        tree(&mut archive, path, &path.to_string_lossy())?;
    }
    examples(&mut archive)?;
    programs(&mut archive, contents)?;
    archive.finish()?;
    Ok(())
}

/// The manifests that tests read, where they expect them: below the checkout, from the folder of the package `tests`.
fn examples(archive: &mut Archive<BufWriter<File>>) -> Result<()> {
    let root = workspace::root();
    archive.folder(&root.join("tests").to_string_lossy())?;
    let examples = root.join("examples");
    tree(archive, &examples, &examples.to_string_lossy())
}

/// Puts the programs in, and the libraries that they and their plug-ins load.
fn programs(archive: &mut Archive<BufWriter<File>>, contents: &Contents<'_>) -> Result<()> {
    let names = setup::programs(Group::Netns)
        .filter(|name| *name != BUSYBOX)
        .chain(PROGRAMS);
    // A missing tool is the set-up's business; some of its own need none (a shell builtin, busybox).
    let tools: Vec<_> = names.filter_map(process::find).collect();
    let mut libraries = BTreeSet::new();
    for tool in &tools {
        archive.copy(tool, &tool.to_string_lossy())?;
        libraries.extend(libraries_of(tool)?);
    }
    let tests = contents.tests.iter().map(|test| &test.binary);
    let ours = tests
        .chain(contents.helpers)
        .map(PathBuf::as_path)
        .chain([contents.agent]);
    for binary in ours {
        archive.copy(binary, &format!("{HOME}/{}", file_name(binary)))?;
        libraries.extend(libraries_of(binary)?);
    }
    for library in libraries {
        archive.copy(Path::new(&library), &library)?;
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The shared libraries that a program loads, the loader among them; none for one that is linked statically.
fn libraries_of(program: &Path) -> Result<Vec<String>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("ldd cannot be started")?;
    Ok(libraries_in(&String::from_utf8_lossy(&output.stdout)))
}

/// The paths in ldd's lines `name => /path (0x...)` and `/path (0x...)`.
fn libraries_in(text: &str) -> Vec<String> {
    let paths = text.lines().filter_map(|line| {
        let path = line.split(" => ").last()?.trim().split(" (").next()?;
        path.starts_with('/').then(|| path.to_owned())
    });
    paths.collect()
}

/// A file, or a folder with all below it.
fn tree(archive: &mut Archive<BufWriter<File>>, from: &Path, path: &str) -> Result<()> {
    if !from.is_dir() {
        return archive.copy(from, path);
    }
    archive.folder(path)?;
    for entry in fs::read_dir(from).with_context(|| format!("{}: cannot be read", from.display()))? {
        let entry = entry?;
        // A link to something that is not there is of no use there either.
        if entry.path().exists() {
            tree(
                archive,
                &entry.path(),
                &format!("{path}/{}", entry.file_name().to_string_lossy()),
            )?;
        }
    }
    Ok(())
}

/// The shell lines that run the tests, each between two marks.
fn plan(tests: &[TestRun]) -> String {
    let mut text = format!("export FAIRLEAD={HOME}/fairlead\ncd {HOME}\n");
    for test in tests {
        let (name, file) = (test.name, file_name(&test.binary));
        let arguments: String = test.arguments.iter().map(|argument| format!(" '{argument}'")).collect();
        text += &format!("echo '{BEGIN} {name}'\n./{file}{arguments}\necho '{END} {name}' $?\n");
    }
    text + "echo '" + DONE + "'\n"
}

/// Begins the output of a test binary, with its name.
pub(super) const BEGIN: &str = "fairlead-vm begin";
/// Ends it, with its name and exit status.
pub(super) const END: &str = "fairlead-vm end";
/// Nothing more comes.
pub(super) const DONE: &str = "fairlead-vm done";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_prints() {
        let text = "\tlinux-vdso.so.1 (0x00007ffe)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f1)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n\tlibx.so => not found\n\tstatically linked\n";
        assert_eq!(
            libraries_in(text),
            ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]
        );
    }

    #[test]
    fn the_plan_runs_each_test_between_its_marks() {
        let test = TestRun {
            name: "kernel",
            binary: "/x/kernel-1f".into(),
            arguments: vec!["--test-threads=2".into()],
        };
        let text = plan(&[test]);
        let lines: Vec<_> = text.lines().skip(2).collect();
        let expected = [
            "echo 'fairlead-vm begin kernel'",
            "./kernel-1f '--test-threads=2'",
            "echo 'fairlead-vm end kernel' $?",
        ];
        assert_eq!(lines[..3], expected);
        assert_eq!(lines[3], "echo 'fairlead-vm done'");
    }
}
