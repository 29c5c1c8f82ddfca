//! The socket over which `fairlead status` asks a running agent, found by the folder of its pins alone.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use super::Report;

/// Where the sockets of agents are.
const FOLDER: &str = "/run/fairlead";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The socket of the agent that has its pins in a folder.
pub(super) fn path(state: &Path) -> PathBuf {
    let text = state.to_string_lossy();
    let readable: String = text
        .trim_matches('/')
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    // A socket's path has 107 bytes at most (unix(7)), and two folders may read the same once their slashes are gone.
    let start: String = readable.chars().filter(char::is_ascii).take(48).collect();
    PathBuf::from(format!("{FOLDER}/{start}-{:08x}.sock", fnv(text.as_bytes())))
}

/// A hash that stays the same from version to version: FNV-1a.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// Asks the agent that has its pins in a folder. `None`: no agent answers.
#[must_use]
pub fn ask(state: &Path) -> Option<Report> {
    let answer = get(&path(state), "/status").ok()?;
    serde_json::from_str(&answer).ok()
}

/// The body of the answer to a request over a socket.
fn get(socket: &Path, page: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {page} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    if head.contains(" 200 ") {
        Ok(body.to_owned())
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_of_pins_has_a_socket_of_its_own_that_the_kernel_takes() {
        let long = format!("/sys/fs/bpf/{}", "x".repeat(300));
        let states = [
            "/sys/fs/bpf/fairlead",
            "/sys/fs/bpf-fairlead",
            "/sys/fs/bpf/fairleád",
            &long,
        ];
        let paths: std::collections::HashSet<_> = states.iter().map(|state| path(Path::new(state))).collect();
        assert_eq!(paths.len(), states.len());
        assert!(paths.iter().all(|path| path.as_os_str().len() < 108));
    }
}
