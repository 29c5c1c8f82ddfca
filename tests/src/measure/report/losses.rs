//! What was lost, place by place, and what the profiles say of it.

use super::Analysis;
use crate::measure::document::{Block, Grid};
use crate::measure::losses::{self, Loss, Lost};
use crate::measure::profile::{Processors, Profile};
use crate::measure::results::Kind;
use crate::measure::words;

/// Functions in the table of a loss.
const SHOWN: usize = 12;

/// The chapter.
pub(super) fn chapter(analysis: &Analysis<'_>) -> Vec<Block> {
    let mut blocks = vec![Block::Heading("What was lost, and what the profiles say".to_owned())];
    let losses = losses::of(analysis);
    if losses.is_empty() {
        let none = "Nothing: in no place was a mode of Fairlead shown to be worse than the best kube-proxy mode.";
        blocks.push(Block::Text(none.to_owned()));
        return blocks;
    }
    blocks.push(Block::Text(HOW_TO_READ.to_owned()));
    blocks.extend(losses.iter().map(|loss| block(analysis, loss)));
    blocks
}

const HOW_TO_READ: &str = "Each place where a mode of Fairlead was shown to be worse than the best kube-proxy mode. A profile \
was taken after the measured rounds of the place, never during a sample: how often the mode's own programs ran and how long \
they took, by the kernel's run-time statistics; and what all processors were doing, by samples of the kernel's software \
clock. Times are ns of a processor for one of what the case counts, both ends of the load included; elsewhere is what processes \
did that have no part in it. A function's time is without what it calls, and 0 where it is below 0.2 % of the busy time; time \
with interrupts off is counted where they are switched on again. ± is twice the standard error \
of the number of samples, not what two runs differ by. A percentile that was lost is of the slowest; the profile is of all.";

fn block(analysis: &Analysis<'_>, loss: &Loss<'_, '_>) -> Block {
    let mode = &analysis.results.peers[loss.mode].name;
    // `rate 0.93 [0.91, 0.95] times nftables`.
    let one = |lost: &Lost<'_, '_>| {
        let against = lost.table.to_best(loss.mode, analysis.results);
        format!("{} {against}", lost.table.metric.name)
    };
    let lost: Vec<_> = loss.lost.iter().map(one).collect();
    let title = format!(
        "{mode} in {}, {}: {}",
        loss.subject.case,
        words::place(loss.subject),
        lost.join("; ")
    );
    Block::Folded(title, says(analysis, loss))
}

/// What the profile says.
fn says(analysis: &Analysis<'_>, loss: &Loss<'_, '_>) -> Vec<Block> {
    let profile = |at: usize| analysis.results.profile(loss.subject, &analysis.results.peers[at].name);
    let Some(ours) = profile(loss.mode) else {
        return vec![Block::Text("There is no profile of it.".to_owned())];
    };
    let mut blocks = vec![Block::Text(if ours.maps.is_empty() {
        programs(ours)
    } else {
        maps(ours)
    })];
    // The first figure of a case is what it is about.
    let best = loss.lost.first().and_then(|lost| profile(lost.best));
    let direct = analysis.peers_of(Kind::Ceiling).into_iter().find_map(profile);
    let others: Vec<_> = best.into_iter().chain(direct).collect();
    let Some(processors) = &ours.processors else {
        blocks.push(Block::Text("The processors could not be sampled.".to_owned()));
        return blocks;
    };
    let compared = others
        .iter()
        .filter_map(|profile| Some((&profile.peer[..], profile.processors.as_ref()?)));
    let all: Vec<_> = std::iter::once((&ours.peer[..], processors)).chain(compared).collect();
    blocks.push(Block::Text(busy(&all)));
    if let [_, (against, theirs), ..] = all[..] {
        blocks.push(Block::Text(format!("Where {} and {against} differ most:", ours.peer)));
        blocks.push(Block::Table(differences(
            processors,
            theirs,
            all.get(2).map(|(_, direct)| *direct),
        )));
    }
    blocks
}

/// `For each of the flows its own programs took 1,430 ns in 8 runs (ingress 820 ns in 4; egress 610 ns in 4).`.
fn programs(profile: &Profile) -> String {
    if profile.programs.is_empty() {
        return format!("None of its own programs ran for these {}.", profile.of);
    }
    let runs: f64 = profile.programs.iter().map(|program| program.runs).sum();
    let each = profile.programs.iter().map(|program| {
        let (time, runs) = (nanoseconds(program.time), words::figure(hundredths(program.runs)));
        format!("{} {time} ns in {runs}", program.name)
    });
    format!(
        "For each of the {} its own programs took {} ns in {} runs ({}).",
        profile.of,
        nanoseconds(profile.own_time()),
        words::figure(hundredths(runs)),
        each.collect::<Vec<_>>().join("; ")
    )
}

/// `The kernel holds 120.5 MB for its maps: RECORDS_V6 40.1; ...`.
fn maps(profile: &Profile) -> String {
    let megabytes = |bytes: f64| words::figure((bytes / 1e5).round() / 10.0);
    let all: f64 = profile.maps.iter().map(|map| map.bytes).sum();
    let largest = profile.maps.iter().take(SHOWN);
    let each = largest.map(|map| format!("{} {}", map.name, megabytes(map.bytes)));
    format!(
        "The kernel holds {} MB for its maps, the largest of which are {}.",
        megabytes(all),
        each.collect::<Vec<_>>().join("; ")
    )
}

/// `All processors: fairlead 52,000 ns busy, 9,000 ns idle, 10 ns elsewhere; ...`.
fn busy(all: &[(&str, &Processors)]) -> String {
    let each = all.iter().map(|(peer, processors)| {
        let Processors { idle, elsewhere, .. } = **processors;
        let [busy, idle, elsewhere] = [processors.busy(), idle, elsewhere].map(nanoseconds);
        format!("{peer} {busy} ns busy, {idle} ns idle, {elsewhere} ns elsewhere")
    });
    format!("All processors: {}.", each.collect::<Vec<_>>().join("; "))
}

fn differences(ours: &Processors, theirs: &Processors, direct: Option<&Processors>) -> Grid {
    let row = |difference: &crate::measure::profile::Difference<'_>| {
        let name = difference.name;
        let sign = if difference.time > 0.0 { "+" } else { "" };
        vec![
            name.to_owned(),
            nanoseconds(ours.time(name)),
            nanoseconds(theirs.time(name)),
            direct.map_or_else(|| words::NONE.to_owned(), |direct| nanoseconds(direct.time(name))),
            format!(
                "{sign}{} ± {}",
                nanoseconds(difference.time),
                nanoseconds(difference.error)
            ),
        ]
    };
    Grid {
        head: vec![
            "function",
            "mode, ns",
            "best kube-proxy, ns",
            "direct, ns",
            "mode less kube-proxy, ns",
        ],
        rows: ours.differences(theirs).iter().take(SHOWN).map(row).collect(),
    }
}

/// Whole ones, and no more digits than mean something.
fn nanoseconds(time: f64) -> String {
    words::figure(time.round())
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
