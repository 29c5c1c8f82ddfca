//! iperf3, for streams that fill the way.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cluster::Place;
use crate::process::Process;
use crate::wait;

/// A running iperf3 server; stopped when dropped.
#[derive(Debug)]
pub struct Iperf {
    /// Its process.
    pub process: Process,
}

impl Iperf {
    /// Starts it on one port of every address of the place, and waits until it listens.
    ///
    /// # Errors
    /// When it is not installed or does not listen.
    pub fn start(place: &Place, port: u16) -> Result<Self> {
        let text = port.to_string();
        let process = place.start(
            &format!("iperf3-{port}"),
            Command::new("iperf3").args(["-s", "-p", &text]),
        )?;
        let filter = format!("sport = :{text}");
        let listens = || Ok(!place.netns().tool("ss", &["-Hltn", &filter])?.is_empty());
        wait::until_true("iperf3 listens", wait::PATIENCE, listens).with_context(|| process.log())?;
        Ok(Self { process })
    }
}

/// Streams for `seconds` to an iperf3 server and returns the bytes that arrived; `reverse` streams from the server.
///
/// # Errors
/// When iperf3 reports an error.
pub fn stream(place: &Place, to: SocketAddr, seconds: u32, reverse: bool) -> Result<u64> {
    let (host, port, time) = (to.ip().to_string(), to.port().to_string(), seconds.to_string());
    let mut arguments = vec!["-J", "-c", &host, "-p", &port, "-t", &time];
    arguments.extend(reverse.then_some("-R"));
    let report: Value = serde_json::from_str(&place.tool("iperf3", &arguments)?)?;
    report["end"]["sum_received"]["bytes"]
        .as_u64()
        .with_context(|| format!("iperf3 to {to}: {}", report["error"]))
}
