//! Which plots a run has: chosen by what its series have, not by their names.

mod axis;
mod bars;
mod canvas;
pub(super) mod palette;
mod percentiles;
mod scaling;

use anyhow::Result;

use super::{Analysis, HEADLINE_HOST};
use crate::measure::analysis::{Table, is_percentile, unique};
use crate::measure::dimension::Dimension;
use crate::measure::document::{Block, Plot};
use crate::measure::results::Metric;
use crate::measure::words;

/// The drawings of the headlines' host: of each case the first path openly, the others folded.
pub(super) fn chapter(analysis: &Analysis<'_>) -> Result<Vec<Block>> {
    let tables = analysis.headline_tables();
    let mut blocks = vec![
        Block::Heading("Drawings".to_owned()),
        Block::Text(format!(
            "Of the host {HEADLINE_HOST}. A mark or the end of a bar is a median, the thin line across it its 95 % \
             interval, the dashed line of the page's text colour where direct is."
        )),
    ];
    for case in analysis.cases() {
        let of_case: Vec<_> = tables
            .iter()
            .copied()
            .filter(|table| table.subject.case == case)
            .collect();
        let along = analysis.dimension(case);
        let mut paths = Vec::new();
        for path in unique(of_case.iter().map(|table| path(table, along))) {
            let of_path: Vec<_> = of_case
                .iter()
                .copied()
                .filter(|of| self::path(of, along) == path)
                .collect();
            paths.push(plots(analysis, &of_path, along)?);
        }
        let mut paths = paths.into_iter().filter(|plots| !plots.is_empty());
        let Some(first) = paths.next() else { continue };
        blocks.push(Block::Part(case.to_owned()));
        blocks.push(Block::Plots(first));
        let others: Vec<_> = paths.map(Block::Plots).collect();
        if !others.is_empty() {
            blocks.push(Block::Folded(format!("{case}: {} more places", others.len()), others));
        }
    }
    Ok(blocks)
}

/// Where a table is of, whatever the family and the number that its case is measured against.
fn path<'a>(table: &Table<'a>, along: Dimension) -> (&'a str, String, &'a str) {
    let subject = table.subject;
    let but = |dimension: Dimension| match dimension == along || dimension == Dimension::Services {
        true => String::new(),
        false => words::number(dimension, dimension.number(subject)),
    };
    let numbers = [Dimension::Endpoints, Dimension::Flows].map(but).concat();
    (&subject.path, numbers, &subject.position)
}

/// All plots of one path of one case: both families side by side.
fn plots(analysis: &Analysis<'_>, tables: &[&Table<'_>], along: Dimension) -> Result<Vec<Plot>> {
    let mut plots = Vec::new();
    let shares = unique(
        tables
            .iter()
            .map(|table| &table.metric)
            .filter(|metric| is_percentile(metric)),
    );
    let others = unique(
        tables
            .iter()
            .map(|table| &table.metric)
            .filter(|metric| !is_percentile(metric)),
    );
    let routes = unique(tables.iter().map(|table| words::route(table.subject, along)));
    let of_route = |route: &str, metric: &Metric| -> Vec<&Table<'_>> {
        let is_it = |of: &&&Table<'_>| words::route(of.subject, along) == route && of.metric == *metric;
        let mut found: Vec<_> = tables.iter().filter(is_it).copied().collect();
        found.sort_by_key(|table| along.number(table.subject));
        found
    };
    for metric in &others {
        for route in &routes {
            plots.extend(bar(analysis, &of_route(route, metric), along)?);
        }
        for route in &routes {
            plots.extend(scale(analysis, &of_route(route, metric), along)?);
        }
    }
    for route in &routes {
        let tables: Vec<_> = shares.iter().flat_map(|metric| of_route(route, metric)).collect();
        plots.extend(distribution(analysis, &tables, along)?);
        // A case of percentiles alone is about them: their scaling is shown as well.
        let first = tables.first().filter(|_| others.is_empty());
        if let Some(first) = first {
            plots.extend(scale(analysis, &of_route(route, &first.metric), along)?);
        }
    }
    Ok(plots)
}

fn bar(analysis: &Analysis<'_>, tables: &[&Table<'_>], along: Dimension) -> Result<Option<Plot>> {
    let Some(table) = fullest(tables, along) else {
        return Ok(None);
    };
    let (subject, metric) = (table.subject, &table.metric);
    let title = format!(
        "{} {}, {}: {}",
        subject.case,
        metric.name,
        metric.unit,
        words::place(subject)
    );
    let svg = bars::draw(analysis, table, &title)?;
    Ok(Some(Plot { title, svg }))
}

/// Nothing with one number of them, or where there is no one to compare.
fn scale(analysis: &Analysis<'_>, tables: &[&Table<'_>], along: Dimension) -> Result<Option<Plot>> {
    let Some(first) = fullest(tables, along).filter(|_| tables.len() > 1) else {
        return Ok(None);
    };
    let (subject, metric) = (first.subject, &first.metric);
    let hint = scaling::hint(tables);
    let of = format!("{} {}, {}{hint}", subject.case, metric.name, metric.unit);
    let title = format!(
        "{of}, against the number of {}: {}",
        along.name(),
        words::route(subject, along)
    );
    let svg = scaling::draw(analysis, tables, along, &title)?;
    Ok(Some(Plot { title, svg }))
}

fn distribution(analysis: &Analysis<'_>, tables: &[&Table<'_>], along: Dimension) -> Result<Option<Plot>> {
    let Some(of) = fullest(tables, along).map(|table| table.subject) else {
        return Ok(None);
    };
    let tables: Vec<_> = tables.iter().copied().filter(|table| table.subject == of).collect();
    let (unit, key) = (&tables[0].metric.unit, percentiles::key(&tables));
    let title = format!("{} {key}, {unit}, logarithmic: {}", of.case, words::place(of));
    let svg = percentiles::draw(analysis, &tables, &title)?;
    Ok(Some(Plot { title, svg }))
}

/// Of those that most peers have a value in, the one with the largest number; none where there is no one to compare.
fn fullest<'a, 'b>(tables: &[&'b Table<'a>], along: Dimension) -> Option<&'b Table<'a>> {
    let compared = tables.iter().copied().filter(|table| table.peers() > 1);
    compared.max_by_key(|table| (table.peers(), along.number(table.subject)))
}
