//! Times as text.

use std::time::{SystemTime, UNIX_EPOCH};

/// A time as Go prints it, which is what clients of kube-proxy's `/healthz` are used to: UTC, with nanoseconds.
pub(super) fn go_text(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (date, clock) = civil(since.as_secs());
    format!("{date} {clock}.{:09} +0000 UTC", since.subsec_nanos())
}

/// A time as in API objects: UTC, whole seconds.
pub(super) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (date, clock) = civil(since.as_secs());
    format!("{date}T{clock}Z")
}

/// Date and time of day, from seconds since 1970 (the proleptic Gregorian calendar, counted in eras of 400 years that
/// begin in March).
fn civil(seconds: u64) -> (String, String) {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    (
        format!("{year:04}-{month:02}-{day:02}"),
        format!("{hour:02}:{minute:02}:{:02}", second % 60),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::the_epoch(0, "1970-01-01T00:00:00Z")]
    #[case::the_last_second_of_a_leap_day(951_868_799, "2000-02-29T23:59:59Z")]
    #[case::the_first_of_march(951_868_800, "2000-03-01T00:00:00Z")]
    #[case::the_last_of_a_year(1_798_761_599, "2026-12-31T23:59:59Z")]
    fn a_time_is_written_in_utc(#[case] seconds: u64, #[case] expected: &str) {
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
    }

    #[test]
    fn go_writes_nanoseconds() {
        let time = UNIX_EPOCH + Duration::new(951_868_800, 5);
        assert_eq!(go_text(time), "2000-03-01 00:00:00.000000005 +0000 UTC");
    }
}
