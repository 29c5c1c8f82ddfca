use rstest::rstest;

use crate::measure::results::Better;
use crate::measure::statistics::{Spread, ratio};
use crate::measure::verdict::{Pair, Verdict};

const SAME: [f64; 7] = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 99.8];

fn pair(ours: &[f64], theirs: &[f64], control: Option<f64>, better: Better) -> Pair {
    let of = |samples| Spread::of(samples, 1).expect("samples").estimate();
    Pair::new(
        &of(ours),
        &of(theirs),
        ratio(ours, theirs, 1).map(|ratio| ratio.estimate()),
        control,
        better,
    )
}

#[rstest]
#[case::a_higher_rate(1.1, None, Better::Higher, Verdict::Better)]
#[case::a_lower_rate(0.9, None, Better::Higher, Verdict::Worse)]
#[case::a_longer_time(1.1, None, Better::Lower, Verdict::Worse)]
#[case::a_shorter_time(0.9, None, Better::Lower, Verdict::Better)]
#[case::the_same(1.0, None, Better::Higher, Verdict::NoDifference)]
#[case::intervals_that_meet(1.005, None, Better::Higher, Verdict::NoDifference)]
#[case::as_far_apart_as_the_control(1.1, Some(0.9), Better::Higher, Verdict::NoDifference)]
#[case::farther_apart_than_the_control(1.1, Some(1.02), Better::Higher, Verdict::Better)]
fn a_difference_is_called_one_only_beyond_what_chance_and_control_explain(
    #[case] factor: f64,
    #[case] control: Option<f64>,
    #[case] better: Better,
    #[case] expected: Verdict,
) {
    let ours = SAME.map(|value| value * factor);
    let pair = pair(&ours, &SAME, control, better);
    assert_eq!(pair.verdict, expected);
    let smallest = pair.smallest.expect("enough rounds");
    let is_called = matches!(pair.verdict, Verdict::Better | Verdict::Worse);
    assert_eq!(
        is_called,
        factor.max(1.0 / factor) - 1.0 > smallest,
        "smallest {smallest}"
    );
}

/// What is the difference of two readings may be below zero.
#[rstest]
#[case::below_zero(&[-3.0, -2.5, -3.5, -3.1, -2.9, -3.2, -2.8], Verdict::Worse)]
#[case::about_zero(&[-0.5, 0.4, 0.1, 0.3, -0.2, 0.6, -0.1], Verdict::Worse)]
#[case::as_far_as_ours(&[-20.0, 150.0, 101.0, 30.0, -12.0, 160.0, 100.0], Verdict::NoDifference)]
fn where_there_is_no_ratio_the_intervals_say_what_differs(#[case] theirs: &[f64], #[case] expected: Verdict) {
    let pair = pair(&SAME, theirs, None, Better::Lower);
    assert_eq!((pair.verdict, pair.smallest), (expected, None));
}

#[rstest]
#[case::one_round(&[100.0], &[50.0])]
#[case::two_rounds(&[100.0, 101.0], &[50.0, 51.0])]
#[case::two_rounds_in_common(&[100.0, 101.0, 102.0], &[50.0, 51.0])]
fn of_one_or_two_rounds_nothing_is_said(#[case] ours: &[f64], #[case] theirs: &[f64]) {
    let pair = pair(ours, theirs, None, Better::Higher);
    assert_eq!((pair.verdict, pair.smallest), (Verdict::TooFew, None));
}
