//! `fairlead explain`: what the programs do with a packet that opens a flow, and why. The programs themselves are asked, over
//! the maps of the running data path or over maps filled from manifests.

use std::{net::SocketAddr, process::ExitCode};

use proxy_common::net::Protocol;

use super::{ExplainArgs, get::json, output::Text};
use crate::error::Error;

mod packet;
mod facts;
mod live;
mod offline;
mod answer;

/// Prints what happens to a packet.
///
/// # Errors
/// If the question makes no sense, no data path runs, or the kernel cannot be asked.
pub fn explain(args: &ExplainArgs) -> Result<ExitCode, Error> {
    let question = Question::new(args)?;
    let answer = match &args.manifests {
        Some(folder) => offline::answer(&question, args, folder)?,
        None => live::answer(&question, &args.state.state)?,
    };
    match args.output {
        Text::Json => print!("{}", json(&answer)),
        Text::Text => print!("{}", answer.text()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Who sends to whom, over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    source: SocketAddr,
    destination: SocketAddr,
    protocol: Protocol,
}

/// A port that clients use, where the question names none.
const SOME_PORT: u16 = 40_000;

impl Question {
    fn new(args: &ExplainArgs) -> Result<Self, Error> {
        let source = parse(&args.source, Some(SOME_PORT), "SRC")?;
        let destination = parse(&args.destination, None, "DST")?;
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(Error::setting(
                "SRC and DST",
                format!("{source} {destination}"),
                "they are of different families",
            ));
        }
        Ok(Question {
            source,
            destination,
            protocol: args.protocol.into(),
        })
    }
}

/// `address`, `address:port` or `[address]:port`.
fn parse(text: &str, port: Option<u16>, name: &str) -> Result<SocketAddr, Error> {
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Ok(socket);
    }
    match (text.trim_start_matches('[').trim_end_matches(']').parse(), port) {
        (Ok(address), Some(port)) => Ok(SocketAddr::new(address, port)),
        (Ok(_), None) => Err(Error::setting(name, text, "a port is missing: `address:port`")),
        (Err(_), _) => Err(Error::setting(
            name,
            text,
            "neither an address nor `address:port` nor `[address]:port`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10.0.0.1", "10.0.0.1:40000")]
    #[case("10.0.0.1:5", "10.0.0.1:5")]
    #[case("fd00::1", "[fd00::1]:40000")]
    #[case("[fd00::1]", "[fd00::1]:40000")]
    #[case("[fd00::1]:5", "[fd00::1]:5")]
    fn a_sender_may_have_a_port(#[case] text: &str, #[case] socket: &str) {
        let parsed = parse(text, Some(SOME_PORT), "SRC").expect("an address");
        assert_eq!(parsed.to_string(), socket);
    }

    #[rstest]
    #[case("10.0.0.1", "a port is missing")]
    #[case("example.com:80", "neither an address")]
    fn what_is_no_receiver_is_said_to_be_none(#[case] text: &str, #[case] reason: &str) {
        let error = parse(text, None, "DST").expect_err("no receiver");
        assert!(error.to_string().contains(reason), "{error}");
    }
}
