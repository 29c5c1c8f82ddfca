//! One figure of every peer: a bar each with its interval, and a line where `direct` is.

use anyhow::Result;
use plotters::prelude::*;

use super::axis::{Axis, Digits, short};
use super::canvas::{self, Along, Room, done};
use super::palette::{GREY, INK, looks};
use crate::measure::analysis::{Analysis, Table};

/// How high a bar's row is.
const ROW: u32 = 26;
/// Room for peers' names and for the figures behind the bars.
const ROOM: Room = Room {
    left: 128,
    right: 62,
    below: 28,
};

/// Draws a series; the title is the page's.
pub(super) fn draw(analysis: &Analysis<'_>, table: &Table<'_>, title: &str) -> Result<String> {
    let peers = &analysis.results.peers;
    let y = Axis::rows(peers.iter().map(|peer| peer.name.clone()).collect());
    let x = Axis::linear(&reach(table));
    let looks = looks(analysis.results);
    let height = u32::try_from(peers.len())? * ROW + ROOM.below + 10;
    canvas::svg(title, height, |area| {
        let mut chart = canvas::frame(area, &x, &y, ROOM)?;
        for (at, row) in table.rows.iter().enumerate() {
            let middle = y.row(at);
            let Some(median) = &row.median else {
                let why = canvas::missing(&peers[at].state);
                canvas::text(&mut chart, (0.0, middle), (6, 0), why.to_owned())?;
                continue;
            };
            let bar = [(0.0, middle - 0.36), (median.value, middle + 0.36)];
            done(chart.draw_series([Rectangle::new(bar, looks[at].colour.filled())]))?;
            // Ink on ink cannot be seen: the interval of an ink bar is grey.
            let colour = if looks[at].colour == INK { GREY } else { INK };
            canvas::interval(&mut chart, median, middle, Along::X, colour)?;
            canvas::text(&mut chart, (x.ends.1, middle), (6, 0), short(median.value, Digits::All))?;
        }
        match analysis.direct(table) {
            Some(direct) => canvas::upright(&mut chart, direct.value, &y),
            None => Ok(()),
        }
    })
}

/// How far the medians and their intervals reach.
fn reach(table: &Table<'_>) -> Vec<f64> {
    let medians = table.rows.iter().filter_map(|row| row.median);
    medians
        .map(|median| median.interval.map_or(median.value, |interval| interval.high))
        .collect()
}
