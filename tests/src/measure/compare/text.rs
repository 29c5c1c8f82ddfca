//! A comparison as text.

use std::fmt;

use super::{Basis, Change, Comparison, Direction, Only, TOLERANCE};
use crate::measure::document::{self, Block, Grid};
use crate::measure::statistics::Estimate;
use crate::measure::{analysis::unique, words};

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blocks = vec![Block::Text(summary(self))];
        blocks.extend((!self.notes.is_empty()).then(|| Block::List(self.notes.clone())));
        for (title, direction) in [("Worse", Direction::Regression), ("Better", Direction::Improvement)] {
            let rows: Vec<_> = self.flagged(direction).map(row).collect();
            if !rows.is_empty() {
                blocks.push(Block::Part(title.to_owned()));
                blocks.push(Block::Table(Grid {
                    head: HEAD.to_vec(),
                    rows,
                }));
            }
        }
        for (run, only) in [("old", &self.only_old), ("new", &self.only_new)] {
            if !only.is_empty() {
                blocks.push(Block::Part(format!("Only in the {run} run")));
                blocks.push(Block::List(alone(only)));
            }
        }
        f.write_str(&document::text(&blocks))
    }
}

const HEAD: [&str; 5] = ["peer", "case", "where", "new to old", "basis"];

fn summary(comparison: &Comparison) -> String {
    let count = |direction| comparison.flagged(direction).count();
    let few = comparison
        .rows
        .iter()
        .filter(|row| row.direction == Direction::TooFew)
        .count();
    let few = if few > 0 {
        format!(", {few} of them of too few rounds to say anything")
    } else {
        String::new()
    };
    format!(
        "{} rows and {} cases compared{few}: {} worse, {} better. Ratios are new to old of each peer's ratio to direct \
         within its own run. Flagged is what differs by more than {}, by more than the control moved, and with the whole \
         interval; the intervals allow for the number of rows.",
        comparison.rows.len(),
        comparison.cases.len(),
        count(Direction::Regression),
        count(Direction::Improvement),
        words::percent(TOLERANCE)
    )
}

fn row(change: &Change) -> Vec<String> {
    let basis = match change.basis {
        Basis::ToDirect => "to direct",
        Basis::Plain => "plain",
    };
    let ratio = Estimate {
        value: change.ratio,
        interval: change.interval,
        samples: 0,
    };
    vec![
        change.peer.clone(),
        format!("{} {}", change.case, change.metric.name),
        change.subject.as_ref().map_or_else(|| "all places".to_owned(), place),
        words::ratio_estimate(&ratio),
        basis.to_owned(),
    ]
}

fn place(subject: &crate::measure::results::Subject) -> String {
    match &subject.host[..] {
        "" => words::place(subject),
        host => format!("{}, {host}", words::place(subject)),
    }
}

/// A line for each peer, case and metric; the place where it is one, their number where there are more.
fn alone(only: &[Only]) -> Vec<String> {
    fn key(of: &Only) -> (&str, &str, &str) {
        (&of.peer, &of.subject.case, &of.metric.name)
    }
    let line = |wanted: (&str, &str, &str)| {
        let all: Vec<_> = only.iter().filter(|of| key(of) == wanted).collect();
        let (peer, case, metric) = wanted;
        match all[..] {
            [one] => format!("{peer}: {case} {metric}, {}", place(&one.subject)),
            _ => format!("{peer}: {case} {metric}, {} places", all.len()),
        }
    };
    unique(only.iter().map(key)).into_iter().map(line).collect()
}
