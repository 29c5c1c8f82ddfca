//! One page in plain words: what a run says, what it does not, and what is wrong with it.

use super::analysis::{Analysis, Row, Table, unique};
use super::document::{self, Block, Grid};
use super::results::{Better, Entrant, Kind, Metric, Results, State};
use super::statistics::{ENOUGH, Spread};
use super::verdict::{Pair, Verdict};
use super::words;

/// How far the ceiling may be from itself before the page begins with it.
pub const CONTROL_LIMIT: f64 = 0.03;

/// The page, as text for a terminal.
pub fn page(results: &Results) -> String {
    document::text(&blocks(&Analysis::of(results)))
}

/// Modes that took part and have no figure, by name: a run with one has failed.
pub fn missing_rows(results: &Results) -> Vec<String> {
    let measured = results.peers.iter().filter(|peer| peer.state == State::Measured);
    let without = measured.filter(|peer| {
        results
            .series
            .iter()
            .all(|series| series.samples(&peer.name).is_empty())
    });
    without.map(|peer| peer.name.clone()).collect()
}

/// The page.
pub fn blocks(analysis: &Analysis<'_>) -> Vec<Block> {
    let mut blocks = warnings(analysis);
    blocks.push(Block::Heading("Findings".to_owned()));
    blocks.extend(list("Not measured:", absent(analysis.results)));
    blocks.push(Block::Text(control(analysis)));
    for at in analysis.peers_of(Kind::Fairlead) {
        blocks.push(Block::Text(summary(analysis, at, true)));
    }
    blocks.push(Block::Part("Case by case".to_owned()));
    blocks.push(Block::Text(HOW_TO_READ.to_owned()));
    blocks.push(Block::Table(case_by_case(analysis, true)));
    let percentiles = case_by_case(analysis, false);
    if !percentiles.rows.is_empty() {
        blocks.push(Block::Part("Latencies of the same cases".to_owned()));
        let modes = analysis.peers_of(Kind::Fairlead).into_iter();
        blocks.push(Block::List(modes.map(|at| summary(analysis, at, false)).collect()));
        blocks.push(Block::Folded(
            "Latencies, case by case".to_owned(),
            vec![Block::Table(percentiles)],
        ));
    }
    blocks
}

const HOW_TO_READ: &str = "Each line sums up all places of a case: its paths, address families, numbers of services and \
positions. Ratios are the median of the mode to that of the other, from the smallest to the largest place: of a rate, \
more is better, of a time or a size, less. Won, lost and not shown count the places by the verdict against the best \
kube-proxy mode of each place.";

fn list(title: &str, points: Vec<String>) -> Vec<Block> {
    match points.is_empty() {
        true => Vec::new(),
        false => vec![Block::Text(title.to_owned()), Block::List(points)],
    }
}

/// What is wrong with the run.
fn warnings(analysis: &Analysis<'_>) -> Vec<Block> {
    let results = analysis.results;
    let mut said = Vec::new();
    if !results.run.complete {
        said.push("This run is incomplete: not everything that was planned has been measured.".to_owned());
    }
    said.extend(off_control(analysis));
    let failed = results
        .peers
        .iter()
        .filter(|peer| matches!(peer.state, State::Failed(_)));
    let failed: Vec<_> = failed.map(|peer| &peer.name[..]).collect();
    if !failed.is_empty() {
        said.push(format!("Failed and therefore without figures: {}.", failed.join(", ")));
    }
    let missing = missing_rows(results);
    if !missing.is_empty() {
        said.push(format!("Took part and has no figure: {}.", missing.join(", ")));
    }
    if (1..ENOUGH).contains(&usize::try_from(results.run.rounds).unwrap_or(ENOUGH)) {
        said.push(format!(
            "Only {} rounds: below {ENOUGH} the intervals contain the true value less often than they say.",
            results.run.rounds
        ));
    }
    said.into_iter().map(Block::Warning).collect()
}

/// Peers without figures and why.
fn absent(results: &Results) -> Vec<String> {
    let why = |peer: &Entrant| match &peer.state {
        State::Measured => None,
        State::Absent(why) => Some(format!("{}: absent, {why}", peer.name)),
        State::Failed(why) => Some(format!("{}: failed, {why}", peer.name)),
    };
    results.peers.iter().filter_map(why).collect()
}

/// The ceiling to itself: over the whole run, and in each case.
pub struct Control {
    /// The geometric mean over all places of the headlines.
    pub all: Spread,
    /// The same of each case.
    pub cases: Vec<(String, Spread)>,
}

impl Control {
    /// Of a run; none where it had no control.
    pub fn of(analysis: &Analysis<'_>) -> Option<Control> {
        let tables = analysis.headline_tables();
        let pooled = |case: Option<&str>| {
            let of_case = tables.iter().filter(|table| {
                let subject = &table.series.subject;
                case.is_none_or(|case| subject.case == case)
                    && analysis.is_headline(&subject.case, &table.series.metric)
            });
            Spread::pooled(of_case.filter_map(|table| table.control.as_ref()))
        };
        let case = |case: &str| Some((case.to_owned(), pooled(Some(case))?));
        Some(Control {
            all: pooled(None)?,
            cases: analysis.cases().into_iter().filter_map(case).collect(),
        })
    }
}

/// Whether a ratio that should be 1 is not.
fn is_off(spread: &Spread) -> bool {
    (spread.value.max(1.0 / spread.value) - 1.0) > CONTROL_LIMIT
}

fn off_control(analysis: &Analysis<'_>) -> Option<String> {
    let control = Control::of(analysis)?;
    let limit = words::percent(CONTROL_LIMIT);
    if is_off(&control.all) {
        return Some(format!(
            "The control differs from 1 by more than {limit}: direct against itself is {}. Differences of that size in \
             this run say nothing.",
            words::ratio_estimate(&control.all.estimate())
        ));
    }
    let off = control.cases.iter().filter(|(_, spread)| is_off(spread));
    let off = off.map(|(case, spread)| format!("{case} {}", words::ratio_estimate(&spread.estimate())));
    let off: Vec<_> = off.collect();
    (!off.is_empty()).then(|| {
        format!(
            "The control differs from 1 by more than {limit} in these cases, where differences of that size say nothing: \
             {}.",
            off.join("; ")
        )
    })
}

fn control(analysis: &Analysis<'_>) -> String {
    let Some(control) = Control::of(analysis) else {
        return "Control: none in this run; how far two equal peers are apart is unknown.".to_owned();
    };
    let distance = |of: &Spread| of.value.ln().abs();
    let farthest = control
        .cases
        .iter()
        .max_by(|a, b| distance(&a.1).total_cmp(&distance(&b.1)));
    let mut text = format!(
        "Control: direct against itself is {}, over all cases.",
        words::ratio_estimate(&control.all.estimate())
    );
    if let Some((case, spread)) = farthest {
        text += &format!(
            " Farthest from 1 is {case} with {}.",
            words::ratio_estimate(&spread.estimate())
        );
    }
    text
}

/// One mode over the whole run: its headlines, or the other metrics.
fn summary(analysis: &Analysis<'_>, at: usize, headline: bool) -> String {
    let peer = &analysis.results.peers[at];
    let mut tables = analysis.headline_tables();
    tables.retain(|table| analysis.is_headline(&table.series.subject.case, &table.series.metric) == headline);
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
        let farthest = shown.max_by(|a, b| a.1.ratio.value.ln().abs().total_cmp(&b.1.ratio.value.ln().abs()));
        text += &match farthest {
            Some((table, pair)) => format!(" {name}: {}.", extreme(analysis, table, pair)),
            None => format!(" {name}: none."),
        };
    }
    text
}

/// `rate of tcp-short, pod to pod, IPv6, 10,000 services: 3.10 [3.02, 3.20] times iptables-nft`.
fn extreme(analysis: &Analysis<'_>, table: &Table<'_>, pair: &Pair) -> String {
    let subject = &table.series.subject;
    let best = table
        .best
        .map_or(words::NONE, |best| &analysis.results.peers[best].name);
    format!(
        "{} of {}, {}: {} times {best}",
        table.series.metric.name,
        subject.case,
        words::place(subject),
        words::ratio_estimate(&pair.ratio)
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
fn case_by_case(analysis: &Analysis<'_>, headline: bool) -> Grid {
    let tables = analysis.headline_tables();
    let mut grid = Grid {
        head: vec![
            "case",
            "mode",
            "to direct",
            "to best kube-proxy",
            "won",
            "lost",
            "not shown",
            "smallest shown",
        ],
        rows: Vec::new(),
    };
    for case in analysis.cases() {
        let of_case: Vec<_> = tables
            .iter()
            .copied()
            .filter(|table| table.series.subject.case == case)
            .collect();
        let metrics = unique(of_case.iter().map(|table| &table.series.metric));
        for metric in metrics
            .into_iter()
            .filter(|metric| analysis.is_headline(case, metric) == headline)
        {
            let of_metric: Vec<_> = of_case
                .iter()
                .copied()
                .filter(|table| table.series.metric == *metric)
                .collect();
            for at in analysis.peers_of(Kind::Fairlead) {
                let mode = &analysis.results.peers[at];
                let rows: Vec<_> = of_metric.iter().map(|table| &table.rows[at]).collect();
                grid.rows.push(line(case, metric, mode, &rows));
            }
        }
    }
    grid
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
    let better = match metric.better {
        Better::Higher => "more is better",
        Better::Lower => "less is better",
    };
    vec![
        format!("{case} {}, {better}", metric.name),
        mode.name.clone(),
        range(&to_direct),
        range(&to_best),
        number(tally.better),
        number(tally.worse),
        format!("{}{}", number(tally.none), tally.too_few()),
        smallest,
    ]
}

/// The smallest and the largest ratio.
fn range(pairs: &[&Pair]) -> String {
    let values = || pairs.iter().map(|pair| pair.ratio.value);
    let ends = values().reduce(f64::min).zip(values().reduce(f64::max));
    let Some((low, high)) = ends.map(|(low, high)| (words::ratio(low), words::ratio(high))) else {
        return words::NONE.to_owned();
    };
    match low == high {
        true => low,
        false => format!("{low} to {high}"),
    }
}
