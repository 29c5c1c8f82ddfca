//! Where each mode of Fairlead stands.

use crate::measure::analysis::{Analysis, Row, Table, unique};
use crate::measure::document::Grid;
use crate::measure::results::{Better, Entrant, Kind, Metric};
use crate::measure::verdict::{Pair, Verdict};
use crate::measure::words;

/// One mode over the whole run: its headlines, or the other metrics.
pub(super) fn summary(analysis: &Analysis<'_>, at: usize, headline: bool) -> String {
    let peer = &analysis.results.peers[at];
    let mut tables = analysis.headline_tables();
    tables.retain(|table| analysis.is_headline(&table.subject.case, &table.metric) == headline);
    let pairs: Vec<_> = tables
        .iter()
        .filter_map(|table| Some((*table, table.rows[at].to_best.as_ref()?)))
        .collect();
    if pairs.is_empty() {
        return format!("{}: has nothing to be compared with a kube-proxy mode.", peer.name);
    }
    let tally = Tally::of(pairs.iter().map(|(_, pair)| *pair));
    let mut text = format!(
        "{} against the best kube-proxy mode of each place, of {} places: better in {}, worse in {}, no difference shown \
         in {}{}.",
        peer.name,
        pairs.len(),
        tally.better,
        tally.worse,
        tally.none,
        tally.too_few()
    );
    for (verdict, name) in [(Verdict::Better, "Largest win"), (Verdict::Worse, "Largest loss")] {
        let shown = pairs.iter().filter(|(_, pair)| pair.verdict == verdict);
        let farthest = shown.max_by(|a, b| a.1.distance().total_cmp(&b.1.distance()));
        text += &match farthest {
            Some((table, _)) => format!(" {name}: {}.", extreme(analysis, table, at)),
            None => format!(" {name}: none."),
        };
    }
    text
}

/// `rate of tcp-short, pod to pod, IPv6, 10,000 services: 3.10 [3.02, 3.20] times iptables-nft`.
fn extreme(analysis: &Analysis<'_>, table: &Table<'_>, at: usize) -> String {
    format!(
        "{} of {}, {}: {}",
        table.metric.name,
        table.subject.case,
        words::place(table.subject),
        table.to_best(at, analysis.results)
    )
}

/// How often each verdict was given.
#[derive(Clone, Copy, Default)]
struct Tally {
    better: usize,
    worse: usize,
    none: usize,
    few: usize,
}

impl Tally {
    fn of<'a>(pairs: impl Iterator<Item = &'a Pair>) -> Tally {
        pairs.fold(Tally::default(), |mut tally, pair| {
            match pair.verdict {
                Verdict::Better => tally.better += 1,
                Verdict::Worse => tally.worse += 1,
                Verdict::NoDifference => tally.none += 1,
                Verdict::TooFew => tally.few += 1,
            }
            tally
        })
    }

    fn too_few(self) -> String {
        match self.few {
            0 => String::new(),
            few => format!(", too few rounds in {few}"),
        }
    }
}

/// A line for each case, metric and mode: of the headlines, or of the other metrics.
pub(super) fn case_by_case(analysis: &Analysis<'_>, headline: bool) -> Grid {
    let mut grid = Grid {
        head: vec![
            "case",
            "mode",
            "to direct",
            "to best kube-proxy",
            "won",
            "lost",
            "not shown",
            "smallest difference",
        ],
        rows: Vec::new(),
    };
    for (case, metric, of_metric) in groups(analysis, headline) {
        for at in analysis.peers_of(Kind::Fairlead) {
            let rows: Vec<_> = of_metric.iter().map(|table| &table.rows[at]).collect();
            if has_values(&rows) {
                grid.rows.push(line(case, metric, &analysis.results.peers[at], &rows));
            }
        }
    }
    grid
}

/// The headlines' tables by case and metric: of the headlines, or of the other metrics.
fn groups<'a, 'b>(analysis: &'b Analysis<'a>, headline: bool) -> Vec<(&'a str, &'b Metric, Vec<&'b Table<'a>>)> {
    let tables = analysis.headline_tables();
    let keys = unique(tables.iter().map(|table| (&table.subject.case[..], &table.metric)));
    let keys = keys
        .into_iter()
        .filter(|(case, metric)| analysis.is_headline(case, metric) == headline);
    let tables = |(case, metric): (&'a str, &'b Metric)| {
        let is_it = |of: &&&Table<'_>| of.subject.case == case && of.metric == *metric;
        (case, metric, tables.iter().filter(is_it).copied().collect::<Vec<_>>())
    };
    // What one mode alone can have, such as the cost of its own programs, is in the tables.
    let is_compared = |tables: &[&Table<'_>]| tables.iter().any(|table| table.peers() > 1);
    keys.map(tables).filter(|(.., tables)| is_compared(tables)).collect()
}

/// A mode that has no value in a case has no line: its agent is another's, or it dropped out and is named for that.
fn has_values(rows: &[&Row]) -> bool {
    rows.iter().any(|row| row.median.is_some())
}

/// A line for each case, mode and kube-proxy mode.
pub(super) fn each_mode(analysis: &Analysis<'_>) -> Grid {
    let peers = &analysis.results.peers;
    let mut rows = Vec::new();
    for (case, metric, tables) in groups(analysis, true) {
        let of = |at: usize| tables.iter().map(|table| &table.rows[at]).collect::<Vec<_>>();
        for at in analysis
            .peers_of(Kind::Fairlead)
            .into_iter()
            .filter(|at| has_values(&of(*at)))
        {
            for mode in analysis.peers_of(Kind::KubeProxy) {
                let each = tables.iter().flat_map(|table| &table.rows[at].to_each);
                let pairs: Vec<_> = each.filter(|(of, _)| *of == mode).map(|(_, pair)| pair).collect();
                let tally = Tally::of(pairs.iter().copied());
                rows.push(vec![
                    format!("{case} {}, {}", metric.name, better(metric)),
                    peers[at].name.clone(),
                    peers[mode].name.clone(),
                    range(&pairs),
                    tally.better.to_string(),
                    tally.worse.to_string(),
                    format!("{}{}", tally.none, tally.too_few()),
                ]);
            }
        }
    }
    let head = vec!["case", "mode", "against", "ratio", "won", "lost", "not shown"];
    Grid { head, rows }
}

fn better(metric: &Metric) -> &'static str {
    match metric.better {
        Better::Higher => "more is better",
        Better::Lower => "less is better",
    }
}

fn line(case: &str, metric: &Metric, mode: &Entrant, rows: &[&Row]) -> Vec<String> {
    let to_direct: Vec<_> = rows.iter().filter_map(|row| row.to_direct.as_ref()).collect();
    let to_best: Vec<_> = rows.iter().filter_map(|row| row.to_best.as_ref()).collect();
    let tally = Tally::of(to_best.iter().copied());
    let number = |number: usize| {
        if to_best.is_empty() {
            words::NONE.to_owned()
        } else {
            number.to_string()
        }
    };
    let smallest = to_best.iter().filter_map(|pair| pair.smallest);
    let smallest = smallest
        .reduce(f64::max)
        .map_or_else(|| words::NONE.to_owned(), words::percent);
    vec![
        format!("{case} {}, {}", metric.name, better(metric)),
        mode.name.clone(),
        range(&to_direct),
        range(&to_best),
        number(tally.better),
        number(tally.worse),
        format!("{}{}", number(tally.none), tally.too_few()),
        smallest,
    ]
}

/// The smallest and the largest ratio, of those that there are.
fn range(pairs: &[&Pair]) -> String {
    let values = || pairs.iter().filter_map(|pair| Some(pair.ratio?.value));
    let ends = values().reduce(f64::min).zip(values().reduce(f64::max));
    let Some((low, high)) = ends.map(|(low, high)| (words::ratio(low), words::ratio(high))) else {
        return words::NONE.to_owned();
    };
    match low == high {
        true => low,
        false => format!("{low} to {high}"),
    }
}
