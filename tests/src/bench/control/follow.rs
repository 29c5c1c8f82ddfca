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

/// So many new sockets in a row that reach one endpoint show that there is no other: of two, chance would take one so
/// often once in a million million times.
const IN_A_ROW: u32 = 40;

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
///
/// The Service has one endpoint at a time from before the first change on, and no change is begun before the last one is
/// there: else an agent that has not followed yet would be taken for a quick one, since among the endpoints of before
/// there is the new one too.
fn follow(stand: &Stand, api: &ApiServer, count: usize) -> Result<Vec<Duration>> {
    let objects = stand.plan.objects;
    let peer = stand.client().peer()?;
    let how = Open {
        transport: Transport::Udp,
        to: stand.target(WATCHED, Use::Echo, Ip::V4),
        from: None,
        within: ATTEMPT,
    };
    let pods: Vec<usize> = objects.backend_pods(WATCHED).collect();
    ensure!(
        pods.len() > 1,
        "a Service needs two endpoints to go from one to another"
    );
    let many = objects.services >= MANY;
    let enough = if many { LONG_ENOUGH } else { LONG_ENOUGH_FOR_FEW };
    let name = |endpoint: usize| stand.world.pod(0, pods[endpoint]).label();
    let give = |endpoint: usize| {
        let slice = alone(objects, WATCHED, endpoint)?;
        api.patch(&slice, json!({ "endpoints": slice["endpoints"] }))
    };
    let answered = || Some(peer.try_open(how.clone()).ok()?.ok()?.opened.server.clone());
    give(pods.len() - 1)?;
    only(name(pods.len() - 1), answered)?;
    let (mut times, first) = (Vec::new(), Instant::now());
    for round in 0..count {
        if first.elapsed() > enough {
            break;
        }
        let endpoint = round % pods.len();
        let name = name(endpoint);
        let begin = Instant::now();
        give(endpoint)?;
        wait::closely(&format!("{name} answers"), COMPLETE, || {
            (answered()? == name).then_some(())
        })?;
        times.push(begin.elapsed());
    }
    Ok(times)
}

/// Waits until one endpoint alone answers new sockets.
fn only(name: &str, mut answered: impl FnMut() -> Option<String>) -> Result<()> {
    let mut in_a_row = 0;
    wait::closely(&format!("{name} alone answers"), COMPLETE, || {
        in_a_row = if answered().is_some_and(|server| server == name) {
            in_a_row + 1
        } else {
            0
        };
        (in_a_row == IN_A_ROW).then_some(())
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the first seven sockets reach; later ones reach `a`.
    const AT_FIRST: [Option<&str>; 7] = [Some("a"), Some("b"), Some("a"), Some("a"), None, Some("c"), Some("a")];

    #[test]
    fn an_endpoint_among_others_is_not_taken_for_the_only_one() {
        let mut sockets = 0;
        let answered = || {
            sockets += 1;
            let server = AT_FIRST.get(sockets - 1).copied().unwrap_or(Some("a"));
            server.map(str::to_owned)
        };
        only("a", answered).expect("alone at last");
        assert_eq!(sockets, 6 + IN_A_ROW as usize);
    }
}
