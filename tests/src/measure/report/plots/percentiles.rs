//! The percentiles of a distribution of every peer, side by side.

use anyhow::Result;
use plotters::prelude::*;

use super::axis::Axis;
use super::canvas::{self, Along, Chart, Room, done};
use super::palette::{Mark, looks};
use crate::measure::analysis::{Analysis, Table};
use crate::measure::statistics::Estimate;

const ROW: u32 = 28;
const ROOM: Room = Room {
    left: 128,
    right: 22,
    below: 28,
};
/// What marks the first, the second and the third percentile; further ones begin again.
const MARKS: [(Mark, &str); 3] = [(Mark::Circle, "●"), (Mark::Triangle, "▲"), (Mark::Square, "■")];

/// What marks what: `● p50 ▲ p99`.
pub(super) fn key(tables: &[&Table<'_>]) -> String {
    let key = |(at, table): (usize, &&Table<'_>)| format!("{} {}", MARKS[at % MARKS.len()].1, table.metric.name);
    tables.iter().enumerate().map(key).collect::<Vec<_>>().join(" ")
}

/// Draws tables that differ in their metric alone; the title is the page's. The line is at the ceiling's first.
pub(super) fn draw(analysis: &Analysis<'_>, tables: &[&Table<'_>], title: &str) -> Result<String> {
    let peers = &analysis.results.peers;
    let looks = looks(analysis.results);
    let y = Axis::rows(peers.iter().map(|peer| peer.name.clone()).collect());
    let medians = tables
        .iter()
        .flat_map(|table| table.rows.iter().filter_map(|row| row.median));
    let ends = medians.flat_map(|of| [Some(of.value), of.interval.map(|i| i.low), of.interval.map(|i| i.high)]);
    let x = Axis::log(&ends.flatten().filter(|value| *value > 0.0).collect::<Vec<_>>());
    let height = u32::try_from(peers.len())? * ROW + ROOM.below + 10;
    canvas::svg(title, height, |area| {
        let mut chart = canvas::frame(area, &x, &y, ROOM)?;
        for (at, peer) in peers.iter().enumerate() {
            let medians = tables.iter().map(|table| table.rows[at].median);
            let medians: Vec<_> = medians.map(|of| of.filter(|of| of.value > 0.0)).collect();
            if medians.iter().all(Option::is_none) {
                let why = canvas::missing(&peer.state);
                canvas::text(&mut chart, (x.ends.0, y.row(at)), (24, 0), why.to_owned())?;
            }
            row(&mut chart, &medians, y.row(at), looks[at].colour)?;
        }
        match analysis.direct(tables[0]).filter(|direct| direct.value > 0.0) {
            Some(direct) => canvas::upright(&mut chart, direct.value, &y),
            None => Ok(()),
        }
    })
}

/// One peer's percentiles, joined by a line.
fn row(chart: &mut Chart<'_>, medians: &[Option<Estimate>], at: f64, colour: RGBColor) -> Result<()> {
    let through = medians.iter().flatten().map(|median| (median.value, at));
    let line = LineSeries::new(through.collect::<Vec<_>>(), colour.stroke_width(1));
    done(chart.draw_series(line))?;
    for (nth, median) in medians.iter().enumerate() {
        let Some(median) = median else { continue };
        canvas::interval(chart, median, at, Along::X, colour)?;
        canvas::mark(chart, (median.value, at), MARKS[nth % MARKS.len()].0, colour)?;
    }
    Ok(())
}
