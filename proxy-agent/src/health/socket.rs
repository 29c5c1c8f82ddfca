//! The socket over which `fairlead status` asks a running agent, found by the folder of its pins alone.

use std::{
    io::{self, Read as _, Write as _},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixStream},
    },
    path::Path,
    time::Duration,
};

use nix::{
    sys::socket::{getsockopt, sockopt::PeerCredentials},
    unistd::geteuid,
};

use super::Report;
use crate::hash;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest name of a socket without a file (unix(7)).
const LONGEST: usize = 107;

/// The socket of the agent that has its pins in a folder: one without a file, so that none is left behind by an agent
/// that is killed. It is seen in the agent's network namespace only.
pub(super) fn address(state: &Path) -> io::Result<SocketAddr> {
    // However the folder was typed.
    let folder = state.canonicalize().unwrap_or_else(|_| state.to_owned());
    let text = folder.to_string_lossy();
    let mut name = format!("fairlead {text}");
    if name.len() > LONGEST {
        name = format!("fairlead {:016x}", hash::stable(text.as_bytes()));
    }
    SocketAddr::from_abstract_name(name)
}

/// Asks the agent that has its pins in a folder. `None`: no agent answers.
#[must_use]
pub fn ask(state: &Path) -> Option<Report> {
    let answer = get(&address(state).ok()?, "/status").ok()?;
    serde_json::from_str(&answer).ok()
}

/// The body of the answer to a request over a socket.
fn get(address: &SocketAddr, page: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect_addr(address)?;
    // Anybody on the machine could have taken the name.
    let peer = getsockopt(&stream, PeerCredentials)?;
    if peer.uid() != 0 && peer.uid() != geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
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
        let long = ["a", "b"].map(|end| format!("/sys/fs/bpf/{}{end}", "x".repeat(300)));
        let states = [
            "/sys/fs/bpf/fairlead",
            "/sys/fs/bpf-fairlead",
            "/sys/fs/bpf/fairleád",
            &long[0],
            &long[1],
        ];
        let addresses = states.map(|state| address(Path::new(state)).expect("an address"));
        let names: std::collections::HashSet<_> = addresses
            .iter()
            .map(|address| address.as_abstract_name().expect("a name"))
            .collect();
        assert_eq!(names.len(), states.len());
    }
}
