//! Room for live flows in the kernel's connection tracking, whose limits are the machine's.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};

use super::objects::Scale;

/// Connections of one namespace, at most.
const MOST: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
/// Lists of the one table that all namespaces share.
const LISTS: &str = "/proc/sys/net/netfilter/nf_conntrack_buckets";

/// Connections that the measurement itself leaves in the table while it lasts.
const SPARE: u64 = 262_144;

/// What was there before.
static BEFORE: Mutex<Option<[u64; 2]>> = Mutex::new(None);

/// Limits that are raised until this is dropped.
#[derive(Debug)]
pub(super) struct Room;

impl Room {
    /// Raises them where they are too low: for so many live flows in the table of each stand, one list for each flow, as
    /// the kernel itself makes its table.
    ///
    /// # Errors
    /// When the kernel refuses: only the machine's first network namespace may.
    pub(super) fn of(scale: Scale, stands: usize) -> Result<Self> {
        let Scale::Flows(flows) = scale else {
            return Ok(Self);
        };
        let each = u64::from(flows) + SPARE;
        let before = [read(MOST)?, read(LISTS)?];
        let wanted = [each, each * u64::try_from(stands)?];
        if let Ok(mut kept) = BEFORE.lock() {
            kept.get_or_insert(before);
        }
        for ((file, before), wanted) in [MOST, LISTS].into_iter().zip(before).zip(wanted) {
            if wanted > before {
                write(file, wanted)?;
            }
        }
        Ok(Self)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Err(error) = restore() {
            eprintln!("{error:#}");
        }
    }
}

/// Writes back what was there before, if it was changed.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn restore() -> Result<()> {
    let before = BEFORE.lock().ok().and_then(|mut kept| kept.take());
    let Some(before) = before else { return Ok(()) };
    let mut files = [MOST, LISTS].into_iter().zip(before);
    files.try_for_each(|(file, before)| {
        if read(file)? == before {
            Ok(())
        } else {
            write(file, before)
        }
    })
}

fn read(file: &str) -> Result<u64> {
    let text = fs::read_to_string(file).with_context(|| file.to_owned())?;
    text.trim().parse().with_context(|| format!("{file}: {text:?}"))
}

fn write(file: &str, value: u64) -> Result<()> {
    fs::write(Path::new(file), value.to_string()).with_context(|| format!("{file}: {value}"))
}
