//! Where a mode of Fairlead lost against kube-proxy.

use super::analysis::{Analysis, Table, unique};
use super::results::{Kind, Results, Subject};
use super::verdict::Verdict;

/// What one mode lost in one place.
pub struct Loss<'a, 'b> {
    /// What was done, where, among how many.
    pub subject: &'a Subject,
    /// The mode: an index into the run's peers.
    pub mode: usize,
    /// Every figure that was worse than that of the best kube-proxy mode.
    pub lost: Vec<Lost<'a, 'b>>,
}

/// One figure.
pub struct Lost<'a, 'b> {
    /// The series.
    pub table: &'b Table<'a>,
    /// The best kube-proxy mode: an index into the run's peers.
    pub best: usize,
}

/// All of a run, in the order of its series.
pub fn of<'a, 'b>(analysis: &'b Analysis<'a>) -> Vec<Loss<'a, 'b>> {
    let subjects = unique(analysis.tables.iter().map(|table| table.subject));
    let modes = analysis.peers_of(Kind::Fairlead);
    let places = subjects
        .into_iter()
        .flat_map(|subject| modes.iter().map(move |mode| (subject, *mode)));
    let loss = |(subject, mode): (&'a Subject, usize)| {
        let tables = analysis.tables.iter().filter(|table| table.subject == subject);
        let lost: Vec<_> = tables.filter_map(|table| lost(table, mode)).collect();
        (!lost.is_empty()).then_some(Loss { subject, mode, lost })
    };
    places.filter_map(loss).collect()
}

fn lost<'a, 'b>(table: &'b Table<'a>, mode: usize) -> Option<Lost<'a, 'b>> {
    let pair = table.rows[mode].to_best.as_ref()?;
    let best = table.best?;
    (pair.verdict == Verdict::Worse).then_some(Lost { table, best })
}

/// The peers whose profiles say why a place was lost, by name: the modes that lost, the best kube-proxy modes and the
/// ceiling. None where nothing was lost.
pub fn concerned(results: &Results, subject: &Subject) -> Vec<String> {
    let series = results.series.iter().filter(|series| series.subject == *subject);
    let place = Results {
        series: series.cloned().collect(),
        ..results.empty()
    };
    let analysis = Analysis::of(&place);
    let losses = of(&analysis);
    let lost = losses
        .iter()
        .flat_map(|loss| loss.lost.iter().map(|lost| lost.best).chain([loss.mode]));
    let mut peers = unique(lost);
    if !peers.is_empty() {
        peers.extend(analysis.peers_of(Kind::Ceiling));
    }
    peers.sort_unstable();
    peers.into_iter().map(|at| results.peers[at].name.clone()).collect()
}
