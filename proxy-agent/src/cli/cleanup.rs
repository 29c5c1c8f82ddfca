//! `fairlead cleanup`: detaches and removes everything that `run` left on this node.

use std::process::ExitCode;

use crate::{
    datapath::{Pins, cleanup, kube_proxy},
    error::Error,
};

use super::CleanupArgs;

/// Removes everything, and with `--kube-proxy` what kube-proxy left.
///
/// # Errors
/// If an agent still runs, or something cannot be removed.
pub fn cleanup(args: &CleanupArgs) -> Result<ExitCode, Error> {
    let pins = Pins::new(&args.state.state);
    let removed = cleanup::remove_all(&pins).map_err(|error| Error::Host(error.into()))?;
    println!("{removed}");
    if args.kube_proxy {
        for line in kube_proxy::remove().map_err(Error::Failed)? {
            println!("{line}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
