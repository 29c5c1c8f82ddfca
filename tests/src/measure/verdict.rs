//! What may be said of two peers of one series.

use std::fmt;

use super::results::Better;
use super::statistics::{Estimate, Spread};

/// What a comparison of two peers has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first is better.
    Better,
    /// The first is worse.
    Worse,
    /// The difference, if there is one, is smaller than this run could show.
    NoDifference,
    /// Too few rounds to say anything.
    TooFew,
}

/// A peer against another one, in one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The first's median to the other's, with what chance may have made of it.
    pub spread: Spread,
    /// The same as it is shown.
    pub ratio: Estimate,
    /// The smallest difference that would have been called one: 0.05 means ratios above 1.05 or below 1/1.05.
    pub smallest: Option<f64>,
    /// What that means.
    pub verdict: Verdict,
}

impl Pair {
    /// Compares medians; `spread` is their ratio, `control` that of the ceiling to itself in the same series.
    ///
    /// The smallest difference is the largest of three: how far the ratio's interval reaches from the ratio; how far the
    /// two medians' intervals reach towards each other; how far the ceiling is from itself.
    pub fn new(ours: &Estimate, theirs: &Estimate, spread: Spread, control: Option<f64>, better: Better) -> Pair {
        let ratio = spread.estimate();
        let reach = reach(ours, theirs, &ratio);
        let control = control.map_or(1.0, |ratio| ratio.max(1.0 / ratio));
        let smallest = reach.map(|reach| reach.max(control) - 1.0);
        Pair {
            verdict: verdict(ours, theirs, &ratio, smallest, better),
            spread,
            ratio,
            smallest,
        }
    }
}

/// The factor that two medians have to differ by for neither interval to contradict it.
fn reach(ours: &Estimate, theirs: &Estimate, ratio: &Estimate) -> Option<f64> {
    let (a, b, of_ratio) = (ours.interval?, theirs.interval?, ratio.interval?);
    let width = (of_ratio.high / ratio.value).max(ratio.value / of_ratio.low);
    let above = (ours.value / a.low) * (b.high / theirs.value);
    let below = (a.high / ours.value) * (theirs.value / b.low);
    let reach = width.max(above).max(below);
    Some(if reach.is_nan() { f64::INFINITY } else { reach })
}

fn verdict(ours: &Estimate, theirs: &Estimate, ratio: &Estimate, smallest: Option<f64>, better: Better) -> Verdict {
    let (Some(a), Some(b), Some(of_ratio), Some(smallest)) = (ours.interval, theirs.interval, ratio.interval, smallest)
    else {
        return Verdict::TooFew;
    };
    let shown = ratio.value.max(1.0 / ratio.value) > 1.0 + smallest;
    if !shown || of_ratio.contains(1.0) || a.overlaps(&b) {
        return Verdict::NoDifference;
    }
    match (better, ratio.value > 1.0) {
        (Better::Higher, true) | (Better::Lower, false) => Verdict::Better,
        (Better::Higher, false) | (Better::Lower, true) => Verdict::Worse,
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::NoDifference => "no difference shown",
            Verdict::TooFew => "too few rounds",
        })
    }
}
