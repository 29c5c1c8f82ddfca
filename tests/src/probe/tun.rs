//! Two tun devices joined by a thread that reads every packet: a link without a link header, and a real serialisation.
//!
//! A tun device takes no unfinished packets: what is read from it has every checksum computed and is cut to the MTU. What
//! is written to the other one comes in unchecked, and the receiver's stack checks all of it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::netns::NetNs;

/// How often the thread looks whether it is to stop, in milliseconds.
const TURN: u16 = 20;
/// The longest packet that a device without an MTU of its own could bring.
const LONGEST: usize = 1 << 16;

/// The packets that passed since the last look, from the IP header on.
#[derive(Debug, Default)]
pub struct Passed {
    /// From the first namespace to the second.
    pub there: Vec<Vec<u8>>,
    /// From the second namespace to the first.
    pub back: Vec<Vec<u8>>,
}

/// Two joined devices; both go when this goes.
#[derive(Debug)]
pub struct TunWire {
    passed: Arc<Mutex<Passed>>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl TunWire {
    /// Makes a device in each of two namespaces, both up and without addresses, and carries packets between them.
    ///
    /// # Errors
    /// When a device cannot be made, for example because its name is taken.
    pub fn join(first: (&NetNs, &str), second: (&NetNs, &str)) -> Result<Self> {
        let ends = [device(first)?, device(second)?];
        let passed = Arc::new(Mutex::new(Passed::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (told, seen) = (Arc::clone(&stop), Arc::clone(&passed));
        Ok(Self {
            passed,
            stop,
            thread: Some(thread::spawn(move || carry(ends, &told, &seen))),
        })
    }

    /// What passed since the last call.
    pub fn passed(&self) -> Passed {
        std::mem::take(&mut *self.passed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for TunWire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The thread has nothing to panic about; if it did, it has stopped as well.
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

fn device((netns, name): (&NetNs, &str)) -> Result<File> {
    let end = netns.run(|| open(name))?;
    let end = end.with_context(|| format!("tun device {name} in {}", netns.name()))?;
    netns.ip(&format!("link set {name} up"))?;
    Ok(end)
}

/// Opens a device of the thread's own namespace, which vanishes with the file (Documentation/networking/tuntap.rst).
fn open(name: &str) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    if name.len() >= libc::IFNAMSIZ {
        return Err(ErrorKind::InvalidInput.into());
    }
    // The name, then the flags: IP packets, and nothing before them.
    let mut request = [0_u8; 40];
    request[..name.len()].copy_from_slice(name.as_bytes());
    let [low, high] = (libc::IFF_TUN | libc::IFF_NO_PI).to_le_bytes()[..2] else {
        return Err(ErrorKind::InvalidInput.into());
    };
    (request[libc::IFNAMSIZ], request[libc::IFNAMSIZ + 1]) = (low, high);
    // SAFETY: the kernel reads and writes one `struct ifreq`, 40 bytes, of which name and flags are given.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, request.as_mut_ptr()) };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(file)
    }
}

fn carry(ends: [File; 2], stop: &AtomicBool, passed: &Mutex<Passed>) {
    let mut buffer = vec![0; LONGEST];
    while !stop.load(Ordering::Relaxed) {
        let mut wanted = [
            PollFd::new(ends[0].as_fd(), PollFlags::POLLIN),
            PollFd::new(ends[1].as_fd(), PollFlags::POLLIN),
        ];
        if poll(&mut wanted, PollTimeout::from(TURN)).is_err() {
            continue;
        }
        for from in [0, 1] {
            // Each turn takes what is there of one side, but no more: the other side waits.
            for _ in 0..64 {
                let Ok(length) = (&ends[from]).read(&mut buffer) else {
                    break;
                };
                let packet = &buffer[..length];
                note(passed, from, packet);
                // A full queue or a device that is down loses packets, as a wire does.
                let _ = (&ends[1 - from]).write(packet);
            }
        }
    }
}

fn note(passed: &Mutex<Passed>, from: usize, packet: &[u8]) {
    let mut passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
    let side = if from == 0 { &mut passed.there } else { &mut passed.back };
    side.push(packet.to_vec());
}
