//! Where values are put, and which of them are written beside.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

use crate::measure::statistics::count;

/// An axis.
#[derive(Clone)]
pub(super) struct Axis {
    is_log: bool,
    /// The values at its ends.
    pub(super) ends: (f64, f64),
    /// The values to write.
    ticks: Vec<f64>,
    /// Written instead of values, the first at the upper end.
    names: Vec<String>,
}

impl Axis {
    /// From zero to a bit more than the largest of the values.
    pub(super) fn linear(values: &[f64]) -> Axis {
        let most = values.iter().copied().fold(0.0, f64::max);
        let most = if most > 0.0 { most * 1.05 } else { 1.0 };
        let power = 10f64.powf((most / 5.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let step = steps.into_iter().find(|step| most / step <= 5.0).unwrap_or(most);
        let ticks = (0..=5).map(|number| f64::from(number) * step);
        Axis {
            is_log: false,
            ends: (0.0, most),
            ticks: ticks.filter(|tick| *tick <= most).collect(),
            names: Vec::new(),
        }
    }

    /// In powers of ten, from a bit below the smallest value to a bit above the largest; all are above zero.
    pub(super) fn log(values: &[f64]) -> Axis {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(low, f64::max);
        let (low, high) = (low.log10() - 0.06, high.log10() + 0.06);
        let steps: &[f64] = match high - low {
            decades if decades < 0.8 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            decades if decades < 2.0 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let powers = (-12..=15).map(|power| 10f64.powi(power));
        let ticks = powers.flat_map(|power| steps.iter().map(move |step| step * power));
        Axis {
            is_log: true,
            ends: (10f64.powf(low), 10f64.powf(high)),
            ticks: ticks.filter(|tick| (low..=high).contains(&tick.log10())).collect(),
            names: Vec::new(),
        }
    }

    /// Linear; in powers of ten where the largest value is more than so many times the smallest.
    pub(super) fn fitting(values: &[f64], times: f64) -> Axis {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        match low > 0.0 && high / low > times {
            true => Axis::log(values),
            false => Axis::linear(values),
        }
    }

    /// One row for each name, the first uppermost.
    pub(super) fn rows(names: Vec<String>) -> Axis {
        let number = count(names.len());
        Axis {
            is_log: false,
            ends: (0.0, number),
            ticks: (0..names.len()).map(|row| number - count(row) - 0.5).collect(),
            names,
        }
    }

    /// Whether it is one of rows.
    pub(super) fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// The middle of a row.
    pub(super) fn row(&self, row: usize) -> f64 {
        self.ticks[row]
    }

    /// With just these values written, in ascending order; without those that would be written over the one before.
    pub(super) fn with_ticks(mut self, ticks: &[f64]) -> Axis {
        let mut kept: Vec<f64> = Vec::new();
        for tick in ticks {
            if kept
                .last()
                .is_none_or(|last| self.share(*tick) - self.share(*last) > 0.075)
            {
                kept.push(*tick);
            }
        }
        self.ticks = kept;
        self
    }

    /// A word for the plot's title.
    pub(super) fn hint(&self) -> &'static str {
        if self.is_log { ", logarithmic" } else { "" }
    }

    /// What to write at a value.
    pub(super) fn label(&self, value: f64) -> String {
        let row = self.ticks.iter().position(|tick| (tick - value).abs() < 1e-9);
        match row.and_then(|row| self.names.get(row)) {
            Some(name) => name.clone(),
            None => short(value, Digits::Needed),
        }
    }

    /// How far a value is from the lower end; the whole axis is 1. What lies outside is drawn at the nearer end.
    fn share(&self, value: f64) -> f64 {
        let place = |value: f64| {
            if self.is_log {
                value.max(f64::MIN_POSITIVE).log10()
            } else {
                value
            }
        };
        let (low, high) = (place(self.ends.0), place(self.ends.1));
        ((place(value) - low) / (high - low)).clamp(0.0, 1.0)
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    #[expect(clippy::cast_possible_truncation, reason = "between two numbers that are i32")]
    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        limit.0 + (self.share(*value) * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.ends.0..self.ends.1
    }
}

/// Which digits to write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Digits {
    /// Those that are not zero.
    Needed,
    /// Three, or more before the point.
    All,
}

/// A figure in few letters: `0.5`; `1,500` is `1.5k`, or `1.50k` with all digits; `2,000,000` is `2M`.
pub(super) fn short(value: f64, digits: Digits) -> String {
    let (value, unit) = match value.abs() {
        v if v >= 999_500_000.0 => (value / 1e9, "G"),
        v if v >= 999_500.0 => (value / 1e6, "M"),
        v if v >= 999.5 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let behind = match value.abs() {
        v if v >= 99.95 || v == 0.0 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.995 => 2,
        v if v >= 0.0995 => 3,
        _ => 5,
    };
    let text = format!("{value:.behind$}");
    let text = match digits == Digits::Needed && text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{unit}")
}
