//! How soon a change at the API server is a change for the next connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{ATTEMPT, CHANGE, COMPLETE, Sheet};
use crate::apiserver::ApiServer;
use crate::bench::objects::{Objects, Use};
use crate::bench::plan::Options;
use crate::bench::stand::Stand;
use crate::peer::{Open, Transport};
use crate::plan::Ip;
use crate::wait;

/// Changes of other Services in a second, while one is watched.
const OTHERS: u32 = 50;
/// No more changes are begun after this: one change takes kube-proxy seconds where there are many Services.
const LONG_ENOUGH: Duration = Duration::from_secs(90);
/// The same where there are few: there it is the wait of mode iptables between two changes that takes the time.
const LONG_ENOUGH_FOR_FEW: Duration = Duration::from_secs(40);
/// Services of which it is said that they are many.
const MANY: usize = 10_000;

/// What is measured last of an agent.
pub(super) const LAST_CASE: &str = "change-busy";

/// The watched Service: the first, which has an echo server over UDP.
const WATCHED: usize = 0;

/// Changes while the rest idles, then while others change.
pub(super) fn changes(stand: &Stand, api: &ApiServer, options: &Options, sheet: &mut Sheet<'_>) -> Result<()> {
    let count = if options.quick { 10 } else { 50 };
    note(sheet, CHANGE, &while_others_idle(stand, api, count)?);
    note(sheet, LAST_CASE, &while_others_change(stand, api, count)?);
    Ok(())
}

/// How long each of so many changes took.
pub(super) fn while_others_idle(stand: &Stand, api: &ApiServer, count: usize) -> Result<Vec<Duration>> {
    follow(stand, api, count)
}

/// The same while other Services change.
pub(super) fn while_others_change(stand: &Stand, api: &ApiServer, count: usize) -> Result<Vec<Duration>> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let others = scope.spawn(|| change_others(stand.plan.objects, api, &stop));
        let busy = follow(stand, api, count);
        stop.store(true, Ordering::Relaxed);
        others.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        busy
    })
}

fn note(sheet: &mut Sheet<'_>, case: &str, times: &[Duration]) {
    for time in times {
        sheet.add(case, "until the next connection", "ms", time.as_secs_f64() * 1e3);
    }
}

/// From the request to the API server until a new socket reaches the new endpoint, for each of `count` changes.
fn follow(stand: &Stand, api: &ApiServer, count: usize) -> Result<Vec<Duration>> {
    let objects = stand.plan.objects;
    let peer = stand.client().peer()?;
    let how = Open {
        transport: Transport::Udp,
        to: stand.target(WATCHED, Use::Echo, Ip::V4),
        from: None,
        within: ATTEMPT,
    };
    let (mut times, first) = (Vec::new(), Instant::now());
    let pods: Vec<usize> = objects.backend_pods(WATCHED).collect();
    ensure!(
        pods.len() > 1,
        "a Service needs two endpoints to go from one to another"
    );
    let many = objects.services >= MANY;
    let enough = if many { LONG_ENOUGH } else { LONG_ENOUGH_FOR_FEW };
    for round in 0..count {
        if first.elapsed() > enough {
            break;
        }
        let pod = pods[round % pods.len()];
        let name = stand.world.pod(0, pod).label();
        let slice = alone(objects, WATCHED, round % pods.len())?;
        let begin = Instant::now();
        api.patch(&slice, json!({ "endpoints": slice["endpoints"] }))?;
        wait::closely(&format!("{name} answers"), COMPLETE, || {
            let opened = peer.try_open(how.clone()).ok()?.ok()?;
            (opened.opened.server == name).then_some(())
        })?;
        times.push(begin.elapsed());
    }
    Ok(times)
}

/// The IPv4 slice of a Service with one of its endpoints alone.
fn alone(objects: Objects, n: usize, endpoint: usize) -> Result<Value> {
    let mut slice = objects.slices(n, Ip::V4).into_iter().next().context("no slice")?;
    let kept = slice["endpoints"][endpoint].clone();
    slice["endpoints"] = json!([kept]);
    Ok(slice)
}

/// Changes other Services' endpoints at a steady pace until told to stop.
fn change_others(objects: Objects, api: &ApiServer, stop: &AtomicBool) -> Result<()> {
    let begin = Instant::now();
    for turn in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let other = 1 + turn as usize % (objects.count() - 1);
        let slice = alone(objects, other, turn as usize / objects.count() % objects.endpoints)?;
        api.patch(&slice, json!({ "endpoints": slice["endpoints"] }))?;
        wait::pace(begin + Duration::from_secs(1) / OTHERS * turn);
    }
    Ok(())
}
