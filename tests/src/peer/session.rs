//! One conversation with a server, over TCP or UDP.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Open, Opened, Transport, monotonic};

/// The number of SCTP among IP's protocols.
pub(super) const SCTP: i32 = 132;

/// An open conversation.
#[derive(Debug)]
pub struct Session {
    socket: Ends,
    to: SocketAddr,
}

#[derive(Debug)]
enum Ends {
    Stream(BufReader<TcpStream>),
    Http(BufReader<TcpStream>),
    Datagrams { socket: UdpSocket, connected: bool },
}

impl Session {
    /// Opens a conversation and learns from the server's first answer who it is; the number in it is 0.
    ///
    /// # Errors
    /// What the socket said; `TimedOut` when the server was silent.
    pub fn open(how: &Open) -> io::Result<(Self, Opened)> {
        match how.transport {
            Transport::Tcp | Transport::Sctp => Self::open_stream(how),
            Transport::Http => Self::open_http(how),
            Transport::Udp => Self::open_datagrams(how, true),
            Transport::UdpUnconnected => Self::open_datagrams(how, false),
        }
    }

    fn open_http(how: &Open) -> io::Result<(Self, Opened)> {
        let (stream, connected) = connect(how)?;
        let mut reader = BufReader::new(stream);
        let (local, remote) = (reader.get_ref().local_addr()?, reader.get_ref().peer_addr()?);
        let (server, seen) = parse_greeting(&get(&mut reader, how.to)?)?;
        let session = Self {
            socket: Ends::Http(reader),
            to: how.to,
        };
        Ok((
            session,
            Opened {
                id: 0,
                server,
                seen,
                local,
                remote,
                connected,
            },
        ))
    }

    fn open_stream(how: &Open) -> io::Result<(Self, Opened)> {
        let (stream, connected) = connect(how)?;
        let mut reader = BufReader::new(stream);
        let (local, remote) = (reader.get_ref().local_addr()?, reader.get_ref().peer_addr()?);
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (server, seen) = parse_greeting(&line)?;
        let session = Self {
            socket: Ends::Stream(reader),
            to: how.to,
        };
        Ok((
            session,
            Opened {
                id: 0,
                server,
                seen,
                local,
                remote,
                connected,
            },
        ))
    }

    fn open_datagrams(how: &Open, connected: bool) -> io::Result<(Self, Opened)> {
        let socket = bound(how, Type::DGRAM, Protocol::UDP)?;
        if connected {
            socket.connect(&SockAddr::from(how.to))?;
        }
        let socket = UdpSocket::from(socket);
        socket.set_read_timeout(Some(how.within))?;
        let mut session = Self {
            socket: Ends::Datagrams { socket, connected },
            to: how.to,
        };
        let (head, sender) = session.datagram(b"hello")?;
        let arrived = monotonic()?;
        let (server, seen) = parse_greeting(&head)?;
        let Ends::Datagrams { socket, .. } = &session.socket else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let local = socket.local_addr()?;
        let remote = if connected { socket.peer_addr()? } else { sender };
        Ok((
            session,
            Opened {
                id: 0,
                server,
                seen,
                local,
                remote,
                connected: arrived,
            },
        ))
    }

    /// Sends `bytes` bytes, waits for the same bytes to come back, and returns the server's name where each answer has it.
    ///
    /// # Errors
    /// What the socket said; `InvalidData` when other bytes came back; `UnexpectedEof` when the server closed.
    pub fn exchange(&mut self, bytes: usize, within: Duration) -> io::Result<Option<String>> {
        let message: Vec<u8> = (0..bytes).map(|at| (at % 251).to_le_bytes()[0]).collect();
        match &mut self.socket {
            Ends::Stream(reader) => {
                exchange_stream(reader, &message, within)?;
                Ok(None)
            }
            Ends::Http(reader) => {
                reader.get_ref().set_read_timeout(Some(within))?;
                Ok(Some(parse_greeting(&get(reader, self.to)?)?.0))
            }
            Ends::Datagrams { socket, .. } => {
                socket.set_read_timeout(Some(within))?;
                let (head, _) = self.datagram(&message)?;
                Ok(Some(parse_greeting(&head)?.0))
            }
        }
    }

    /// Sends a datagram; returns the head of the answer and who sent it.
    fn datagram(&mut self, message: &[u8]) -> io::Result<(String, SocketAddr)> {
        let Ends::Datagrams { socket, connected } = &self.socket else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if *connected {
            socket.send(message)?;
        } else {
            socket.send_to(message, self.to)?;
        }
        let mut buffer = vec![0; 1 << 16];
        let (got, sender) = socket.recv_from(&mut buffer)?;
        let answer = &buffer[..got];
        let end = answer
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(io::ErrorKind::InvalidData)?;
        if &answer[end + 1..] != message {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "another datagram came back"));
        }
        Ok((String::from_utf8_lossy(&answer[..end]).into_owned(), sender))
    }

    /// Makes closing send a reset.
    ///
    /// # Errors
    /// When the socket option is refused.
    pub fn abort(self) -> io::Result<()> {
        match self.socket {
            Ends::Stream(reader) | Ends::Http(reader) => {
                Socket::from(reader.into_inner()).set_linger(Some(Duration::ZERO))
            }
            Ends::Datagrams { .. } => Ok(()),
        }
    }
}

/// A socket bound as `how` says; a fixed port may still be held by an earlier connection of the same test.
fn bound(how: &Open, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(how.to), kind, Some(protocol))?;
    if let Some(from) = how.from {
        socket.set_reuse_address(true)?;
        if kind == Type::STREAM {
            // Even the port that a server of the same host listens on.
            socket.set_reuse_port(true)?;
        }
        socket.bind(&SockAddr::from(from))?;
    }
    Ok(socket)
}

/// Connects a datagram socket and closes it.
///
/// # Errors
/// What the socket said.
pub fn dial(to: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    socket.connect(&SockAddr::from(to))
}

/// A connection, and when it was there.
fn connect(how: &Open) -> io::Result<(TcpStream, Duration)> {
    let is_sctp = how.transport == Transport::Sctp;
    let protocol = if is_sctp { SCTP.into() } else { Protocol::TCP };
    let socket = bound(how, Type::STREAM, protocol)?;
    if is_sctp && how.to.is_ipv6() {
        // An association tells the other end all addresses of its socket: those of one family here.
        socket.set_only_v6(true)?;
    }
    socket.connect_timeout(&SockAddr::from(how.to), how.within)?;
    let connected = monotonic()?;
    if !is_sctp {
        socket.set_tcp_nodelay(true)?;
    }
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(how.within))?;
    Ok((stream, connected))
}

/// One request on a connection that stays open; returns the body, which has to come with its length.
fn get(reader: &mut BufReader<TcpStream>, to: SocketAddr) -> io::Result<String> {
    // At once: written piece by piece every piece would be a packet.
    let request = format!("GET / HTTP/1.1\r\nHost: {to}\r\n\r\n");
    reader.get_mut().write_all(request.as_bytes())?;
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.split(' ').nth(1) != Some("200") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, line));
    }
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let header = line.trim_end().to_ascii_lowercase();
        match header.strip_prefix("content-length:") {
            Some(value) => length = value.trim().parse().map_err(io::Error::other)?,
            None if header.is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    String::from_utf8(body).map_err(io::Error::other)
}

fn parse_greeting(line: &str) -> io::Result<(String, SocketAddr)> {
    let parts = line
        .trim_end()
        .split_once(' ')
        .and_then(|(name, seen)| Some((name.to_owned(), seen.parse().ok()?)));
    parts.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("no greeting: {line:?}")))
}

/// Writes on one thread and reads on the other: a long message does not wait for buffers on the way.
fn exchange_stream(reader: &mut BufReader<TcpStream>, message: &[u8], within: Duration) -> io::Result<()> {
    reader.get_ref().set_read_timeout(Some(within))?;
    reader.get_ref().set_write_timeout(Some(within))?;
    let mut echoed = vec![0; message.len()];
    if message.len() <= 1024 {
        reader.get_mut().write_all(message)?;
        reader.read_exact(&mut echoed)?;
    } else {
        let mut writer = reader.get_ref().try_clone()?;
        std::thread::scope(|scope| {
            let sent = scope.spawn(move || writer.write_all(message));
            let read = reader.read_exact(&mut echoed);
            sent.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            read
        })?;
    }
    if echoed != message {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "other bytes came back"));
    }
    Ok(())
}
