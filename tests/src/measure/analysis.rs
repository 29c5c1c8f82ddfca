//! Every series of a run with what may be said of it, computed once for all who show it.

use super::results::{Better, Kind, Metric, Results, Series};
use super::statistics::{self, Estimate, Spread};
use super::verdict::Pair;

/// The host that the headlines are of.
pub const HEADLINE_HOST: &str = "as a node is";
/// The draws of one run: all its spreads are drawn together.
const STREAM: u64 = 1;

/// A run, computed.
pub struct Analysis<'a> {
    /// What was measured.
    pub results: &'a Results,
    /// In the order of the run's series.
    pub tables: Vec<Table<'a>>,
}

/// A series, computed.
pub struct Table<'a> {
    /// What was measured.
    pub series: &'a Series,
    /// One for each peer of the run, also for those without values, in the peers' order.
    pub rows: Vec<Row>,
    /// The kube-proxy mode with the best median: an index into `rows`.
    pub best: Option<usize>,
    /// The ceiling's second time to its first.
    pub control: Option<Spread>,
}

/// What a series says of one peer.
pub struct Row {
    /// The median; none where the peer has no value.
    pub median: Option<Estimate>,
    /// Against the ceiling; none for the ceiling itself.
    pub to_direct: Option<Pair>,
    /// Against the best kube-proxy mode of this series; none for that mode itself.
    pub to_best: Option<Pair>,
    /// A mode of Fairlead against each kube-proxy mode that has values, with its index.
    pub to_each: Vec<(usize, Pair)>,
}

impl<'a> Analysis<'a> {
    /// Computes all of a run.
    pub fn of(results: &'a Results) -> Analysis<'a> {
        Analysis {
            results,
            tables: results.series.iter().map(|series| table(results, series)).collect(),
        }
    }

    /// The tables that headlines are made of: those of [`HEADLINE_HOST`] and of no host; all where there are none.
    pub fn headline_tables(&self) -> Vec<&Table<'a>> {
        let of_host = |table: &&Table<'_>| matches!(&table.series.subject.host[..], "" | HEADLINE_HOST);
        let headline: Vec<_> = self.tables.iter().filter(of_host).collect();
        match headline.is_empty() {
            true => self.tables.iter().collect(),
            false => headline,
        }
    }

    /// The cases, in the order of the run's series.
    pub fn cases(&self) -> Vec<&'a str> {
        unique(self.results.series.iter().map(|series| &series.subject.case[..]))
    }

    /// Whether a metric is what its case is about: latencies' percentiles are it only where a case has nothing else.
    pub fn is_headline(&self, case: &str, metric: &Metric) -> bool {
        let of_case = |series: &&Series| series.subject.case == case;
        let mut metrics = self.results.series.iter().filter(of_case).map(|series| &series.metric);
        !is_percentile(metric) || metrics.all(is_percentile)
    }

    /// Indices of the peers of a kind.
    pub fn peers_of(&self, kind: Kind) -> Vec<usize> {
        let peers = self.results.peers.iter().enumerate();
        peers.filter(|(_, peer)| peer.kind == kind).map(|(at, _)| at).collect()
    }
}

/// Whether a metric is one of a distribution's percentiles: `p50`, `p99.9`.
pub fn is_percentile(metric: &Metric) -> bool {
    let share = metric.name.strip_prefix('p').map(str::parse::<f64>);
    matches!(share, Some(Ok(_)))
}

/// Each value once, in the order of their first appearance.
pub fn unique<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

fn table<'a>(results: &Results, series: &'a Series) -> Table<'a> {
    let samples: Vec<&[f64]> = results.peers.iter().map(|peer| series.samples(&peer.name)).collect();
    let spreads: Vec<_> = samples.iter().map(|samples| Spread::of(samples, STREAM)).collect();
    let first = |kind| {
        let mut all = results.peers.iter().zip(&spreads);
        all.position(|(peer, spread)| peer.kind == kind && spread.is_some())
    };
    let (direct, again) = (first(Kind::Ceiling), first(Kind::Control));
    let best = best(results, series, &spreads);
    // Whose rounds are as many have been drawn together already.
    let over = |a: usize, b: usize| match samples[a].len() == samples[b].len() {
        true => spreads[a].as_ref()?.over(spreads[b].as_ref()?),
        false => statistics::ratio(samples[a], samples[b], STREAM),
    };
    let control = direct.zip(again).and_then(|(direct, again)| over(again, direct));
    let pair = |a: usize, b: Option<usize>| {
        let b = b.filter(|b| *b != a)?;
        let (ours, theirs) = (spreads[a].as_ref()?.estimate(), spreads[b].as_ref()?.estimate());
        // The control is what others are judged by, not what judges itself.
        let of_control = control
            .as_ref()
            .filter(|_| Some(a) != again)
            .map(|control| control.value);
        Some(Pair::new(&ours, &theirs, over(a, b)?, of_control, series.metric.better))
    };
    let each = |at: usize| match results.peers[at].kind {
        Kind::Fairlead => modes(results)
            .filter_map(|mode| Some((mode, pair(at, Some(mode))?)))
            .collect(),
        Kind::Ceiling | Kind::Control | Kind::KubeProxy => Vec::new(),
    };
    let row = |at: usize| Row {
        median: spreads[at].as_ref().map(Spread::estimate),
        to_direct: pair(at, direct),
        to_best: pair(at, best),
        to_each: each(at),
    };
    Table {
        series,
        rows: (0..samples.len()).map(row).collect(),
        best,
        control,
    }
}

/// The kube-proxy mode with the best median.
fn best(results: &Results, series: &Series, spreads: &[Option<Spread>]) -> Option<usize> {
    let medians = modes(results).filter_map(|at| Some((at, spreads[at].as_ref()?.value)));
    let order = |a: &(usize, f64), b: &(usize, f64)| a.1.total_cmp(&b.1);
    let best = match series.metric.better {
        Better::Higher => medians.max_by(order),
        Better::Lower => medians.min_by(order),
    };
    best.map(|(at, _)| at)
}

/// Indices of the kube-proxy modes.
fn modes(results: &Results) -> impl Iterator<Item = usize> {
    (0..results.peers.len()).filter(|at| results.peers[*at].kind == Kind::KubeProxy)
}
