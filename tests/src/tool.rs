//! Programs of the machine, run to their end.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs `command` with `input` on its standard input and returns its standard output.
///
/// # Errors
/// When it is not there, or exits non-zero: then with what it said on standard error, or else on standard output.
pub fn output(command: &mut Command, input: &str) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("{name}: cannot be started"))?;
    let mut stdin = child.stdin.take().context("standard input is piped")?;
    // A program that ends without reading says why on standard error; the broken pipe adds nothing.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let done = child.wait_with_output().with_context(|| format!("{name}: lost"))?;
    if !done.status.success() {
        let told = if done.stderr.is_empty() {
            &done.stdout
        } else {
            &done.stderr
        };
        let said = String::from_utf8_lossy(told);
        bail!("{name}: {}: {}", done.status, said.trim().replace('\n', "; "));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// [`output`] of a program with arguments and nothing on its standard input.
pub fn run(program: &str, arguments: &[&str]) -> Result<String> {
    output(Command::new(program).args(arguments), "").with_context(|| format!("`{program} {}`", arguments.join(" ")))
}
