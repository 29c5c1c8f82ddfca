//! Fragments: as a router makes them, and as nobody should.

use super::{Body, Draft};
use crate::testing::who::TestFamily;

impl<F: TestFamily> Draft<F> {
    /// The packet in pieces of so many bytes, a multiple of eight.
    #[must_use]
    pub fn fragments(&self, piece: usize) -> Vec<Draft<F>> {
        let message = self.message();
        let pieces: Vec<&[u8]> = message.chunks(piece).collect();
        let count = pieces.len();
        let drafts = pieces.into_iter().enumerate().map(|(index, bytes)| {
            let offset = u16::try_from(index * piece).expect("a packet is short");
            self.piece(bytes, offset, index + 1 < count)
        });
        drafts.collect()
    }

    /// One fragment: these bytes at this offset.
    #[must_use]
    pub fn piece(&self, bytes: &[u8], offset: u16, more: bool) -> Draft<F> {
        let mut draft = self.clone();
        draft.body = Body::Raw {
            protocol: self.protocol(),
            bytes: bytes.to_vec(),
        };
        draft.payload = Vec::new();
        draft.network.fragment = Some((offset, more));
        draft
    }
}
