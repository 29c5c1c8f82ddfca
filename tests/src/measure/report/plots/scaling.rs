//! A figure of every peer against a number: of services, of endpoints, of live flows.

use anyhow::Result;

use super::axis::Axis;
use super::canvas::{self, Along, LEGEND_LINE, Room};
use super::palette::looks;
use crate::measure::analysis::{Analysis, Table};
use crate::measure::dimension::Dimension;
use crate::measure::results::Better;
use crate::measure::statistics::{Estimate, count};

const ROOM: Room = Room {
    left: 52,
    right: 22,
    below: 30,
};
const CHART: i32 = 300;
const LEGEND_COLUMNS: usize = 3;

/// Draws tables that differ in one number alone; the title is the page's.
pub(super) fn draw(analysis: &Analysis<'_>, tables: &[&Table<'_>], along: Dimension, title: &str) -> Result<String> {
    let x = numbers(tables, along);
    let y = values(tables);
    let looks = looks(analysis.results);
    let peers = &analysis.results.peers;
    let points = |at: usize| points(tables, along, at);
    let shown: Vec<usize> = (0..peers.len()).filter(|at| !points(*at).is_empty()).collect();
    let lines = i32::try_from(shown.len().div_ceil(LEGEND_COLUMNS))?;
    let height = u32::try_from(CHART + lines * LEGEND_LINE + 8)?;
    canvas::svg(title, height, |area| {
        let (upper, lower) = area.split_vertically(CHART);
        let mut chart = canvas::frame(&upper, &x, &y, ROOM)?;
        for (nth, at) in shown.iter().enumerate() {
            let look = looks[*at];
            // Side by side by a hair, or one peer's interval hides another's.
            let aside = 10f64.powf((count(nth) - count(shown.len() - 1) / 2.0) * 0.012);
            let of_peer = points(*at);
            let through: Vec<_> = of_peer.iter().map(|(number, of)| (number * aside, of.value)).collect();
            canvas::line(&mut chart, &through, &look)?;
            for ((_, median), place) in of_peer.iter().zip(&through) {
                canvas::interval(&mut chart, median, place.0, Along::Y, look.colour)?;
                canvas::mark(&mut chart, *place, look.mark, look.colour)?;
            }
        }
        let entries: Vec<_> = shown.iter().map(|at| (&peers[*at].name[..], looks[*at])).collect();
        canvas::legend(&lower, &entries, LEGEND_COLUMNS)
    })
}

/// Whether the values are drawn on a logarithmic axis, in words for the title.
pub(super) fn hint(tables: &[&Table<'_>]) -> &'static str {
    values(tables).hint()
}

/// A peer's medians by number.
fn points(tables: &[&Table<'_>], along: Dimension, at: usize) -> Vec<(f64, Estimate)> {
    let point = |table: &&Table<'_>| Some((number(table, along), table.rows[at].median?));
    tables.iter().filter_map(point).collect()
}

fn numbers(tables: &[&Table<'_>], along: Dimension) -> Axis {
    let numbers: Vec<f64> = tables.iter().map(|table| number(table, along)).collect();
    Axis::log(&numbers).with_ticks(&numbers)
}

/// None has a place beside one.
fn number(table: &Table<'_>, along: Dimension) -> f64 {
    f64::from(along.number(table.subject).max(1))
}

fn values(tables: &[&Table<'_>]) -> Axis {
    let rows = tables.iter().flat_map(|table| &table.rows);
    let medians = rows.filter_map(|row| row.median);
    let ends = medians.flat_map(|median| match median.interval {
        Some(interval) => vec![interval.low, median.value, interval.high],
        None => vec![median.value],
    });
    // A rate is read against zero; of times and sizes the small ones matter as much as the large ones.
    let times = match tables[0].metric.better {
        Better::Higher => 100.0,
        Better::Lower => 6.0,
    };
    Axis::fitting(&ends.collect::<Vec<_>>(), times)
}
