//! What becomes of a packet.

use proxy_common::reason::Reason;

/// What becomes of a packet; the hook turns it into an action and a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on as it came.
    Pass(Reason),
    /// It goes on with other addresses.
    Translated,
    /// It vanishes.
    Drop(Reason),
    /// It vanishes, and its sender is told that the port is unreachable.
    Reject(Reason),
}

impl Verdict {
    /// Why; for counters.
    #[inline(always)]
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Verdict::Pass(reason) | Verdict::Drop(reason) | Verdict::Reject(reason) => reason,
            Verdict::Translated => Reason::Translated,
        }
    }
}
