//! The packet as the library sees it. Offsets count from the first byte of the network header.

use proxy_common::reason::Reason;

/// Bytes of a packet, aligned so that fields can be taken out by words.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct Bytes<const N: usize>(pub [u8; N]);

impl<const N: usize> Bytes<N> {
    /// The `M` bytes that begin at `AT`. Both are constants, so that no check is left at run time.
    #[inline(always)]
    #[must_use]
    pub fn field<const AT: usize, const M: usize>(&self) -> [u8; M] {
        const { assert!(AT + M <= N) };
        let mut field = [0; M];
        // One copy by words, where a loop would make of each byte a value of its own.
        field.copy_from_slice(&self.0[AT..AT + M]);
        field
    }

    /// One byte.
    #[inline(always)]
    #[must_use]
    pub fn byte<const AT: usize>(&self) -> u8 {
        const { assert!(AT < N) };
        self.0[AT]
    }

    /// Two bytes as a number, host byte order.
    #[inline(always)]
    #[must_use]
    pub fn number<const AT: usize>(&self) -> u16 {
        u16::from_be_bytes(self.field::<AT, 2>())
    }
}

/// The most bytes that are summed up at once.
pub const SCRATCH: u32 = 128;

/// A place for bytes that are summed up.
pub type Scratch = Bytes<{ SCRATCH as usize }>;

/// Which checksums cover the bytes that a write replaces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// Offset of the IPv4 header checksum that covers them.
    pub header: Option<u32>,
    /// The transport checksum that covers them.
    pub transport: Option<TransportSum>,
}

/// A checksum of a transport header.
#[derive(Clone, Copy, Debug)]
pub struct TransportSum {
    /// Its offset.
    pub offset: u32,
    /// Whether it covers the bytes through the pseudo header only: a card that completes a partial checksum has not
    /// seen the pseudo header, but will see everything else.
    pub pseudo: bool,
    /// Whether zero means that there is no checksum (RFC 768).
    pub optional: bool,
}

/// A packet: checked reads, and one way to write.
pub trait Frame {
    /// How many bytes there are from the network header on.
    fn len(&self) -> u32;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the packet stands for several segments that are cut apart later.
    fn is_segmented_later(&self) -> bool;

    /// The bytes at an offset, or nothing if the packet ends before.
    fn read<const N: usize>(&self, offset: u32) -> Option<Bytes<N>>;

    /// The one's complement sum (RFC 1071) over `length` bytes from an even offset on, folded, host byte order; nothing if
    /// the packet ends before. The length is a multiple of four, at least four and at most that of the place to work at.
    fn sum(&self, offset: u32, length: u32, scratch: &mut Scratch) -> Option<u16>;

    /// Replaces the bytes at an even offset and accounts for it in the checksums.
    ///
    /// # Errors
    ///
    /// [`Reason::RewriteFailed`] if the kernel refuses; the packet may then be half changed and must not go on.
    fn replace<const N: usize>(
        &mut self,
        offset: u32,
        old: &Bytes<N>,
        new: &Bytes<N>,
        sums: Sums,
    ) -> Result<(), Reason>;
}
