//! What becomes of a packet.

use core::num::NonZeroU16;

use proxy_common::reason::Reason;

/// What becomes of a packet; the hook turns it into an action and a count.
///
/// One number that is never zero, so that `Result<(), Verdict>` is one number too: of an enum with gaps the compiler
/// leaves bytes unwritten, and the verifier refuses a program that copies them.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Verdict(NonZeroU16);

/// What is done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes on as it came.
    Pass,
    /// It goes on with other addresses.
    Translate,
    /// It vanishes.
    Drop,
    /// It vanishes, and its sender is told that the port is unreachable.
    Reject,
}

const PASS: u16 = 0x100;
const TRANSLATE: u16 = 0x200;
const DROP: u16 = 0x300;
const REJECT: u16 = 0x400;

impl Verdict {
    /// It goes on with other addresses.
    pub const TRANSLATED: Verdict = Verdict::new(TRANSLATE, Reason::Translated);

    /// It goes on as it came.
    #[inline(always)]
    #[must_use]
    pub const fn pass(reason: Reason) -> Self {
        Verdict::new(PASS, reason)
    }

    /// It vanishes.
    #[inline(always)]
    #[must_use]
    pub const fn drop(reason: Reason) -> Self {
        Verdict::new(DROP, reason)
    }

    /// It vanishes, and its sender is told that the port is unreachable.
    #[inline(always)]
    #[must_use]
    pub const fn reject(reason: Reason) -> Self {
        Verdict::new(REJECT, reason)
    }

    #[inline(always)]
    const fn new(action: u16, reason: Reason) -> Self {
        match NonZeroU16::new(action | reason as u16) {
            Some(number) => Verdict(number),
            None => Verdict(NonZeroU16::MIN),
        }
    }

    /// What is done.
    #[inline(always)]
    #[must_use]
    pub const fn action(self) -> Action {
        match self.0.get() & 0xff00 {
            TRANSLATE => Action::Translate,
            DROP => Action::Drop,
            REJECT => Action::Reject,
            _ => Action::Pass,
        }
    }

    /// Why, as [`Reason`]'s number.
    #[inline(always)]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low byte is the reason")]
    pub const fn reason_number(self) -> u8 {
        self.0.get() as u8
    }
}

impl core::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let reason = Reason::from_number(self.reason_number()).map_or("?", Reason::name);
        write!(f, "{:?}({reason})", self.action())
    }
}
