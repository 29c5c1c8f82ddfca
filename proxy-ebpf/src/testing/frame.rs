//! [`Frame`] over bytes in memory: checksums are updated as RFC 1624 has it.

use proxy_common::reason::Reason;

use super::packet::Wire;
use crate::{
    frame::{Bytes, Frame, SCRATCH, Scratch, Sums, TransportSum},
    rewrite::checksum::{add, fold, updated},
};

/// A packet in memory.
#[derive(Clone, Debug)]
pub struct MemoryFrame {
    bytes: Vec<u8>,
    base: usize,
    segments: u32,
    writes_left: u32,
}

impl MemoryFrame {
    /// The packet of a frame.
    #[must_use]
    pub fn new(wire: &Wire) -> Self {
        MemoryFrame {
            bytes: wire.bytes.clone(),
            base: wire.network(),
            segments: wire.segments,
            writes_left: u32::MAX,
        }
    }

    /// The same packet in a kernel that refuses every write after some.
    #[must_use]
    pub const fn refusing_after(mut self, writes: u32) -> Self {
        self.writes_left = writes;
        self
    }

    /// All bytes, link header included.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes from the network header on.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        &self.bytes[self.base..]
    }

    /// The packet as it travels.
    #[must_use]
    pub fn into_wire(self) -> Wire {
        Wire {
            bytes: self.bytes,
            segments: self.segments,
        }
    }

    fn place<const N: usize>(&mut self, offset: u32) -> Option<&mut [u8; N]> {
        let at = self.base.checked_add(offset as usize)?;
        self.bytes.get_mut(at..)?.first_chunk_mut()
    }

    fn replace_sum<const N: usize>(
        &mut self,
        sum: &TransportSum,
        old: &Bytes<N>,
        new: &Bytes<N>,
    ) -> Result<(), Reason> {
        let place = self.place::<2>(sum.offset).ok_or(Reason::RewriteFailed)?;
        let before = u16::from_be_bytes(*place);
        if sum.optional && before == 0 {
            return Ok(());
        }
        let after = updated(before, &old.0, &new.0);
        *place = if sum.optional && after == 0 { 0xffff } else { after }.to_be_bytes();
        Ok(())
    }
}

impl Frame for MemoryFrame {
    fn len(&self) -> u32 {
        u32::try_from(self.bytes.len().saturating_sub(self.base)).expect("a packet is short")
    }

    fn is_segmented_later(&self) -> bool {
        self.segments > 1
    }

    fn read<const N: usize>(&self, offset: u32) -> Option<Bytes<N>> {
        let at = self.base.checked_add(offset as usize)?;
        self.bytes.get(at..)?.first_chunk().copied().map(Bytes)
    }

    fn sum(&self, offset: u32, length: u32, _scratch: &mut Scratch) -> Option<u16> {
        assert!(
            (4..=SCRATCH).contains(&length) && length.is_multiple_of(4),
            "what the kernel's helpers take: {length}"
        );
        let at = self.base.checked_add(offset as usize)?;
        let bytes = self.bytes.get(at..at + length as usize)?;
        let pairs = bytes
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        Some(fold(pairs.fold(0, add)))
    }

    fn replace<const N: usize>(
        &mut self,
        offset: u32,
        old: &Bytes<N>,
        new: &Bytes<N>,
        sums: Sums,
    ) -> Result<(), Reason> {
        assert!([2, 4, 8, 32].contains(&N), "the kernel's helpers take these sizes: {N}");
        assert_eq!(offset % 2, 0, "a checksum counts in words from an even offset");
        self.writes_left = self.writes_left.checked_sub(1).ok_or(Reason::RewriteFailed)?;
        let place = self.place::<N>(offset).ok_or(Reason::RewriteFailed)?;
        assert_eq!(
            *place, old.0,
            "what is replaced at {offset} is not what is said to be there"
        );
        *place = new.0;
        if let Some(at) = sums.header {
            let place = self.place::<2>(at).ok_or(Reason::RewriteFailed)?;
            *place = updated(u16::from_be_bytes(*place), &old.0, &new.0).to_be_bytes();
        }
        match &sums.transport {
            Some(sum) => self.replace_sum(sum, old, new),
            None => Ok(()),
        }
    }
}
