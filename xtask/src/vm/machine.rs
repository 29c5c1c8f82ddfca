//! A virtual machine from its start to its end, or to its deadline.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::PROCESSORS;

/// Lines of the console that are shown when something went wrong.
const TAIL: usize = 25;

/// How a machine's run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It switched itself off.
    Off,
    /// It was still running at the deadline.
    Deadline,
}

/// Boots a kernel, gives every line of its second serial line to `each`, and waits until it is off.
///
/// The kernel's own messages go to the file `console`.
///
/// # Errors
/// QEMU cannot be started.
pub(super) fn run(
    image: &Path,
    initramfs: &Path,
    console: &Path,
    patience: Duration,
    mut each: impl FnMut(&str),
) -> Result<End> {
    let mut machine = start(image, initramfs, console)?;
    let lines = machine.lines()?;
    let deadline = Instant::now() + patience;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => each(&line),
            Err(RecvTimeoutError::Disconnected) => return Ok(End::Off),
            Err(RecvTimeoutError::Timeout) => return Ok(End::Deadline),
        }
    }
}

/// The last lines of a machine's console.
pub(super) fn tail(console: &Path) -> String {
    let text = fs::read(console)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// A running machine; it ends with this value.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(image: &Path, initramfs: &Path, console: &Path) -> Result<Machine> {
    let mut qemu = Command::new("qemu-system-x86_64");
    // Emulation, always: /dev/kvm may exist and not work, and a floor that depends on it would differ by machine.
    qemu.args([
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-m",
        "3072",
        "-smp",
        &PROCESSORS.to_string(),
    ]);
    qemu.args([
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-net",
        "none",
    ]);
    qemu.arg("-kernel").arg(image).arg("-initrd").arg(initramfs);
    // A kernel that gives up reboots at once, which ends the machine.
    qemu.args(["-append", "console=ttyS0 panic=-1 rdinit=/init"]);
    qemu.arg("-serial")
        .arg(format!("file:{}", console.display()))
        .args(["-serial", "stdio"]);
    let child = qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    Ok(Machine(child.context("qemu-system-x86_64 cannot be started")?))
}

impl Machine {
    /// The lines of its standard output, until it ends.
    fn lines(&mut self) -> Result<Receiver<String>> {
        let stdout = self.0.stdout.take().context("QEMU's output is not ours")?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }
}
