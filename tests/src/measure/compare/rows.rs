//! Which values of two runs belong together, and what they are to each other.

use super::{Basis, Only};
use crate::measure::results::{Kind, Results, Series};
use crate::measure::statistics::{self, Interval, Spread, count};
use crate::measure::{analysis::unique, words};

/// Both runs are drawn independently of each other.
const STREAMS: (u64, u64) = (1, 2);

/// A value that both runs have.
pub(super) struct Pairing<'a> {
    /// Of the new run.
    pub(super) series: &'a Series,
    pub(super) peer: &'a str,
    pub(super) is_control: bool,
    pub(super) basis: Basis,
    /// New to old.
    pub(super) spread: Spread,
}

/// All values that both runs have. `direct` itself has no row: it is what the others are measured by.
pub(super) fn pairings<'a>(old: &Results, new: &'a Results) -> Vec<Pairing<'a>> {
    let directs = (ceiling(old), ceiling(new));
    let mut pairings = Vec::new();
    for series in &new.series {
        let Some(before) = same(old, series) else { continue };
        for values in &series.values {
            let peer = &values.peer[..];
            let pair = pair((before, series), peer, directs);
            pairings.extend(pair.map(|(basis, spread)| Pairing {
                series,
                peer,
                is_control: new.of_kind(Kind::Control).any(|control| control.name == peer),
                basis,
                spread,
            }));
        }
    }
    pairings
}

/// What a peer's value in the new series is to that in the old one.
fn pair(
    (old, new): (&Series, &Series),
    peer: &str,
    (old_direct, new_direct): (Option<&str>, Option<&str>),
) -> Option<(Basis, Spread)> {
    let samples = |series: &'_ Series, peer: Option<&str>| peer.map(|peer| series.samples(peer).to_vec());
    let directs = samples(old, old_direct).zip(samples(new, new_direct));
    let directs = directs.filter(|(old, new)| !old.is_empty() && !new.is_empty());
    let (before, now) = (old.samples(peer), new.samples(peer));
    match directs {
        Some(_) if Some(peer) == new_direct => None,
        Some((old_direct, new_direct)) => {
            let before = statistics::ratio(before, &old_direct, STREAMS.0)?;
            let now = statistics::ratio(now, &new_direct, STREAMS.1)?;
            Some((Basis::ToDirect, now.over(&before)?))
        }
        None => {
            let (before, now) = (Spread::of(before, STREAMS.0)?, Spread::of(now, STREAMS.1)?);
            Some((Basis::Plain, now.over(&before)?))
        }
    }
}

/// Changes of the same case, metric, peer and basis, where there are several.
pub(super) fn by_case<'a, 'b>(pairings: &'b [Pairing<'a>]) -> Vec<Vec<&'b Pairing<'a>>> {
    let key = |of: &Pairing<'a>| {
        (
            &of.series.subject.case[..],
            &of.series.metric.name[..],
            of.peer,
            of.basis,
        )
    };
    let keys = unique(pairings.iter().map(key));
    let groups = keys
        .into_iter()
        .map(|wanted| pairings.iter().filter(|of| key(of) == wanted).collect::<Vec<_>>());
    groups.filter(|group| group.len() > 1).collect()
}

/// An interval that the true change lies beyond in no more than this share of comparisons: the wider of the draws' own
/// and of Student's in the logarithm. Of few rounds the draws alone end too early, and their own spread is a guess.
pub(super) fn interval(spread: &Spread, beyond: f64) -> Option<Interval> {
    let drawn = spread.interval(1.0 - beyond)?;
    let rounds = spread.estimate().samples;
    let reach = (student(beyond, 2.0 * count(rounds - 1)) * spread.deviation()?).exp();
    Some(Interval {
        low: drawn.low.min(spread.value / reach),
        high: drawn.high.max(spread.value * reach),
    })
}

/// At least as far out as Student's distribution of so many degrees of freedom goes beyond with this probability: the
/// normal tail is below `exp(-z² / 2)`, and `t² = v (exp(z² / v) - 1)` carries it over
/// (Wallace: Bounds on Normal Approximations to Student's and the Chi-Square Distributions, 1959).
fn student(beyond: f64, degrees: f64) -> f64 {
    let normal = -2.0 * beyond.ln();
    (degrees * (normal / degrees).exp_m1()).sqrt()
}

/// What a run has and the other has not.
pub(super) fn only(run: &Results, other: &Results) -> Vec<Only> {
    let mut rows = Vec::new();
    for series in &run.series {
        let counterpart = same(other, series);
        for values in series.values.iter().filter(|values| !values.samples.is_empty()) {
            if counterpart.is_none_or(|of| of.samples(&values.peer).is_empty()) {
                rows.push(Only {
                    subject: series.subject.clone(),
                    metric: series.metric.clone(),
                    peer: values.peer.clone(),
                });
            }
        }
    }
    rows
}

/// What a reader must know of two runs.
pub(super) fn notes(old: &Results, new: &Results, pairings: &[Pairing<'_>]) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, run) in [("old", old), ("new", new)] {
        if !run.run.complete {
            notes.push(format!("The {name} run is incomplete."));
        }
    }
    notes.extend(old.machine.facts.iter().filter_map(|(name, before)| {
        let (_, now) = new.machine.facts.iter().find(|(fact, _)| fact == name)?;
        let is_lasting = !name.starts_with("load average");
        (is_lasting && before != now).then(|| format!("Not the same machine: {name} was {before} and is {now}."))
    }));
    let controls: Vec<_> = pairings
        .iter()
        .filter(|of| of.is_control)
        .map(|of| &of.spread)
        .collect();
    if let Some(control) = Spread::pooled(controls) {
        notes.push(format!(
            "The control's ratio to direct is {} times what it was.",
            words::ratio_estimate(&control.estimate())
        ));
    }
    if pairings.iter().any(|of| of.basis == Basis::Plain) {
        notes.push("Rows marked plain have no direct: they compare the machines of two days as well.".to_owned());
    }
    notes
}

fn ceiling(results: &Results) -> Option<&str> {
    results.of_kind(Kind::Ceiling).next().map(|peer| &peer.name[..])
}

/// The series of another run that is of the same thing, in the same unit.
fn same<'a>(results: &'a Results, series: &Series) -> Option<&'a Series> {
    let is_it = |of: &&Series| of.subject == series.subject && of.metric == series.metric;
    results.series.iter().find(is_it)
}
