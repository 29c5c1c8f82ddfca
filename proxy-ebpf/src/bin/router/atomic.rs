//! Words of map memory that several processors use at once. The intrinsics are the compiler's own: core's methods do
//! not exist for this target.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};

/// A word of a map's value.
#[derive(Clone, Copy)]
pub(crate) struct Word(*mut u64);

impl Word {
    /// A word that a map lookup has led to.
    ///
    /// # Safety
    ///
    /// The word is aligned and lies inside a value of a map that is never freed while the program runs: an array's.
    #[inline(always)]
    pub(crate) const unsafe fn new(word: *mut u64) -> Word {
        Word(word)
    }

    /// Reads it, whole.
    #[inline(always)]
    pub(crate) fn load(self) -> u64 {
        // SAFETY: `new` was promised a readable word; volatile, because other processors write it meanwhile.
        unsafe { core::ptr::read_volatile(self.0) }
    }

    /// Reads it, whole, before all that is read behind it.
    #[inline(always)]
    pub(crate) fn load_first(self) -> u64 {
        let word = self.load();
        barrier();
        word
    }

    /// Reads it, whole, after all that is read before it.
    #[inline(always)]
    pub(crate) fn load_last(self) -> u64 {
        barrier();
        self.load()
    }

    /// Writes it, whole.
    #[inline(always)]
    pub(crate) fn store(self, number: u64) {
        // SAFETY: `new` was promised a word of a map, which programs may write; an aligned store is one instruction.
        unsafe { core::ptr::write_volatile(self.0, number) }
    }

    /// Adds to it and returns what it was.
    #[inline(always)]
    pub(crate) fn add(self, number: u64) -> u64 {
        // SAFETY: as in `store`.
        unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(self.0, number) }
    }

    /// Replaces it if it is still what it was; whether it was.
    #[inline(always)]
    pub(crate) fn exchange(self, from: u64, to: u64) -> bool {
        // SAFETY: as in `store`.
        unsafe { atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(self.0, from, to) }.1
    }
}

/// Keeps loads in order. Those of x86-64 are; elsewhere an atomic operation that returns what it found is a full barrier,
/// on whatever word.
#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
const fn barrier() {}

#[cfg(not(bpf_target_arch = "x86_64"))]
#[inline(always)]
fn barrier() {
    let mut nothing = 0_u64;
    // SAFETY: the word is this function's own.
    unsafe { Word::new(core::hint::black_box(&raw mut nothing)) }.add(0);
}
