//! What arrives in a namespace, byte for byte.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

use crate::netns::NetNs;

/// How often a capture looks whether it is to stop.
const TURN: Duration = Duration::from_millis(20);

/// Every frame, in both directions.
const ETH_P_ALL: u16 = 3;

/// A capture on all devices of a namespace.
#[derive(Debug)]
pub struct Capture {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<Vec<Vec<u8>>>>,
}

impl Capture {
    /// Starts capturing; frames from now on are kept.
    ///
    /// # Errors
    /// When packet sockets are not permitted.
    pub fn start(netns: &NetNs) -> Result<Self> {
        let socket = netns.run(|| {
            let all = Protocol::from(i32::from(ETH_P_ALL.to_be()));
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(all))?;
            socket.set_recv_buffer_size(1 << 24)?;
            socket.set_read_timeout(Some(TURN))?;
            Ok::<_, std::io::Error>(socket)
        })?;
        let socket = socket.with_context(|| format!("packet socket in {}", netns.name()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        Ok(Self {
            stop,
            thread: Some(thread::spawn(move || collect(socket, &seen))),
        })
    }

    /// Stops and returns the frames, from the Ethernet header on.
    pub fn stop(mut self) -> Vec<Vec<u8>> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().map(thread::JoinHandle::join);
        thread.map_or_else(Vec::new, |frames| {
            frames.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

fn collect(mut socket: Socket, stop: &AtomicBool) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match socket.read(&mut buffer) {
            Ok(got) => frames.push(buffer[..got].to_vec()),
            // Only when there is nothing more to read does the order to stop count.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if stop.load(Ordering::Relaxed) {
                    return frames;
                }
            }
            Err(_) => return frames,
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
