//! nginx with one page that says who answered and whom it saw.

use std::fs;

use anyhow::{Context, Result};

use crate::cluster::Place;
use crate::plan::{Dual, Ip};
use crate::process::Process;
use crate::wait;

/// A running nginx; stopped when dropped.
#[derive(Debug)]
pub struct Nginx {
    /// Its process, the only one: it can be killed like a pod's.
    pub process: Process,
}

impl Nginx {
    /// Starts it on one port of every address of the place, and waits until it answers on both of `address`.
    ///
    /// The page at `/` is one line, `LABEL CLIENT:PORT`, an IPv6 address in brackets; the header `X-Server` holds the label too.
    ///
    /// # Errors
    /// When it is not installed or does not answer: then with what it said.
    pub fn start(place: &Place, address: Dual, port: u16) -> Result<Self> {
        Self::start_named(place.label(), place, address, port)
    }

    /// The same with another name than the place's; with `$server_addr`, by the address that was dialled.
    ///
    /// # Errors
    /// As [`Nginx::start`].
    pub fn start_named(name: &str, place: &Place, address: Dual, port: u16) -> Result<Self> {
        let folder = place.folder().join(format!("{}-nginx-{port}", place.label()));
        fs::create_dir_all(&folder)?;
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration(name, port))?;
        let mut command = std::process::Command::new("nginx");
        command
            .arg("-e")
            .arg("stderr")
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&file);
        let process = place.start(&format!("nginx-{port}"), &mut command)?;
        let peer = place.peer()?;
        for ip in Ip::BOTH {
            wait::until("nginx answers", wait::PATIENCE, || {
                peer.http(address.at(ip, port)).map(Some)
            })
            .with_context(|| process.log())?;
        }
        Ok(Self { process })
    }
}

fn configuration(label: &str, port: u16) -> String {
    // An IPv6 address before a port is written in brackets, which nginx leaves to its user.
    let servers = server(label, &format!("0.0.0.0:{port}"), "$remote_addr")
        + &server(label, &format!("[::]:{port} ipv6only=on"), "[$remote_addr]");
    format!(
        "daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_requests 1000000;
{servers}}}
"
    )
}

fn server(label: &str, listen: &str, client: &str) -> String {
    format!(
        "    server {{
        listen {listen} backlog=4096;
        location / {{
            default_type text/plain;
            add_header X-Server {label};
            return 200 \"{label} {client}:$remote_port\\n\";
        }}
    }}
"
    )
}
