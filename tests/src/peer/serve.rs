//! The servers of a peer: they say who they are and whom they see, and send back what they get.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::session::SCTP;

/// How often a server looks whether it is to stop.
const TURN: Duration = Duration::from_millis(20);

/// Servers on one address; dropping it stops them.
#[derive(Debug)]
pub struct Serving {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

/// Listens for TCP and UDP at `at`.
///
/// A TCP server first sends a line `NAME CLIENT`, then echoes; a UDP server answers each datagram with that line followed
/// by the datagram.
///
/// # Errors
/// When the address is in use or not of this host.
pub fn serve(at: SocketAddr, name: &str) -> io::Result<Serving> {
    let listener = listen(at, Protocol::TCP)?;
    let datagrams = UdpSocket::bind(at)?;
    datagrams.set_read_timeout(Some(TURN))?;
    let stop = Arc::new(AtomicBool::new(false));
    let (tcp_name, tcp_stop) = (name.to_owned(), Arc::clone(&stop));
    let tcp = thread::spawn(move || accept(&listener, &tcp_name, &tcp_stop));
    let (udp_name, udp_stop) = (name.to_owned(), Arc::clone(&stop));
    let udp = thread::spawn(move || answer_datagrams(&datagrams, &udp_name, &udp_stop));
    Ok(Serving {
        stop,
        threads: vec![tcp, udp],
    })
}

/// Listens for SCTP at `at`; the server says and does what that of TCP does.
///
/// # Errors
/// When the kernel has no SCTP, or the address is in use or not of this host.
pub fn serve_sctp(at: SocketAddr, name: &str) -> io::Result<Serving> {
    let listener = listen(at, SCTP.into())?;
    let stop = Arc::new(AtomicBool::new(false));
    let (name, told) = (name.to_owned(), Arc::clone(&stop));
    let threads = vec![thread::spawn(move || accept(&listener, &name, &told))];
    Ok(Serving { stop, threads })
}

/// With a backlog that a load does not overflow; std asks for 128.
fn listen(at: SocketAddr, protocol: Protocol) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(protocol))?;
    socket.set_reuse_address(true)?;
    if protocol == Protocol::TCP {
        // A client of the same pod may use this port as its own; see `session`.
        socket.set_reuse_port(true)?;
    }
    socket.bind(&SockAddr::from(at))?;
    socket.listen(4096)?;
    socket.set_read_timeout(Some(TURN))?;
    Ok(socket.into())
}

/// The first line a server sends, and the head of a datagram's answer.
fn greeting(name: &str, client: SocketAddr) -> String {
    format!("{name} {client}\n")
}

fn accept(listener: &TcpListener, name: &str, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        // A receive timeout ends `accept` too; other errors are of one connection.
        if let Ok((stream, client)) = listener.accept() {
            let line = greeting(name, client);
            // A connection's end in error is the client's to report.
            // A small stack: tests keep thousands of connections open.
            let echoing = thread::Builder::new()
                .stack_size(1 << 16)
                .spawn(move || drop(echo(stream, &line)));
            drop(echoing);
        }
    }
}

fn echo(mut stream: TcpStream, line: &str) -> io::Result<()> {
    // SCTP has an option of its own for that and does not need it here.
    let _ = stream.set_nodelay(true);
    // An accepted socket inherits the listener's, which would end a conversation that pauses.
    stream.set_read_timeout(None)?;
    stream.write_all(line.as_bytes())?;
    let mut buffer = vec![0; 1 << 14];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            got => stream.write_all(&buffer[..got])?,
        }
    }
}

fn answer_datagrams(socket: &UdpSocket, name: &str, stop: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((got, client)) = socket.recv_from(&mut buffer) {
            let mut answer = greeting(name, client).into_bytes();
            answer.extend_from_slice(&buffer[..got]);
            // A client that is gone needs no answer.
            let _ = socket.send_to(&answer, client);
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A server thread has nothing to panic about; if it did, it has stopped as well.
            let _ = thread.join();
        }
    }
}
