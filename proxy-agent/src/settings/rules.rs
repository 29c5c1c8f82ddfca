//! What the fields may hold that mean nothing here: a file that kube-proxy would refuse is refused (B-168 to B-184), so that
//! a mistake is found where it is made.

use ipnet::IpNet;
use serde_json::{Map, Value};

use crate::error::Error;

use super::fields::show;

/// What a field may hold. Null is what every field may hold.
#[derive(Debug)]
pub(super) enum Rule {
    /// A text.
    Text,
    /// True or false.
    Truth,
    /// Any number.
    Number,
    /// A whole number from one to another.
    Whole(i64, i64),
    /// A span of time as Go writes it, not a negative one.
    Span,
    /// One of these texts, or an empty one.
    OneOf(&'static [&'static str]),
    /// A list of networks.
    Networks,
    /// True or false under any name.
    Truths,
    /// A mapping with these fields.
    Mapping(&'static [(&'static str, Rule)]),
    /// Whatever there is.
    Anything,
}

/// Fields of the file that mean nothing here.
pub(super) const TOP: &[(&str, Rule)] = &[
    ("bindAddressHardFail", Rule::Truth),
    ("configSyncPeriod", Rule::Span),
    ("conntrack", CONNTRACK),
    ("enableProfiling", Rule::Truth),
    ("featureGates", Rule::Truths),
    ("ipvs", Rule::Mapping(IPVS)),
    ("logging", Rule::Mapping(LOGGING)),
    ("minSyncPeriod", Rule::Span),
    ("oomScoreAdj", OOM_SCORE),
    ("portRange", Rule::Text),
    ("showHiddenMetricsForVersion", Rule::Text),
    ("syncPeriod", Rule::Span),
    ("udpIdleTimeout", Rule::Span),
    ("windows", Rule::Mapping(&[("runAsService", Rule::Truth)])),
    ("windowsRunAsService", Rule::Truth),
    ("winkernel", Rule::Mapping(WINKERNEL)),
];
/// The same, of `clientConnection`.
pub(super) const CLIENT: &[(&str, Rule)] = &[
    ("acceptContentTypes", Rule::Text),
    ("contentType", Rule::Text),
    ("qps", Rule::Number),
    ("burst", COUNT),
];
/// The same, of `iptables` and `nftables`.
pub(super) const MODE: &[(&str, Rule)] = &[
    ("masqueradeBit", Rule::Whole(0, 31)),
    ("syncPeriod", Rule::Span),
    ("minSyncPeriod", Rule::Span),
];
/// The same, of `linux`.
pub(super) const LINUX: &[(&str, Rule)] = &[("oomScoreAdj", OOM_SCORE), ("conntrack", CONNTRACK)];

const COUNT: Rule = Rule::Whole(0, i32::MAX as i64);
const OOM_SCORE: Rule = Rule::Whole(-1000, 1000);
const CONNTRACK: Rule = Rule::Mapping(&[
    ("maxPerCore", COUNT),
    ("min", COUNT),
    ("tcpEstablishedTimeout", Rule::Span),
    ("tcpCloseWaitTimeout", Rule::Span),
    ("tcpBeLiberal", Rule::Truth),
    ("udpTimeout", Rule::Span),
    ("udpStreamTimeout", Rule::Span),
]);
const IPVS: &[(&str, Rule)] = &[
    ("syncPeriod", Rule::Span),
    ("minSyncPeriod", Rule::Span),
    ("scheduler", Rule::OneOf(SCHEDULERS)),
    ("excludeCIDRs", Rule::Networks),
    ("strictARP", Rule::Truth),
    ("tcpTimeout", Rule::Span),
    ("tcpFinTimeout", Rule::Span),
    ("udpTimeout", Rule::Span),
];
/// Of B-191.
const SCHEDULERS: &[&str] = &["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "mh"];
const LOGGING: &[(&str, Rule)] = &[
    ("format", Rule::Text),
    // A number of nanoseconds, or a span.
    ("flushFrequency", Rule::Anything),
    ("verbosity", COUNT),
    ("vmodule", Rule::Anything),
    ("options", Rule::Anything),
];
const WINKERNEL: &[(&str, Rule)] = &[
    ("networkName", Rule::Text),
    ("sourceVip", Rule::Text),
    ("enableDSR", Rule::Truth),
    ("rootHnsEndpointName", Rule::Text),
    ("forwardHealthCheckVip", Rule::Truth),
];

impl Rule {
    /// Checks what a field holds; `name` is its full name. Fields of it that nobody knows are warned about.
    pub(super) fn check(&self, name: &str, value: &Value, warnings: &mut Vec<String>) -> Result<(), Error> {
        let reason = match (self, value) {
            (_, Value::Null) | (Rule::Anything, _) => return Ok(()),
            (Rule::Text, Value::String(_)) | (Rule::Truth, Value::Bool(_)) | (Rule::Number, Value::Number(_)) => {
                return Ok(());
            }
            (Rule::Text, _) => "not a text".to_owned(),
            (Rule::Truth, _) => "neither true nor false".to_owned(),
            (Rule::Number, _) => "not a number".to_owned(),
            (Rule::Whole(least, most), value) => match value.as_i64() {
                Some(number) if (*least..=*most).contains(&number) => return Ok(()),
                Some(_) | None => format!("not a whole number between {least} and {most}"),
            },
            (Rule::Span, value) => match value.as_str().map(seconds) {
                Some(Ok(_)) => return Ok(()),
                Some(Err(reason)) => reason.to_owned(),
                None => SPAN.to_owned(),
            },
            (Rule::OneOf(known), value) => match value.as_str() {
                Some(text) if text.is_empty() || known.contains(&text) => return Ok(()),
                Some(_) | None => format!("not one of {}", known.join(", ")),
            },
            (Rule::Networks, Value::Array(items)) => {
                let is_network = |item: &Value| item.as_str().is_some_and(|text| text.trim().parse::<IpNet>().is_ok());
                match items.iter().find(|item| !is_network(item)) {
                    None => return Ok(()),
                    Some(item) => return Err(Error::setting(name, show(item), "not a network such as 10.0.0.0/8")),
                }
            }
            (Rule::Networks, _) => "not a list".to_owned(),
            (Rule::Truths, Value::Object(fields)) => {
                let mut fields = fields.iter();
                return fields
                    .try_for_each(|(field, value)| Rule::Truth.check(&format!("{name}.{field}"), value, warnings));
            }
            (Rule::Mapping(known), Value::Object(fields)) => {
                let mut fields = fields.iter();
                return fields
                    .try_for_each(|(field, value)| check(&format!("{name}.{field}"), field, value, known, warnings));
            }
            (Rule::Truths | Rule::Mapping(_), _) => "not a mapping".to_owned(),
        };
        Err(Error::setting(name, show(value), reason))
    }
}

/// Checks a field by its rule among those of its mapping; one that nobody knows is warned about.
pub(super) fn check(
    name: &str,
    field: &str,
    value: &Value,
    known: &[(&str, Rule)],
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    match known.iter().find(|(known, _)| *known == field) {
        Some((_, rule)) => rule.check(name, value, warnings),
        None => {
            warnings.push(format!("{name}: not a field of KubeProxyConfiguration, ignored"));
            Ok(())
        }
    }
}

const SPAN: &str = "not a span of time such as 30s or 1h30m";
/// How often kube-proxy writes everything unless its file says otherwise, in seconds.
const SYNC_PERIOD: f64 = 30.0;

/// Checks that the least pause between two writings is no longer than the longest one.
///
/// `prefix` is what stands before their names.
pub(super) fn check_periods(prefix: &str, fields: &Map<String, Value>) -> Result<(), Error> {
    let text = |field: &str| fields.get(field).and_then(Value::as_str).unwrap_or_default();
    let span = |field: &str| seconds(text(field)).unwrap_or_default();
    let longest = Some(span("syncPeriod")).filter(|seconds| *seconds > 0.0);
    let longest = longest.unwrap_or(SYNC_PERIOD);
    if span("minSyncPeriod") <= longest {
        return Ok(());
    }
    let reason = format!("longer than syncPeriod, which is {longest} s");
    Err(Error::setting(
        format!("{prefix}minSyncPeriod"),
        text("minSyncPeriod"),
        reason,
    ))
}

/// A span of time as Go writes it, in seconds. An empty one is none.
fn seconds(text: &str) -> Result<f64, &'static str> {
    let text = text.trim();
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0.0);
    }
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(SPAN)?;
        let (number, after) = rest.split_at(digits);
        let unit = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        sum += number.parse::<f64>().map_err(|_| SPAN)? * length_of(unit).ok_or(SPAN)?;
        rest = after;
    }
    if is_negative && sum > 0.0 {
        Err("a negative span of time")
    } else if sum >= 9.2e9 {
        // What Go's nanoseconds have no room for.
        Err("longer than 292 years")
    } else {
        Ok(sum)
    }
}

fn length_of(unit: &str) -> Option<f64> {
    match unit {
        "ns" => Some(1e-9),
        "us" | "µs" | "μs" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none("", Ok(0.0))]
    #[case::zero("0", Ok(0.0))]
    #[case::zero_with_a_unit("0s", Ok(0.0))]
    #[case::seconds("30s", Ok(30.0))]
    #[case::several("1h2m3.5s", Ok(3723.5))]
    #[case::a_sign("+1ms", Ok(0.001))]
    #[case::no_unit("30", Err(SPAN))]
    #[case::no_number("s", Err(SPAN))]
    #[case::an_unknown_unit("3d", Err(SPAN))]
    #[case::words("soon", Err(SPAN))]
    #[case::two_signs("--1s", Err(SPAN))]
    #[case::negative("-1s", Err("a negative span of time"))]
    #[case::negative_zero("-0s", Ok(0.0))]
    #[case::huge("99999999999999h", Err("longer than 292 years"))]
    fn a_span_is_read_as_go_reads_it(#[case] text: &str, #[case] expected: Result<f64, &str>) {
        assert_eq!(seconds(text), expected);
    }
}
