//! How a run was measured and computed, as the report says it.

use crate::measure::document::Block;
use crate::measure::findings::CONTROL_LIMIT;
use crate::measure::results::Results;
use crate::measure::statistics::{ENOUGH, FEWEST, RESAMPLES};
use crate::measure::words;

/// The chapter.
pub(super) fn chapter(results: &Results) -> Vec<Block> {
    vec![
        Block::Heading("The method".to_owned()),
        Block::List(measured(results)),
        Block::Part("How the figures are computed".to_owned()),
        Block::List(computed()),
    ]
}

fn measured(results: &Results) -> Vec<String> {
    let run = &results.run;
    let mut said = vec![
        format!(
            "Every peer has namespaces of its own, alike for all; all stand and are programmed at the same time. Agents \
             of those that are not being measured are stopped, and go on shortly before a sample. {} rounds were measured; a round measures every peer \
             once, in an order drawn anew for each round (seed {}); what warms up is not counted. A sample of a load \
             takes {} ms; one that fails is taken once more ({} were).",
            run.rounds, run.seed, run.sample_ms, run.repeated
        ),
        "A peer counts only after it was proved that its rules carry the traffic and that no other peer's are there."
            .to_owned(),
        "Hosts: bare has no connection tracking and no bridge netfilter; as a node is has both, and the masquerade \
         rule of a pod network. The findings are of the second."
            .to_owned(),
        "direct is pod to pod without any service: the ceiling. control is the same a second time: what it differs \
         by from direct is the error of the run itself."
            .to_owned(),
    ];
    let has = |case: &str| results.series.iter().any(|series| series.subject.case == case);
    said.extend(
        SCALES
            .iter()
            .filter(|(case, _)| has(case))
            .map(|(_, how)| (*how).to_owned()),
    );
    said
}

/// What is said of some cases, where they were measured.
const SCALES: [(&str, &str); 2] = [
    (
        "many-endpoints",
        "many-endpoints: the endpoints of the one service are addresses of up to four pods of the client's node, each of \
         which answers at every address of a prefix of its own; direct dials such addresses itself. In each sample at \
         least half as many different ones answer as chance lets, or the peer is out.",
    ),
    (
        "many-flows",
        "many-flows: beside the measurement live TCP conversations through one more service, opened by packet sockets in \
         place of clients and endpoint. Of each conversation the client saw its opening answered from the service's \
         address; before and after the measurement a thousand of them are looked after one by one, and all are counted \
         in the flow table (Fairlead's, or the kernel's connection tracking, which on this host has those of Fairlead \
         as well). direct has none. For the time of it the kernel's limits are raised, with one list for each \
         connection; Fairlead's table has room for the largest number and its default beyond that.",
    ),
];

fn computed() -> Vec<String> {
    let limit = words::percent(CONTROL_LIMIT);
    vec![
        format!(
            "Shown is the median of the rounds, in brackets its 95 % interval: the middle 95 % of the medians of \
             {RESAMPLES} draws of as many rounds, with replacement. With fewer than {FEWEST} rounds there is none; with \
             fewer than {ENOUGH} even the whole range of the samples contains the true median less often than 95 % of \
             the time."
        ),
        "A ratio is the median of one peer to the median of the other. For its interval rounds are drawn, not samples: \
         both peers' values of a drawn round go in together, so what disturbed a whole round falls out."
            .to_owned(),
        "A series with more samples than rounds is one of single events, such as changes that were followed one by one: \
         shown are the median and the 99th percentile of them, and each peer's are drawn by themselves."
            .to_owned(),
        "The best kube-proxy mode is the one with the best median of that very row, chosen after measuring: chance that \
         favours one of several modes favours kube-proxy."
            .to_owned(),
        "Better or worse is said only where the ratio's interval does not contain 1, the two medians' intervals do not \
         overlap, and the ratio is farther from 1 than the control is in the same row. Otherwise: no difference shown, \
         which is not the same as none."
            .to_owned(),
        "The smallest difference that a row could have shown is the largest of these: how far the interval of the ratio \
         reaches from the ratio; the factor that the two medians would have to be apart for their intervals not to \
         meet; how far the control is from 1. It is what this run's spread allows, computed after measuring; a true \
         difference of just that size would be found about every second time."
            .to_owned(),
        format!(
            "The control over all cases, and of each case, is the geometric mean of its ratios to direct. Where it is \
             off by more than {limit}, the report begins with that."
        ),
        "No correction is made for the number of rows: of a hundred rows without any difference, a few may be called one. \
         A single row that stands against all its neighbours deserves a second run."
            .to_owned(),
    ]
}
