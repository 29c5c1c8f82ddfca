//! Times as text.

use std::time::SystemTime;

use jiff::Timestamp;

/// A time as Go prints it, which is what clients of kube-proxy's `/healthz` are used to: UTC, with nanoseconds.
pub(super) fn go_text(time: SystemTime) -> String {
    timestamp(time).strftime("%Y-%m-%d %H:%M:%S.%9f +0000 UTC").to_string()
}

/// A time as in API objects: UTC, whole seconds.
pub(super) fn rfc3339(time: SystemTime) -> String {
    timestamp(time).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time that no calendar has is the beginning of 1970.
fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

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
