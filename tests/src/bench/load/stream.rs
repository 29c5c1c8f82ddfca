//! `iperf3`: one stream as fast as it goes, and small datagrams as many as go.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Ends;
use super::processor::busy_seconds;

/// The payload of a small datagram, in bytes.
const SMALL: &str = "64";

/// One TCP stream for `time` in whole seconds: Gbit/s that arrived, and processor-seconds of the machine for each GB.
///
/// # Errors
/// When iperf3 reports an error.
pub(in crate::bench) fn stream(ends: &Ends<'_>, time: Duration) -> Result<(f64, f64)> {
    let before = busy_seconds()?;
    let report = iperf(ends, time, &[])?;
    let spent = busy_seconds()? - before;
    let received = &report["end"]["sum_received"];
    let bytes = number(received, "bytes")?;
    Ok((bytes * 8.0 / number(received, "seconds")? / 1e9, spent / (bytes / 1e9)))
}

/// Small datagrams for `time` in whole seconds: how many arrived in a second.
///
/// # Errors
/// When iperf3 reports an error.
pub(in crate::bench) fn datagrams(ends: &Ends<'_>, time: Duration) -> Result<f64> {
    let report = iperf(ends, time, &["-u", "-b", "0", "-l", SMALL])?;
    let sum = &report["end"]["sum_received"];
    let arrived = number(sum, "packets")? - number(sum, "lost_packets")?;
    Ok(arrived / number(sum, "seconds")?)
}

fn iperf(ends: &Ends<'_>, time: Duration, more: &[&str]) -> Result<Value> {
    let to: SocketAddr = *ends.to.first().context("no address")?;
    let mut command = ends.from.command("taskset")?;
    command
        .args([
            "-c",
            &ends.processor.to_string(),
            "iperf3",
            "-J",
            "-c",
            &to.ip().to_string(),
        ])
        .args(["-p", &to.port().to_string(), "-t", &time.as_secs().max(1).to_string()])
        .args(more);
    let said = crate::tool::output(&mut command, "").with_context(|| format!("iperf3 to {to}"))?;
    Ok(serde_json::from_str(&said)?)
}

fn number(of: &Value, field: &str) -> Result<f64> {
    of[field]
        .as_f64()
        .with_context(|| format!("iperf3: no {field} in {of}"))
}
