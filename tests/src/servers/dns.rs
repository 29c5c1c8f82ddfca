//! A DNS server whose answer names it, over UDP and TCP, and `dig` to ask it.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cluster::Place;
use crate::peer::Transport;
use crate::plan::{Dual, Ip};
use crate::process::Process;
use crate::wait;

/// The name whose TXT record is the server's label.
const QUESTION: &str = "who.fairlead.test";

/// The name whose TXT record is the label of a cache: it does not ask others for this one.
pub const OF_CACHE: &str = "cache.fairlead.test";

/// The port of name servers.
const PORT: u16 = 53;

/// A running dnsmasq; stopped when dropped.
#[derive(Debug)]
pub struct Dns {
    /// Its process.
    pub process: Process,
}

impl Dns {
    /// Starts it on one port of every address of the place, and waits until it answers on both of `address`.
    ///
    /// # Errors
    /// When it is not installed or does not answer: then with what it said.
    pub fn start(place: &Place, address: Dual, port: u16) -> Result<Self> {
        let mut command = dnsmasq(port);
        command.arg(format!("--txt-record={QUESTION},{}", place.label()));
        let process = place.start(&format!("dnsmasq-{port}"), &mut command)?;
        for ip in Ip::BOTH {
            let ask = || dig(place, Transport::Udp, address.at(ip, port)).map(Some);
            wait::until("dnsmasq answers", wait::PATIENCE, ask).with_context(|| process.log())?;
        }
        Ok(Self { process })
    }

    /// Starts one at these addresses of a place that asks `upstream`, each time, for all but [`OF_CACHE`], and waits until it
    /// answers at each.
    ///
    /// # Errors
    /// As [`Dns::start`].
    pub fn cache(place: &Place, addresses: &[IpAddr], upstream: SocketAddr) -> Result<Self> {
        let mut command = dnsmasq(PORT);
        command
            .arg(format!("--txt-record={OF_CACHE},{}", place.label()))
            .arg(format!("--server={}#{}", upstream.ip(), upstream.port()))
            .arg("--bind-interfaces")
            .args(addresses.iter().map(|own| format!("--listen-address={own}")));
        let process = place.start("dnsmasq-cache", &mut command)?;
        for own in addresses {
            let ask = || ask(place, Transport::Udp, SocketAddr::new(*own, PORT), OF_CACHE).map(Some);
            wait::until("the cache answers", wait::PATIENCE, ask).with_context(|| process.log())?;
        }
        Ok(Self { process })
    }
}

/// One that knows nothing, and asks nobody, but what it is told.
fn dnsmasq(port: u16) -> Command {
    let mut command = Command::new("dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
    ]);
    command.args(["--pid-file=", "--log-facility=-"]);
    command.arg(format!("--port={port}"));
    command
}

/// Asks the DNS server at `to` by `dig` who it is, once, with two seconds for the answer.
///
/// # Errors
/// When there is no answer, or an empty one.
pub fn dig(place: &Place, transport: Transport, to: SocketAddr) -> Result<String> {
    ask(place, transport, to, QUESTION)
}

/// Asks the DNS server at `to` by `dig` for the TXT record of a name, as [`dig()`] does.
///
/// # Errors
/// As [`dig()`].
pub fn ask(place: &Place, transport: Transport, to: SocketAddr, name: &str) -> Result<String> {
    let server = format!("@{}", to.ip());
    let port = to.port().to_string();
    let protocol = if transport == Transport::Tcp { "+tcp" } else { "+notcp" };
    let said = place.tool(
        "dig",
        &[
            "+short", "+tries=1", "+time=2", protocol, &server, "-p", &port, "TXT", name,
        ],
    )?;
    let answer = said.trim().trim_matches('"');
    // `dig` reports on standard output what it could not do.
    if answer.is_empty() || answer.starts_with(';') {
        anyhow::bail!("dig {server} -p {port} {protocol}: {answer:?}");
    }
    Ok(answer.to_owned())
}
