//! How many instructions the verifier looked at.

use anyhow::{Context as _, Result};

use super::figures::Verified;
use crate::kernel::programs::Programs;

/// Loads every program, and asks the kernel what it did to know that they are safe.
///
/// # Errors
/// What the kernel refuses.
pub fn measure() -> Result<Vec<Verified>> {
    let programs = Programs::load_all()?;
    let verified = programs.all().map(|(name, program)| {
        let info = program.info()?;
        Ok(Verified {
            program: name.to_owned(),
            instructions: info.verified_instruction_count().context("Linux 5.16 says")?,
            machine_code: info.size_jitted(),
        })
    });
    let mut verified = verified.collect::<Result<Vec<_>>>()?;
    verified.sort_by(|a, b| a.program.cmp(&b.program));
    Ok(verified)
}
