//! What all plots have in common: an SVG, axes, marks.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::palette::{GRID, INK, Look, Mark};
use crate::measure::results::State;
use crate::measure::statistics::Estimate;

/// How wide every plot is: as many units as a phone's page has points, and a third more.
pub(super) const WIDTH: u32 = 480;
/// The size of letters: large enough when a phone's page shrinks the plot by a quarter.
const LETTERS: f64 = 17.0;

/// A part of a drawing.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A part with axes.
pub(super) type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Axis, Axis>>;

/// Room for what is written beside the axes, and behind the last value.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) left: u32,
    pub(super) right: u32,
    pub(super) below: u32,
}

/// Draws an SVG of a height; `title` is what it shows, for those who cannot see it.
pub(super) fn svg(title: &str, height: u32, draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        draw(&area)?;
        done(area.present())?;
    }
    let label = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    Ok(text.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1))
}

/// Drawing into text has no reason to fail; if it does, the report says so.
pub(super) fn done<T, E: std::error::Error + Send + Sync>(result: Result<T, DrawingAreaErrorKind<E>>) -> Result<T> {
    result.map_err(|error| anyhow!("a plot cannot be drawn: {error}"))
}

/// Draws axes with their labels and grid.
pub(super) fn frame<'a>(area: &Area<'a>, x: &Axis, y: &Axis, room: Room) -> Result<Chart<'a>> {
    let mut builder = ChartBuilder::on(area);
    builder
        .margin_top(6)
        .margin_right(room.right)
        .x_label_area_size(room.below)
        .y_label_area_size(room.left);
    let mut chart = done(builder.build_cartesian_2d(x.clone(), y.clone()))?;
    let letters = ("sans-serif", LETTERS).into_font().color(&INK);
    let mut mesh = chart.configure_mesh();
    mesh.axis_style(GRID)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .label_style(letters);
    if y.has_names() {
        // A line through a row would strike out what is written in it.
        mesh.disable_y_mesh();
    }
    done(
        mesh.x_label_formatter(&|at| x.label(*at))
            .y_label_formatter(&|at| y.label(*at))
            .draw(),
    )?;
    Ok(chart)
}

/// Text at a distance in units from a place.
pub(super) fn text(chart: &mut Chart<'_>, at: (f64, f64), away: (i32, i32), text: String) -> Result<()> {
    let style = ("sans-serif", LETTERS)
        .into_font()
        .color(&INK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    let element = EmptyElement::at(at) + Text::new(text, away, style);
    done(chart.draw_series([element])).map(drop)
}

/// What stands in the row of a peer without a figure.
pub(super) fn missing(state: &State) -> &'static str {
    match state {
        State::Measured => "not measured here",
        State::Absent(_) => "absent",
        State::Failed(_) => "failed",
    }
}

/// A dashed line from the lowest row to the highest.
pub(super) fn upright(chart: &mut Chart<'_>, at: f64, rows: &Axis) -> Result<()> {
    let line = DashedLineSeries::new([(at, 0.0), (at, rows.ends.1)], 4, 3, INK.stroke_width(1));
    done(chart.draw_series(line)).map(drop)
}

/// A mark at a place.
pub(super) fn mark(chart: &mut Chart<'_>, at: (f64, f64), mark: Mark, colour: RGBColor) -> Result<()> {
    let style = colour.filled();
    let result = match mark {
        Mark::Circle => chart
            .draw_series([EmptyElement::at(at) + Circle::new((0, 0), 4, style)])
            .map(drop),
        Mark::Square => {
            let element = EmptyElement::at(at) + Rectangle::new([(-4, -4), (4, 4)], style);
            chart.draw_series([element]).map(drop)
        }
        Mark::Triangle => {
            let element = EmptyElement::at(at) + TriangleMarker::new((0, 0), 7, style);
            chart.draw_series([element]).map(drop)
        }
    };
    done(result)
}

/// A line through places, in a peer's look.
pub(super) fn line(chart: &mut Chart<'_>, through: &[(f64, f64)], look: &Look) -> Result<()> {
    let style = look.colour.stroke_width(2);
    let through = through.to_vec();
    let result = match look.is_dashed {
        true => chart.draw_series(DashedLineSeries::new(through, 6, 4, style)).map(drop),
        false => chart.draw_series(LineSeries::new(through, style)).map(drop),
    };
    done(result)
}

/// Which way an interval is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Along {
    X,
    Y,
}

/// An interval with its ends, at a place on the other axis; nothing where there is no interval.
pub(super) fn interval(chart: &mut Chart<'_>, of: &Estimate, other: f64, along: Along, colour: RGBColor) -> Result<()> {
    let Some(interval) = of.interval else {
        return Ok(());
    };
    let style = colour.stroke_width(1);
    let ([low, high], cap) = match along {
        Along::X => ([interval.low, interval.high].map(|end| (end, other)), [(0, -4), (0, 4)]),
        Along::Y => ([interval.low, interval.high].map(|end| (other, end)), [(-4, 0), (4, 0)]),
    };
    done(chart.draw_series(LineSeries::new([low, high], style)))?;
    let caps = [low, high].map(|end| EmptyElement::at(end) + PathElement::new(cap, style));
    done(chart.draw_series(caps)).map(drop)
}

/// Names with their looks, in columns.
pub(super) fn legend(area: &Area<'_>, entries: &[(&str, Look)], columns: usize) -> Result<()> {
    let (width, _) = area.dim_in_pixel();
    let columns = i32::try_from(columns)?;
    let step = i32::try_from(width)? / columns;
    for (at, (name, look)) in entries.iter().enumerate() {
        let at = i32::try_from(at)?;
        let (x, y) = (8 + at % columns * step, 10 + at / columns * LEGEND_LINE);
        let dashes: &[(i32, i32)] = if look.is_dashed {
            &[(0, 8), (20, 28)]
        } else {
            &[(0, 28)]
        };
        for (from, to) in dashes {
            let path = vec![(x + from, y), (x + to, y)];
            done(area.draw(&PathElement::new(path, look.colour.stroke_width(2))))?;
        }
        let style = look.colour.filled();
        match look.mark {
            Mark::Circle => done(area.draw(&Circle::new((x + 14, y), 4, style)))?,
            Mark::Square => done(area.draw(&Rectangle::new([(x + 10, y - 4), (x + 18, y + 4)], style)))?,
            Mark::Triangle => done(area.draw(&TriangleMarker::new((x + 14, y), 7, style)))?,
        }
        let letters = ("sans-serif", LETTERS)
            .into_font()
            .color(&INK)
            .pos(Pos::new(HPos::Left, VPos::Center));
        done(area.draw(&Text::new((*name).to_owned(), (x + 34, y), letters)))?;
    }
    Ok(())
}

/// How high a line of a legend is.
pub(super) const LEGEND_LINE: i32 = 21;
