//! Every series of a run with what may be said of it, computed once for all who show it.

use super::dimension::Dimension;
use super::results::{Better, Kind, Metric, Results, Series, Subject};
use super::statistics::{self, Estimate, Spread};
use super::verdict::Pair;
use super::words;

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

/// A series, computed: its medians, or one of the percentiles of its single events.
pub struct Table<'a> {
    /// What was done, where, among how many.
    pub subject: &'a Subject,
    /// What was read; of single events the name begins with the percentile.
    pub metric: Metric,
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
            tables: results
                .series
                .iter()
                .flat_map(|series| tables(results, series))
                .collect(),
        }
    }

    /// The tables that headlines are made of: those of [`HEADLINE_HOST`] and of no host; all where there are none.
    pub fn headline_tables(&self) -> Vec<&Table<'a>> {
        let of_host = |table: &&Table<'_>| matches!(&table.subject.host[..], "" | HEADLINE_HOST);
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

    /// What the places of a case differ by.
    pub fn dimension(&self, case: &str) -> Dimension {
        let subjects = self.results.series.iter().map(|series| &series.subject);
        Dimension::of(subjects.filter(|subject| subject.case == case))
    }

    /// Whether a metric is what its case is about: latencies' percentiles are it only where a case has nothing else.
    pub fn is_headline(&self, case: &str, metric: &Metric) -> bool {
        let of_case = |table: &&Table<'_>| table.subject.case == case;
        let mut metrics = self.tables.iter().filter(of_case).map(|table| &table.metric);
        !is_percentile(metric) || metrics.all(is_percentile)
    }

    /// The ceiling's value in a table.
    pub fn direct(&self, table: &Table<'_>) -> Option<Estimate> {
        let ceilings = self.peers_of(Kind::Ceiling);
        ceilings.into_iter().find_map(|at| table.rows[at].median)
    }

    /// Indices of the peers of a kind.
    pub fn peers_of(&self, kind: Kind) -> Vec<usize> {
        let peers = self.results.peers.iter().enumerate();
        peers.filter(|(_, peer)| peer.kind == kind).map(|(at, _)| at).collect()
    }
}

impl Table<'_> {
    /// How a peer stands to the best kube-proxy mode: `0.93 [0.91, 0.95] times nftables`, or both figures where there is
    /// no ratio.
    pub fn to_best(&self, at: usize, results: &Results) -> String {
        let best = self.best.map_or(words::NONE, |best| &results.peers[best].name);
        let ratio = self.rows[at].to_best.as_ref().and_then(|pair| pair.ratio);
        if let Some(ratio) = ratio {
            return format!("{} times {best}", words::ratio_estimate(&ratio));
        }
        let median = |at: usize| {
            self.rows[at]
                .median
                .as_ref()
                .map_or_else(|| words::NONE.to_owned(), words::estimate)
        };
        let theirs = self.best.map_or_else(|| words::NONE.to_owned(), median);
        format!("{} {} to {theirs} of {best}", median(at), self.metric.unit)
    }

    /// How many peers have a value.
    pub fn peers(&self) -> usize {
        self.rows.iter().filter(|row| row.median.is_some()).count()
    }
}

/// Whether a metric is one of a distribution's percentiles: `p50`, `p99.9`, `p99 of something`.
pub fn is_percentile(metric: &Metric) -> bool {
    let first = metric.name.split(' ').next().unwrap_or_default();
    first
        .strip_prefix('p')
        .is_some_and(|share| share.parse::<f64>().is_ok())
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

/// The percentiles that single events are shown by.
const EVENTS: [(f64, &str); 2] = [(0.5, "p50"), (0.99, "p99")];

/// One of a series of rounds. With more samples than rounds they are single events, such as changes that were followed one
/// by one: those have a distribution, and no round joins an event of one peer with one of another.
fn tables<'a>(results: &Results, series: &'a Series) -> Vec<Table<'a>> {
    let rounds = usize::try_from(results.run.rounds).unwrap_or(usize::MAX);
    if series.values.iter().all(|values| values.samples.len() <= rounds) {
        return vec![table(results, series, series.metric.clone(), None)];
    }
    let of_share = |(share, name): (f64, &str)| {
        let metric = Metric {
            name: format!("{name} {}", series.metric.name),
            ..series.metric.clone()
        };
        table(results, series, metric, Some(share))
    };
    EVENTS.into_iter().map(of_share).collect()
}

/// The medians of rounds, or the percentiles of events.
fn table<'a>(results: &Results, series: &'a Series, metric: Metric, share: Option<f64>) -> Table<'a> {
    let drawn = Drawn::of(results, series, share);
    let first = |kind| {
        let mut all = results.peers.iter().zip(&drawn.spreads);
        all.position(|(peer, spread)| peer.kind == kind && spread.is_some())
    };
    let (direct, again) = (first(Kind::Ceiling), first(Kind::Control));
    let best = best(results, series, &drawn.spreads);
    let control = direct.zip(again).and_then(|(direct, again)| drawn.over(again, direct));
    let pair = |a: usize, b: Option<usize>| {
        // The control is what others are judged by, not what judges itself.
        let control = control.as_ref().filter(|_| Some(a) != again);
        drawn.pair(a, b?, control.map(|control| control.value), metric.better)
    };
    let each = |at: usize| match results.peers[at].kind {
        Kind::Fairlead => modes(results)
            .filter_map(|mode| Some((mode, pair(at, Some(mode))?)))
            .collect(),
        Kind::Ceiling | Kind::Control | Kind::KubeProxy => Vec::new(),
    };
    let row = |at: usize| Row {
        median: drawn.spreads[at].as_ref().map(Spread::estimate),
        to_direct: pair(at, direct),
        to_best: pair(at, best),
        to_each: each(at),
    };
    let rows = (0..results.peers.len()).map(row).collect();
    Table {
        subject: &series.subject,
        metric,
        rows,
        best,
        control,
    }
}

/// The samples of a series with their draws, for each peer of a run.
struct Drawn<'a> {
    samples: Vec<&'a [f64]>,
    spreads: Vec<Option<Spread>>,
    are_events: bool,
}

impl<'a> Drawn<'a> {
    fn of(results: &Results, series: &'a Series, share: Option<f64>) -> Drawn<'a> {
        let samples: Vec<_> = results.peers.iter().map(|peer| series.samples(&peer.name)).collect();
        let spread = |(at, samples): (u64, &&[f64])| match share {
            None => Spread::of(samples, STREAM),
            Some(share) => Spread::of_share(samples, share, STREAM + at),
        };
        Drawn {
            spreads: (0..).zip(&samples).map(spread).collect(),
            samples,
            are_events: share.is_some(),
        }
    }

    /// The ratio of two peers; none where one is not above zero.
    fn over(&self, a: usize, b: usize) -> Option<Spread> {
        // Whose rounds are as many have been drawn together already; events are not drawn together at all.
        match self.are_events || self.samples[a].len() == self.samples[b].len() {
            true => self.spreads[a].as_ref()?.over(self.spreads[b].as_ref()?),
            false => statistics::ratio(self.samples[a], self.samples[b], STREAM),
        }
    }

    /// Two peers compared; none of a peer with itself.
    fn pair(&self, a: usize, b: usize, control: Option<f64>, better: Better) -> Option<Pair> {
        let estimate = |at: usize| self.spreads[at].as_ref().map(Spread::estimate);
        let (ours, theirs) = (estimate(a)?, estimate(b).filter(|_| a != b)?);
        let ratio = self.over(a, b).map(|ratio| ratio.estimate());
        Some(Pair::new(&ours, &theirs, ratio, control, better))
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
