//! Medians and how far to trust them.
//!
//! Every interval is a percentile bootstrap over the rounds of a run. The draws depend on nothing but the number of
//! samples and a stream's number: the same samples give the same interval in every run and on every machine.

/// How often the rounds are drawn anew for an interval.
pub const RESAMPLES: usize = 1000;
/// With fewer samples no interval is given: two values say nothing of their spread.
pub const FEWEST: usize = 3;
/// With fewer samples even their whole range contains the median in less than 95 of 100 runs: `1 - 2 / 2^n`.
pub const ENOUGH: usize = 6;
/// The share of runs whose interval contains the true value.
pub const LEVEL: f64 = 0.95;

/// From where to where a value may lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// A value as it is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// A median, or a ratio of two.
    pub value: f64,
    /// None with fewer than [`FEWEST`] samples, or where a part of the draws give no ratio.
    pub interval: Option<Interval>,
    /// How many rounds it is of.
    pub samples: usize,
}

/// A value with what it would have been, had chance given the rounds other weights.
///
/// Draw `k` of two spreads of one stream and of as many samples took the same rounds: so a ratio is one of pairs, and
/// what disturbed a whole round falls out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// The value of the samples as they are.
    pub value: f64,
    draws: Vec<f64>,
    samples: usize,
}

impl Interval {
    /// Whether a value lies within, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Whether two intervals have a value in common.
    pub fn overlaps(&self, other: &Interval) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

impl Spread {
    /// The median of one peer's rounds; none without a sample. Spreads of different streams are drawn independently.
    pub fn of(samples: &[f64], stream: u64) -> Option<Spread> {
        Spread::of_share(samples, 0.5, stream)
    }

    /// A percentile of one peer's samples, as [`percentile`] has it; none without a sample.
    pub fn of_share(samples: &[f64], share: f64, stream: u64) -> Option<Spread> {
        let value = percentile(samples, share)?;
        let times = if samples.len() < FEWEST { 0 } else { RESAMPLES };
        Some(Spread {
            value,
            draws: Rounds::of(samples).draw(times, share, Chance(stream ^ 0x5eed)),
            samples: samples.len(),
        })
    }

    /// The ratio of two; none where one is not above zero, as what is the difference of two readings may be. Two of one
    /// stream and of as many samples are taken in pairs, others each by itself.
    pub fn over(&self, other: &Spread) -> Option<Spread> {
        let ratio = |a: f64, b: f64| if a > 0.0 && b > 0.0 { a / b } else { f64::NAN };
        let value = ratio(self.value, other.value);
        let pairs = self.draws.iter().zip(&other.draws);
        value.is_finite().then(|| Spread {
            value,
            draws: pairs.map(|(a, b)| ratio(*a, *b)).collect(),
            samples: self.samples.min(other.samples),
        })
    }

    /// The geometric mean of several ratios, drawn together round by round; none without one that is above zero.
    pub fn pooled<'a>(all: impl IntoIterator<Item = &'a Spread>) -> Option<Spread> {
        let all: Vec<_> = all.into_iter().filter(|spread| spread.value > 0.0).collect();
        let mean = |of: &dyn Fn(&Spread) -> f64| (all.iter().map(|s| of(s).ln()).sum::<f64>() / count(all.len())).exp();
        let draws = all.iter().map(|spread| spread.draws.len()).min()?;
        Some(Spread {
            value: mean(&|spread| spread.value),
            draws: (0..draws).map(|at| mean(&|spread| spread.draws[at])).collect(),
            samples: all.iter().map(|spread| spread.samples).min()?,
        })
    }

    /// As it is shown, with the interval of [`LEVEL`].
    pub fn estimate(&self) -> Estimate {
        Estimate {
            value: self.value,
            interval: self.interval(LEVEL),
            samples: self.samples,
        }
    }

    /// The interval that contains the true value in this share of runs.
    pub fn interval(&self, level: f64) -> Option<Interval> {
        if self.draws.is_empty() || !self.draws.iter().all(|draw| draw.is_finite()) {
            return None;
        }
        let mut sorted = self.draws.clone();
        sorted.sort_by(f64::total_cmp);
        let tail = (1.0 - level) / 2.0;
        // The median itself may lie outside where the samples are few and far apart: the interval of a value has it.
        Some(Interval {
            low: at(&sorted, tail).min(self.value),
            high: at(&sorted, 1.0 - tail).max(self.value),
        })
    }

    /// How far the draws are from each other in the logarithm; none where there are none, or some are not above zero.
    pub fn deviation(&self) -> Option<f64> {
        let logs: Vec<f64> = self.draws.iter().map(|draw| draw.ln()).collect();
        if logs.is_empty() || !logs.iter().all(|log| log.is_finite()) {
            return None;
        }
        let mean = logs.iter().sum::<f64>() / count(logs.len());
        Some((logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / count(logs.len())).sqrt())
    }
}

/// The ratio of the medians of two peers, over the rounds that both have; none without such rounds, or where one is not
/// above zero.
pub fn ratio(ours: &[f64], theirs: &[f64], stream: u64) -> Option<Spread> {
    let rounds = ours.len().min(theirs.len());
    Spread::of(&ours[..rounds], stream)?.over(&Spread::of(&theirs[..rounds], stream)?)
}

/// The median; none without a sample.
pub fn median(samples: &[f64]) -> Option<f64> {
    percentile(samples, 0.5)
}

/// The value that a share of the samples lie below, by linear interpolation between the two nearest; none without one.
pub fn percentile(samples: &[f64], share: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| at(&sorted, share))
}

/// Samples in order, and where in that order each round's stands: a draw is counted, not sorted.
struct Rounds {
    sorted: Vec<f64>,
    ranks: Vec<usize>,
}

impl Rounds {
    fn of(samples: &[f64]) -> Rounds {
        let mut order: Vec<usize> = (0..samples.len()).collect();
        order.sort_by(|a, b| samples[*a].total_cmp(&samples[*b]));
        let mut ranks = vec![0; samples.len()];
        for (rank, round) in order.iter().enumerate() {
            ranks[*round] = rank;
        }
        Rounds {
            sorted: order.iter().map(|round| samples[*round]).collect(),
            ranks,
        }
    }

    /// So many times the percentile of as many rounds, drawn with replacement.
    fn draw(&self, times: usize, share: f64, mut chance: Chance) -> Vec<f64> {
        let number = self.ranks.len();
        let (below, above, part) = between(number, share);
        let mut values = Vec::with_capacity(times);
        let mut drawn = vec![0; number];
        for _ in 0..times {
            drawn.fill(0);
            for _ in 0..number {
                drawn[self.ranks[chance.below(number)]] += 1;
            }
            let (low, high) = (self.sorted[nth(&drawn, below)], self.sorted[nth(&drawn, above)]);
            values.push(low + (high - low) * part);
        }
        values
    }
}

/// The rank of the nth of the values drawn, where each rank was drawn so often.
fn nth(drawn: &[usize], nth: usize) -> usize {
    let mut seen = 0;
    let mut rank = 0;
    loop {
        seen += drawn[rank];
        if seen > nth {
            return rank;
        }
        rank += 1;
    }
}

/// The value at a share of the way through sorted values, of which there is at least one.
fn at(sorted: &[f64], share: f64) -> f64 {
    let (below, above, part) = between(sorted.len(), share);
    sorted[below] + (sorted[above] - sorted[below]) * part
}

/// Which two of so many sorted values a share lies between, and how far it is from the first to the second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number between zero and the number of values"
)]
fn between(number: usize, share: f64) -> (usize, usize, f64) {
    let place = share.clamp(0.0, 1.0) * count(number - 1);
    (place.floor() as usize, place.ceil() as usize, place.fract())
}

/// As a divisor: exact for every number of samples that fits into memory.
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

/// `SplitMix64`: written out, so that an update of a crate cannot change the intervals of a report.
/// Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014, figure 16.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of as many numbers, from zero; what the division leaves over makes none likelier by more than one in 2^50.
    #[expect(clippy::cast_possible_truncation, reason = "below a number that is a usize")]
    fn below(&mut self, numbers: usize) -> usize {
        (self.next() % numbers as u64) as usize
    }
}
