use rstest::rstest;

use crate::measure::words;

#[rstest]
#[case(0.0, "0")]
#[case(0.012_345, "0.01235")]
#[case(1.0, "1")]
#[case(1.234_56, "1.235")]
#[case(999.96, "1,000")]
#[case(12_345.6, "12,350")]
#[case(1_234_567.0, "1,235,000")]
#[case(-1234.0, "-1,234")]
fn a_figure_has_four_digits_that_mean_something(#[case] value: f64, #[case] expected: &str) {
    assert_eq!(words::figure(value), expected);
}

#[rstest]
#[case(0.0123, "0.012")]
#[case(0.9834, "0.983")]
#[case(0.9951, "0.995")]
#[case(1.0234, "1.023")]
#[case(12.345, "12.3")]
#[case(3.123, "3.12")]
#[case(1234.5, "1,230")]
fn a_ratio_is_as_exact_as_its_size_allows(#[case] value: f64, #[case] expected: &str) {
    assert_eq!(words::ratio(value), expected);
}

#[rstest]
#[case(0.0004, "0.0 %")]
#[case(0.0342, "3.4 %")]
#[case(0.25, "25 %")]
#[case(f64::INFINITY, "over 1000 %")]
fn a_difference_is_a_percentage(#[case] value: f64, #[case] expected: &str) {
    assert_eq!(words::percent(value), expected);
}
