//! Where log lines go: to the standard error, as the user wants to read them.

use tracing_subscriber::EnvFilter;

use crate::error::Error;

use super::{Cli, Command, LogFormat};

/// Starts logging.
///
/// # Errors
///
/// If the filter cannot be understood.
pub fn start(cli: &Cli) -> Result<(), Error> {
    let default = match cli.command {
        // The client logs on its own what we log with what follows from it.
        Command::Run(_) => "info,kube_client::client::builder=off",
        Command::Status(_) | Command::Get(_) | Command::Explain(_) | Command::Verify(_) | Command::Cleanup(_) => "warn",
    };
    let filter = match &cli.log {
        Some(filter) => {
            EnvFilter::try_new(filter).map_err(|error| Error::setting("--log", filter, error.to_string()))?
        }
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default)),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match cli.log_format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}
