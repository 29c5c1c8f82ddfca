//! What the run says of itself: the ceiling against the ceiling.

use super::CONTROL_LIMIT;
use crate::measure::analysis::Analysis;
use crate::measure::statistics::Spread;
use crate::measure::words;

/// The ceiling to itself: over the whole run, and in each case.
struct Control {
    /// The geometric mean over all places of the headlines.
    all: Spread,
    /// The same of each case.
    cases: Vec<(String, Spread)>,
}

impl Control {
    /// Of a run; none where it had no control.
    fn of(analysis: &Analysis<'_>) -> Option<Control> {
        let tables = analysis.headline_tables();
        let pooled = |case: Option<&str>| {
            let of_case = tables.iter().filter(|table| {
                let subject = table.subject;
                case.is_none_or(|case| subject.case == case) && analysis.is_headline(&subject.case, &table.metric)
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

/// What to say above everything; none where the control is near enough to 1.
pub(super) fn warning(analysis: &Analysis<'_>) -> Option<String> {
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

/// What the control was.
pub(super) fn sentence(analysis: &Analysis<'_>) -> String {
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
