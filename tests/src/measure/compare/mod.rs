//! One run against another of the same machine: what has become slower, what faster.
//!
//! Two runs on two days are two machines: other neighbours, another clock, another temperature. So what is compared is
//! how each peer stood to `direct` within its own run; only where a series has no `direct` its plain values are, and the
//! text says so.

mod rows;
mod text;

use super::results::{Better, Kind, Metric, Results, Subject};
use super::statistics::{Interval, Spread, count};
use rows::Pairing;

/// A change is flagged if it is larger than this, and larger than chance and control explain.
pub const TOLERANCE: f64 = 0.03;
/// In how many comparisons of a run with its own rerun anything at all may be flagged.
const FALSE_ALARMS: f64 = 0.05;

/// A run against another.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What is the same in both: of each subject, metric and peer.
    pub rows: Vec<Change>,
    /// The same over all subjects of a case: of each case, metric and peer that has several.
    pub cases: Vec<Change>,
    /// What only the old run has.
    pub only_old: Vec<Only>,
    /// What only the new run has.
    pub only_new: Vec<Only>,
    /// What a reader must know: incomplete runs, another machine, a control that moved.
    pub notes: Vec<String>,
}

/// What has become of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// [`Subject::case`].
    pub case: String,
    /// Where; none if it is of all places of the case.
    pub subject: Option<Subject>,
    /// Of the new run.
    pub metric: Metric,
    /// Whose.
    pub peer: String,
    /// What was divided.
    pub basis: Basis,
    /// New to old.
    pub ratio: f64,
    /// So wide that of all changes of a comparison hardly one is beyond it by chance; none with too few rounds.
    pub interval: Option<Interval>,
    /// What that means.
    pub direction: Direction,
}

/// What stands on both sides of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The ratio to `direct` within each run.
    ToDirect,
    /// The values themselves, because the series has no `direct`.
    Plain,
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Worse by more than [`TOLERANCE`], the whole interval beyond 1.
    Regression,
    /// Better in the same way.
    Improvement,
    /// Neither was shown.
    Same,
    /// Too few rounds to say anything.
    TooFew,
}

/// What has no counterpart in the other run.
#[derive(Clone, Debug, PartialEq)]
pub struct Only {
    /// Where.
    pub subject: Subject,
    /// What.
    pub metric: Metric,
    /// Whose.
    pub peer: String,
}

/// Compares two runs.
pub fn compare(old: &Results, new: &Results) -> Comparison {
    let pairings = rows::pairings(old, new);
    let control = |subject: Option<&Subject>, case: &str, metric: &Metric| {
        let names: Vec<_> = new.of_kind(Kind::Control).map(|peer| &peer.name[..]).collect();
        let is_it = |of: &&Pairing<'_>| {
            let is_there = subject.map_or(of.series.subject.case == case, |subject| of.series.subject == *subject);
            is_there && of.series.metric.name == metric.name && names.contains(&of.peer)
        };
        let spread = pooled(pairings.iter().filter(is_it));
        spread.map_or(1.0, |spread| spread.value.max(1.0 / spread.value))
    };
    let number = pairings.len();
    let row = |of: &Pairing<'_>| {
        let (subject, metric) = (&of.series.subject, &of.series.metric);
        let floor = if of.is_control {
            1.0
        } else {
            control(Some(subject), &subject.case, metric)
        };
        change(of, Some(subject.clone()), &of.spread, number, floor)
    };
    let case = |of: Vec<&Pairing<'_>>| {
        let (first, spread) = (*of.first()?, pooled(of.iter().copied())?);
        let (case, metric) = (&first.series.subject.case, &first.series.metric);
        let floor = if first.is_control {
            1.0
        } else {
            control(None, case, metric)
        };
        Some(change(first, None, &spread, number, floor))
    };
    Comparison {
        rows: pairings.iter().map(row).collect(),
        cases: rows::by_case(&pairings).into_iter().filter_map(case).collect(),
        only_old: rows::only(old, new),
        only_new: rows::only(new, old),
        notes: rows::notes(old, new, &pairings),
    }
}

impl Comparison {
    /// What is flagged in a direction: whole cases first, then single rows.
    pub fn flagged(&self, direction: Direction) -> impl Iterator<Item = &Change> {
        let all = self.cases.iter().chain(&self.rows);
        all.filter(move |change| change.direction == direction)
    }

    /// Whether anything has become worse.
    pub fn has_regressions(&self) -> bool {
        self.flagged(Direction::Regression).next().is_some()
    }
}

/// The geometric mean of several changes.
fn pooled<'a>(pairings: impl Iterator<Item = &'a Pairing<'a>>) -> Option<Spread> {
    Spread::pooled(pairings.map(|pairing| &pairing.spread).collect::<Vec<_>>())
}

/// One of so many changes; `floor` is what the control has moved by in the same place.
fn change(of: &Pairing<'_>, subject: Option<Subject>, spread: &Spread, number: usize, floor: f64) -> Change {
    let metric = &of.series.metric;
    let interval = rows::interval(spread, FALSE_ALARMS / count(number.max(1)));
    let size = spread.value.max(1.0 / spread.value);
    let is_worse = (metric.better == Better::Higher) == (spread.value < 1.0);
    let direction = match interval {
        None => Direction::TooFew,
        Some(interval) if interval.contains(1.0) || size <= (1.0 + TOLERANCE).max(floor) => Direction::Same,
        Some(_) if is_worse => Direction::Regression,
        Some(_) => Direction::Improvement,
    };
    Change {
        case: of.series.subject.case.clone(),
        subject,
        metric: metric.clone(),
        peer: of.peer.to_owned(),
        basis: of.basis,
        ratio: spread.value,
        interval,
        direction,
    }
}
