//! Every figure of a run as tables: a case has a part, each of its places a table.

use super::{Analysis, HEADLINE_HOST};
use crate::measure::analysis::{Row, Table, unique};
use crate::measure::dimension::Dimension;
use crate::measure::document::{Block, Grid};
use crate::measure::results::State;
use crate::measure::verdict::Pair;
use crate::measure::words::{self, NONE};

/// Hosts in the order to show them: that of the headlines first.
pub(super) fn hosts<'a>(analysis: &Analysis<'a>) -> Vec<&'a str> {
    let mut hosts = unique(analysis.results.series.iter().map(|series| &series.subject.host[..]));
    hosts.sort_by_key(|host| match *host {
        HEADLINE_HOST => 0,
        "" => 1,
        _ => 2,
    });
    hosts
}

/// The tables of a host: all, or without the latencies of cases that are about something else.
pub(super) fn chapter(analysis: &Analysis<'_>, host: &str, headlines: bool) -> Vec<Block> {
    let title = match host {
        "" => "Tables: of no host in particular".to_owned(),
        host => format!("Tables: host {host}"),
    };
    let mut blocks = vec![Block::Heading(title)];
    for case in analysis.cases() {
        let of_case = |table: &&Table<'_>| {
            let subject = table.subject;
            let is_shown = !headlines || analysis.is_headline(case, &table.metric);
            subject.case == case && subject.host == host && is_shown
        };
        let tables: Vec<_> = analysis.tables.iter().filter(of_case).collect();
        if tables.is_empty() {
            continue;
        }
        blocks.push(Block::Part(case.to_owned()));
        if tables.iter().all(|table| table.peers() < 2) {
            let title = format!("{case}: all places");
            blocks.push(Block::Folded(title, vec![Block::Table(alone(analysis, &tables))]));
            continue;
        }
        let along = analysis.dimension(case);
        for route in unique(tables.iter().map(|table| words::route(table.subject, along))) {
            let of_route: Vec<_> = tables
                .iter()
                .filter(|table| words::route(table.subject, along) == route)
                .collect();
            let grid = grid(analysis, &of_route, along);
            let title = format!("{case}: {}", if route.is_empty() { "all" } else { &route });
            blocks.push(Block::Folded(title, vec![Block::Table(grid)]));
        }
    }
    blocks
}

const HEAD: [&str; 7] = [
    "peer",
    "value [95 % interval]",
    "samples",
    "to direct",
    "to best kube-proxy",
    "verdict",
    "smallest difference",
];

fn grid(analysis: &Analysis<'_>, tables: &[&&Table<'_>], along: Dimension) -> Grid {
    let mut rows = Vec::new();
    for table in tables {
        let metric = &table.metric;
        for (at, row) in table.rows.iter().enumerate() {
            let peer = &analysis.results.peers[at];
            let mut cells = vec![
                format!("{}, {}", metric.name, metric.unit),
                words::figure(f64::from(along.number(table.subject))),
                peer.name.clone(),
            ];
            cells.extend(match &row.median {
                Some(_) => figures(row, table.best == Some(at)),
                None => nothing(&peer.state),
            });
            rows.push(cells);
        }
    }
    Grid {
        head: [&["metric", along.name()], &HEAD[..]].concat(),
        rows,
    }
}

/// A case that one peer alone can have: a row for each figure.
fn alone(analysis: &Analysis<'_>, tables: &[&Table<'_>]) -> Grid {
    let mut rows = Vec::new();
    for table in tables {
        for (row, peer) in table.rows.iter().zip(&analysis.results.peers) {
            rows.extend(row.median.as_ref().map(|median| {
                vec![
                    words::place(table.subject),
                    peer.name.clone(),
                    format!("{}, {}", table.metric.name, table.metric.unit),
                    words::estimate(median),
                    median.samples.to_string(),
                ]
            }));
        }
    }
    let head = vec!["where", "peer", "metric", "median [95 % interval]", "samples"];
    Grid { head, rows }
}

fn figures(row: &Row, is_best: bool) -> [String; 6] {
    let ratio = |pair: &Pair| {
        pair.ratio
            .as_ref()
            .map_or_else(|| NONE.to_owned(), words::ratio_estimate)
    };
    let pair = |pair: &Option<Pair>| pair.as_ref().map(ratio);
    let none = || NONE.to_owned();
    let judged = row.to_best.as_ref();
    [
        row.median.as_ref().map_or_else(none, words::estimate),
        row.median.map_or_else(none, |median| median.samples.to_string()),
        pair(&row.to_direct).unwrap_or_else(none),
        pair(&row.to_best).unwrap_or_else(|| if is_best { "is the best".to_owned() } else { none() }),
        judged.map_or_else(none, |pair| pair.verdict.to_string()),
        judged.and_then(|pair| pair.smallest).map_or_else(none, words::percent),
    ]
}

/// The row of a peer that has no figure here: it is not left out.
fn nothing(state: &State) -> [String; 6] {
    let why = match state {
        State::Measured => "not measured here".to_owned(),
        State::Absent(why) => why.clone(),
        State::Failed(_) => "failed, see the findings".to_owned(),
    };
    let none = || NONE.to_owned();
    [why, "0".to_owned(), none(), none(), none(), none()]
}
