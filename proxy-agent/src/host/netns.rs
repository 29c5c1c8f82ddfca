//! Network namespaces: the host's own, and those behind its devices, each known by the cookie that its sockets have.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, AsRawFd as _},
        unix::fs::MetadataExt as _,
    },
    path::PathBuf,
    thread,
};

use nix::{
    getsockopt_impl,
    sched::{CloneFlags, setns},
    sockopt_impl,
    sys::socket::{AddressFamily, SockFlag, SockType, getsockopt, socket},
};

use super::{
    links::Link,
    netlink::{Netlink, attributes, number_attribute, word},
};

sockopt_impl!(
    /// The cookie of a socket's network namespace (Linux 5.14): what the socket hooks see.
    NetnsCookie,
    GetOnly,
    libc::SOL_SOCKET,
    libc::SO_NETNS_COOKIE,
    u64
);

const RTM_GETNSID: u16 = 90;
const GENERIC_HEADER: usize = 4;
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

/// The cookie of the thread's network namespace.
///
/// # Errors
/// The kernel's.
pub fn own_cookie() -> io::Result<u64> {
    let probe = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    Ok(getsockopt(&probe, NetnsCookie)?)
}

/// The cookie of another network namespace, asked for on a thread that enters it and ends there.
///
/// # Errors
/// The kernel's.
pub fn cookie(namespace: impl AsFd + Sync) -> io::Result<u64> {
    let namespace = namespace.as_fd();
    thread::scope(|scope| {
        let visitor = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            own_cookie()
        });
        visitor
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
    })
}

/// The cookies of the namespaces behind devices, remembered as long as the device is there.
#[derive(Debug, Default)]
pub struct Namespaces {
    /// By interface index and this namespace's number for the other one: a number is given to another namespace once no
    /// device leads to the first.
    known: BTreeMap<(u32, i32), u64>,
}

impl Namespaces {
    /// The cookies of the namespaces that devices lead to, by interface index. One that cannot be found, because nothing
    /// that is visible here is in it yet, is missing.
    ///
    /// # Errors
    /// The kernel's, if it cannot be asked at all.
    pub fn find(&mut self, links: &BTreeMap<u32, Link>) -> io::Result<BTreeMap<u32, u64>> {
        let wanted: BTreeSet<(u32, i32)> = links
            .values()
            .filter_map(|link| Some((link.index, link.peer_namespace?)))
            .collect();
        self.known.retain(|key, _| wanted.contains(key));
        let missing: BTreeSet<i32> = wanted
            .iter()
            .filter(|key| !self.known.contains_key(key))
            .map(|(_, number)| *number)
            .collect();
        if !missing.is_empty() {
            let found = search(missing)?;
            let new = wanted.iter().filter_map(|key| Some((*key, *found.get(&key.1)?)));
            self.known.extend(new);
        }
        Ok(self
            .known
            .iter()
            .map(|((index, _), cookie)| (*index, *cookie))
            .collect())
    }

    /// Whether devices lead to namespaces that were not found.
    #[must_use]
    pub fn are_missing(&self, links: &BTreeMap<u32, Link>) -> bool {
        let wanted = links.values().filter(|link| link.peer_namespace.is_some()).count();
        self.known.len() < wanted
    }
}

/// Looks through all namespaces that have a name or a process until the wanted ones are found.
fn search(mut wanted: BTreeSet<i32>) -> io::Result<BTreeMap<i32, u64>> {
    let mut socket = Netlink::open(0)?;
    let (mut found, mut seen) = (BTreeMap::new(), BTreeSet::new());
    for path in named().chain(of_processes()) {
        if wanted.is_empty() {
            break;
        }
        // A process may have ended, and a name may be left over from one.
        let Ok(namespace) = File::open(&path) else { continue };
        let Ok(metadata) = namespace.metadata() else { continue };
        if !seen.insert((metadata.dev(), metadata.ino())) {
            continue;
        }
        let Ok(number) = number_of(&mut socket, &namespace) else {
            continue;
        };
        if wanted.contains(&number)
            && let Ok(cookie) = cookie(&namespace)
        {
            wanted.remove(&number);
            found.insert(number, cookie);
        }
    }
    Ok(found)
}

fn named() -> impl Iterator<Item = PathBuf> {
    ["/run/netns", "/run/docker/netns"]
        .into_iter()
        .flat_map(fs::read_dir)
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

fn of_processes() -> impl Iterator<Item = PathBuf> {
    let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(move |entry| entry.file_name().to_str().is_some_and(is_process))
        .map(|entry| entry.path().join("ns/net"))
}

/// This namespace's number for another one; negative if it has none.
fn number_of(socket: &mut Netlink, namespace: &File) -> io::Result<i32> {
    let mut request = vec![0; GENERIC_HEADER];
    request.extend(number_attribute(NETNSA_FD, namespace.as_raw_fd().cast_unsigned()));
    let answer = socket.get(RTM_GETNSID, &request)?;
    let mut numbers = attributes(&answer.payload, GENERIC_HEADER).filter(|(kind, _)| *kind == NETNSA_NSID);
    let number = numbers.next().and_then(|(_, value)| word(value, 0));
    number
        .map(u32::cast_signed)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_namespace_has_the_same_cookie_from_inside_and_outside() {
        let own = own_cookie().expect("a socket");
        assert_ne!(own, 0);
        let namespace = File::open("/proc/self/ns/net").expect("the own namespace");
        match cookie(&namespace) {
            Ok(cookie) => assert_eq!(cookie, own),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}"),
        }
    }
}
