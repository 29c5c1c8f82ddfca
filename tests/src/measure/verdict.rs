//! What may be said of two peers of one series.

use std::fmt;

use super::results::Better;
use super::statistics::Estimate;

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
    /// The first's median to the other's; none where one of them is not above zero.
    pub ratio: Option<Estimate>,
    /// The smallest difference that would have been called one: 0.05 means ratios above 1.05 or below 1/1.05.
    pub smallest: Option<f64>,
    /// What that means.
    pub verdict: Verdict,
}

impl Pair {
    /// Compares medians, which have this ratio; `control` is that of the ceiling to itself in the same series.
    ///
    /// The smallest difference is the largest of three: how far the ratio's interval reaches from the ratio; how far the
    /// two medians' intervals reach towards each other; how far the ceiling is from itself.
    pub fn new(
        ours: &Estimate,
        theirs: &Estimate,
        ratio: Option<Estimate>,
        control: Option<f64>,
        better: Better,
    ) -> Pair {
        let reach = ratio.and_then(|ratio| reach(ours, theirs, &ratio));
        let control = control.map_or(1.0, |ratio| ratio.max(1.0 / ratio));
        let smallest = reach.map(|reach| reach.max(control) - 1.0);
        Pair {
            verdict: verdict(ours, theirs, ratio.zip(smallest), better),
            ratio,
            smallest,
        }
    }

    /// How far apart the two are, so that what is farthest can be found: as a ratio, infinite where there is none.
    pub fn distance(&self) -> f64 {
        self.ratio.map_or(f64::INFINITY, |ratio| ratio.value.ln().abs())
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

/// `shown` is the ratio and the smallest difference. Without a ratio, of what is about zero, or may be, it is enough that
/// the intervals are apart.
fn verdict(ours: &Estimate, theirs: &Estimate, shown: Option<(Estimate, f64)>, better: Better) -> Verdict {
    let (Some(a), Some(b)) = (ours.interval, theirs.interval) else {
        return Verdict::TooFew;
    };
    let is_shown = shown.is_none_or(|(ratio, smallest)| {
        let is_beyond = ratio.value.max(1.0 / ratio.value) > 1.0 + smallest;
        is_beyond && ratio.interval.is_some_and(|interval| !interval.contains(1.0))
    });
    if !is_shown || a.overlaps(&b) {
        return Verdict::NoDifference;
    }
    match (better, ours.value > theirs.value) {
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
