use rstest::rstest;

use super::fixture::{self, PLAN, Plan};
use crate::measure::statistics::{Spread, median, percentile, ratio};

#[rstest]
#[case::nothing(&[], None)]
#[case::one(&[3.0], Some(3.0))]
#[case::an_even_number(&[4.0, 1.0, 3.0, 2.0], Some(2.5))]
#[case::an_odd_number(&[9.0, 1.0, 5.0], Some(5.0))]
fn the_median_is_in_the_middle(#[case] samples: &[f64], #[case] expected: Option<f64>) {
    assert_eq!(median(samples), expected);
    assert_eq!(Spread::of(samples, 1).map(|spread| spread.value), expected);
}

#[rstest]
#[case::lowest(0.0, 1.0)]
#[case::between_two(0.125, 1.5)]
#[case::highest(1.0, 5.0)]
fn a_percentile_lies_between_its_neighbours(#[case] share: f64, #[case] expected: f64) {
    assert_eq!(percentile(&[5.0, 4.0, 3.0, 2.0, 1.0], share), Some(expected));
}

#[rstest]
#[case::one(&[5.0])]
#[case::two(&[5.0, 6.0])]
fn few_samples_have_no_interval(#[case] samples: &[f64]) {
    let estimate = Spread::of(samples, 1).expect("a median").estimate();
    assert_eq!(estimate.interval, None);
    assert_eq!(estimate.samples, samples.len());
    let ratio = ratio(samples, samples, 1).expect("a ratio").estimate();
    assert_eq!((ratio.value, ratio.interval), (1.0, None));
}

#[test]
fn the_same_samples_have_the_same_interval_and_another_stream_another_one() {
    let samples = [5.0, 5.3, 4.8, 5.1, 5.6, 4.9, 5.2];
    let wide: Vec<f64> = (0..200).map(|at| f64::from(at * at % 199)).collect();
    assert_eq!(Spread::of(&samples, 1), Spread::of(&samples, 1));
    assert_ne!(Spread::of(&wide, 1), Spread::of(&wide, 2));
}

#[test]
fn what_disturbs_a_whole_round_falls_out_of_a_ratio() {
    let theirs = [100.0, 40.0, 90.0, 110.0, 70.0, 100.0, 20.0];
    let ours = theirs.map(|value| value * 1.1);
    let interval = ratio(&ours, &theirs, 1)
        .expect("a ratio")
        .estimate()
        .interval
        .expect("an interval");
    assert!(
        (interval.low - 1.1).abs() < 1e-9 && (interval.high - 1.1).abs() < 1e-9,
        "{interval:?}"
    );
    let alone = Spread::of(&theirs, 1)
        .expect("a median")
        .estimate()
        .interval
        .expect("an interval");
    assert!(alone.high / alone.low > 1.5, "{alone:?}");
}

#[test]
fn rounds_that_only_one_peer_has_are_left_out_of_a_ratio() {
    let ratio = ratio(&[2.0, 4.0, 6.0, 1000.0, 1000.0], &[1.0, 2.0, 3.0], 1).expect("a ratio");
    assert_eq!((ratio.value, ratio.estimate().samples), (2.0, 3));
}

#[rstest]
#[case::nothing_to_nothing(&[0.0, 0.0, 0.0], &[0.0, 0.0, 0.0])]
#[case::something_to_nothing(&[1.0, 2.0, 3.0], &[0.0, 0.0, 0.0])]
#[case::something_to_less_than_nothing(&[1.0, 2.0, 3.0], &[-1.0, -1.0, -1.0])]
#[case::less_than_nothing(&[-1.0, -1.0, -1.0], &[1.0, 2.0, 3.0])]
#[case::to_a_peer_without_samples(&[1.0, 2.0, 3.0], &[])]
fn there_is_no_ratio_to_nothing(#[case] ours: &[f64], #[case] theirs: &[f64]) {
    assert_eq!(ratio(ours, theirs, 1), None);
}

#[test]
fn an_interval_contains_the_true_median_about_as_often_as_it_says() {
    let mut hits = 0;
    for seed in 0..300 {
        let results = fixture::results(Plan {
            seed,
            noise: 0.05,
            rounds: 9,
            cases: 1,
            ..PLAN
        });
        let series = &results.series[0];
        let spread = ratio(series.samples("fairlead-stack"), series.samples("iptables-nft"), 1).expect("a ratio");
        // With one service, what memory the fixture gives each: 30 / 0.86 to 30 / 0.81.
        hits += usize::from(spread.estimate().interval.expect("an interval").contains(0.81 / 0.86));
    }
    assert!((270..=300).contains(&hits), "{hits} of 300");
}

#[test]
fn a_pool_is_the_geometric_mean_of_its_ratios() {
    let half = ratio(&[1.0, 1.0, 1.0], &[2.0, 2.0, 2.0], 1).expect("a ratio");
    let twice = ratio(&[2.0, 2.0, 2.0], &[1.0, 1.0, 1.0], 1).expect("a ratio");
    let pool = Spread::pooled([&half, &twice]).expect("a pool").estimate();
    assert!((pool.value - 1.0).abs() < 1e-12);
    assert!(Spread::pooled([]).is_none());
}
