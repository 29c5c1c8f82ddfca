//! Who answers for an address on a segment, as `arping` and `ndisc6` learn it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::Command;

use anyhow::{Context, Result};

use super::segment::{Mac, mac};
use crate::netns::NetNs;

/// The hardware addresses that answer ARP or neighbour discovery for an address, when three questions are asked from a
/// device of a namespace.
///
/// # Errors
/// When the tool is not there. That nobody answers is none.
pub fn who_answers(netns: &NetNs, device: &str, address: IpAddr) -> Result<BTreeSet<Mac>> {
    let target = address.to_string();
    let (program, arguments) = match address {
        IpAddr::V4(_) => ("arping", ["-r", "-c", "3", "-W", "0.3", "-i", device, target.as_str()]),
        IpAddr::V6(_) => ("ndisc6", ["-q", "-m", "-r", "3", "-w", "300", target.as_str(), device]),
    };
    // Both end with an error if nobody answers.
    let asked = netns.run(|| Command::new(program).args(arguments).output())?;
    let asked = asked.with_context(|| format!("{program}: cannot be started"))?;
    let said = String::from_utf8_lossy(&asked.stdout);
    Ok(said.lines().filter_map(|line| mac(line.trim())).collect())
}
