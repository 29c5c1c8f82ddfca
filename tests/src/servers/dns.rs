//! A DNS server whose answer names it, over UDP and TCP, and `dig` to ask it.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cluster::Place;
use crate::peer::Transport;
use crate::plan::{Dual, Ip};
use crate::process::Process;
use crate::wait;

/// The name whose TXT record is the server's label.
const QUESTION: &str = "who.fairlead.test";

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
        let mut command = Command::new("dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--user=root",
        ]);
        command.args(["--pid-file=", "--log-facility=-"]);
        command
            .arg(format!("--port={port}"))
            .arg(format!("--txt-record={QUESTION},{}", place.label()));
        let process = place.start(&format!("dnsmasq-{port}"), &mut command)?;
        for ip in Ip::BOTH {
            let ask = || dig(place, Transport::Udp, address.at(ip, port)).map(Some);
            wait::until("dnsmasq answers", wait::PATIENCE, ask).with_context(|| process.log())?;
        }
        Ok(Self { process })
    }
}

/// Asks the DNS server at `to` by `dig` who it is, once, with two seconds for the answer.
///
/// # Errors
/// When there is no answer, or an empty one.
pub fn dig(place: &Place, transport: Transport, to: SocketAddr) -> Result<String> {
    let server = format!("@{}", to.ip());
    let port = to.port().to_string();
    let protocol = if transport == Transport::Tcp { "+tcp" } else { "+notcp" };
    let said = place.tool(
        "dig",
        &[
            "+short", "+tries=1", "+time=2", protocol, &server, "-p", &port, "TXT", QUESTION,
        ],
    )?;
    let answer = said.trim().trim_matches('"');
    // `dig` reports on standard output what it could not do.
    if answer.is_empty() || answer.starts_with(';') {
        anyhow::bail!("dig {server} -p {port} {protocol}: {answer:?}");
    }
    Ok(answer.to_owned())
}
