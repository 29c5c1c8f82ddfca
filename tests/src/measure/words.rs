//! Figures as people read them.

use super::dimension::Dimension;
use super::results::Subject;
use super::statistics::{Estimate, Interval};

/// What stands where there is no figure.
pub const NONE: &str = "–";

/// A figure with four significant digits and the thousands apart: `12,350`, `1.235`, `0.01235`.
pub fn figure(value: f64) -> String {
    digits(value, 4)
}

/// A ratio, the more exact the nearer to 1: `0.983`, `1.021`, `3.12`, `45.1`.
pub fn ratio(value: f64) -> String {
    match value {
        v if v >= 100.0 => digits(v, 3),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 2.0 => format!("{v:.2}"),
        v if v >= 0.1 => format!("{v:.3}"),
        v => digits(v, 2),
    }
}

/// A difference: `0.034` is `3.4 %`.
pub fn percent(difference: f64) -> String {
    match difference {
        d if d > 10.0 => "over 1000 %".to_owned(),
        d if d >= 0.0995 => format!("{:.0} %", d * 100.0),
        d => format!("{:.1} %", d * 100.0),
    }
}

/// A median with its interval: `12,350 [12,100, 12,600]`.
pub fn estimate(of: &Estimate) -> String {
    with_interval(of, figure)
}

/// A ratio with its interval.
pub fn ratio_estimate(of: &Estimate) -> String {
    with_interval(of, ratio)
}

/// So many of something: `1 service`, `10,000 endpoints`; nothing of what there is none of.
pub fn number(dimension: Dimension, number: u32) -> String {
    let name = dimension.name();
    match number {
        0 => String::new(),
        1 => format!("1 {}", name.trim_end_matches('s')),
        more => format!("{} {name}", figure(f64::from(more))),
    }
}

/// Where a subject was measured, without its case and its host.
pub fn place(subject: &Subject) -> String {
    let services = number(Dimension::Services, subject.services);
    joined([route(subject, Dimension::Services), services])
}

/// Where a subject was measured, without its case, its host and one of its numbers.
pub fn route(subject: &Subject, without: Dimension) -> String {
    let position = match &subject.position[..] {
        "" => String::new(),
        position => format!("{position} service"),
    };
    let but = |dimension: Dimension| match dimension == without {
        true => String::new(),
        false => number(dimension, dimension.number(subject)),
    };
    joined([
        subject.path.clone(),
        subject.family.clone(),
        but(Dimension::Endpoints),
        but(Dimension::Flows),
        position,
        but(Dimension::Services),
    ])
}

fn joined<const N: usize>(parts: [String; N]) -> String {
    let mut parts = parts.to_vec();
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

fn with_interval(of: &Estimate, show: fn(f64) -> String) -> String {
    match of.interval {
        Some(Interval { low, high }) => format!("{} [{}, {}]", show(of.value), show(low), show(high)),
        None => format!("{} (no interval)", show(of.value)),
    }
}

/// Rounded to a number of significant digits; without those behind the point that say nothing.
fn digits(value: f64, significant: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 {
            "0".to_owned()
        } else {
            value.to_string()
        };
    }
    // Scientific notation rounds; reading it back gives the rounded value.
    let rounded: f64 = format!("{value:.*e}", significant - 1).parse().unwrap_or(value);
    let text = rounded.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = thousands(whole);
    match fraction {
        "" => whole,
        fraction => format!("{whole}.{fraction}"),
    }
}

fn thousands(whole: &str) -> String {
    let (sign, number) = whole.split_at(whole.len() - whole.trim_start_matches('-').len());
    let mut apart = String::new();
    for (at, digit) in number.chars().enumerate() {
        if at > 0 && (number.len() - at).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    format!("{sign}{apart}")
}
