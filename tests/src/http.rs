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
