//! `results.csv`: a row for each sample, by RFC 4180, for those who compute for themselves.

use std::fmt::Write;

use super::Results;

const HEAD: &str = "case,path,family,host,services,endpoints,flows,position,metric,unit,peer,round,value\r\n";

/// All samples of a run; rounds are counted from 1.
pub(super) fn of(results: &Results) -> String {
    let mut out = HEAD.to_owned();
    for series in &results.series {
        let (subject, metric) = (&series.subject, &series.metric);
        let [services, endpoints, flows] = [subject.services, subject.endpoints, subject.flows].map(|n| n.to_string());
        for values in &series.values {
            let fields = [
                &subject.case,
                &subject.path,
                &subject.family,
                &subject.host,
                &services,
                &endpoints,
                &flows,
                &subject.position,
                &metric.name,
                &metric.unit,
                &values.peer,
            ];
            let fields = fields.map(|field| quoted(field)).join(",");
            for (at, sample) in values.samples.iter().enumerate() {
                let _ = write!(out, "{fields},{},{sample}\r\n", at + 1);
            }
        }
    }
    out
}

/// A field, in quotes where it needs them.
fn quoted(field: &str) -> String {
    match field.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}
