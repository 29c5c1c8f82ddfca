//! `wrk`: HTTP requests on connections that stay open.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{Ends, Talk};
use crate::tool;

/// Gives each thread its address and prints the result as one JSON line.
const SCRIPT: &str = r#"
local addresses, threads = {}, 0
for address in string.gmatch(os.getenv("TARGETS"), "%S+") do table.insert(addresses, address) end
local port = os.getenv("PORT")
function setup(thread)
  thread.addr = wrk.lookup(addresses[threads % #addresses + 1], port)[1]
  threads = threads + 1
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\nRESULT {"microseconds":%d,"requests":%d,"failed":%d,"times":[%f,%f,%f]}\n',
    summary.duration, summary.requests, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"#;

#[derive(Debug, Deserialize)]
struct Outcome {
    microseconds: f64,
    requests: f64,
    failed: u64,
    times: [f64; 3],
}

/// Requests on `connections` connections, each by a thread of its own up to four, for `time` in whole seconds.
///
/// # Errors
/// When wrk is not installed, or a request fails.
pub(in crate::bench) fn requests(ends: &Ends<'_>, connections: usize, time: Duration) -> Result<Talk> {
    let script = ends.from.folder().join("wrk.lua");
    std::fs::write(&script, SCRIPT)?;
    let first = ends.to.first().context("no address")?;
    let targets: Vec<_> = ends.to.iter().map(|to| to.ip().to_string()).collect();
    let mut command = ends.from.command("taskset")?;
    command
        .args(["-c", &ends.processor.to_string(), "wrk"])
        .arg(format!("-t{}", connections.min(4)))
        .arg(format!("-c{connections}"))
        .arg(format!("-d{}s", time.as_secs().max(1)))
        .arg("-s")
        .arg(&script)
        .arg(format!("http://{first}/"))
        .env("TARGETS", targets.join(" "))
        .env("PORT", first.port().to_string());
    read(&mut command).with_context(|| format!("wrk to {first}"))
}

fn read(command: &mut Command) -> Result<Talk> {
    let said = tool::output(command, "")?;
    let line = said.lines().find_map(|line| line.strip_prefix("RESULT "));
    let outcome: Outcome = serde_json::from_str(line.with_context(|| said.clone())?)?;
    ensure!(
        outcome.failed == 0 && outcome.requests > 0.0,
        "{} requests failed, {} did not",
        outcome.failed,
        outcome.requests
    );
    Ok(Talk {
        rate: outcome.requests * 1e6 / outcome.microseconds,
        times: outcome.times,
    })
}
