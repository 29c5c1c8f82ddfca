//! One page of a server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context, Result};

/// Asks for a page, from the calling thread's namespace; returns the whole answer, its head included.
///
/// # Errors
/// When nobody listens at `address`, or the connection breaks.
pub(crate) fn get(address: &str, page: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("http://{address}{page}"))?;
    write!(stream, "GET {page} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Sends JSON to a page, from the calling thread's namespace; returns the whole answer, its head included.
///
/// # Errors
/// As [`get`].
#[cfg(feature = "cluster")]
pub(crate) fn post(address: &str, page: &str, json: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("http://{address}{page}"))?;
    let length = json.len();
    let head = format!("POST {page} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(json.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
