//! What is wrong with a command line, on one line.

use std::process::ExitCode;

use clap::error::ErrorKind;

/// Prints what `--help` and `--version` ask for, or the one line that says what is wrong.
#[must_use]
pub fn complain(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that has gone away has read enough.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let line = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "a command is missing; see --help".to_owned()
    } else {
        one_line(&error.to_string())
    };
    eprintln!("fairlead: {line}");
    ExitCode::from(2)
}

/// The message of an error without the usage that follows it.
fn one_line(text: &str) -> String {
    let message = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = message.trim_start_matches("error:").split_whitespace().collect();
    format!("{}; see --help", words.join(" "))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use rstest::rstest;

    use super::*;
    use crate::cli::Cli;

    #[rstest]
    #[case::unknown(&["run", "--bogus"], "unexpected argument '--bogus' found; see --help")]
    #[case::two_sources(
        &["run", "--manifests", "a", "--kubeconfig", "b"],
        "the argument '--manifests <DIR>' cannot be used with '--kubeconfig <FILE>'; see --help"
    )]
    #[case::missing(
        &["explain"],
        "the following required arguments were not provided: <SRC[:PORT]> <DST:PORT>; see --help"
    )]
    #[case::a_value(
        &["run", "--socket-lb", "some"],
        "invalid value 'some' for '--socket-lb <WHO>' [possible values: host, auto, all, off]; see --help"
    )]
    #[case::a_number(&["run", "--max-flows", "1"], "invalid value '1' for '--max-flows <N>': 1 is not in 64..=16777216; see --help")]
    fn a_wrong_command_line_is_told_in_one_line(#[case] arguments: &[&str], #[case] expected: &str) {
        let error = Cli::try_parse_from([&["fairlead"], arguments].concat()).expect_err("wrong");
        assert_eq!(one_line(&error.to_string()), expected);
    }

    #[test]
    fn the_definition_of_the_command_line_does_not_contradict_itself() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
