//! Speaks for an address that no device has, as the load balancers do whose address is one node's at a time: it answers who
//! asks for the address on the segment, and what is sent there then comes to this host.

use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use socket2::{SockAddr, Socket};

use crate::probe::{
    ETH_P_ARP, ETH_P_IPV6, Neighbour, announcement, answer, asker, own_hardware_address, packet_socket,
};

/// How often a speaker looks whether it is to stop.
const TURN: Duration = Duration::from_millis(20);

/// A speaker; it is silent when this goes.
#[derive(Debug)]
pub struct Speaking {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Announces an address at a device, once, and answers for it from now on with the device's hardware address.
///
/// # Errors
/// When there is no such device, or packet sockets are not permitted.
pub fn speak(device: &str, address: IpAddr) -> io::Result<Speaking> {
    let kind = match address {
        IpAddr::V4(_) => ETH_P_ARP,
        IpAddr::V6(_) => ETH_P_IPV6,
    };
    let own = Neighbour {
        mac: own_hardware_address(device)?,
        address,
    };
    let (socket, device) = packet_socket(device, kind)?;
    socket.set_read_timeout(Some(TURN))?;
    socket.send_to(&announcement(own), &device)?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let thread = thread::spawn(move || answer_all(&socket, &device, own, &told));
    Ok(Speaking {
        stop,
        thread: Some(thread),
    })
}

fn answer_all(mut socket: &Socket, device: &SockAddr, own: Neighbour, stop: &AtomicBool) {
    let mut frame = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        // A receive timeout is no frame.
        let Ok(got) = socket.read(&mut frame) else { continue };
        if let Some(asker) = asker(&frame[..got], own.address).filter(|asker| asker.mac != own.mac) {
            // Who is not answered asks again.
            let _ = socket.send_to(&answer(own, asker), device);
        }
    }
}

impl Drop for Speaking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The thread has nothing to panic about; if it did, it has stopped as well.
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}
