//! 4. Service -> endpoint: which view the client has, and which endpoint of it is taken.

pub mod policy;

use proxy_common::{
    block::{BlockEntry, BlockHeader, FlipWord, View, policy as flags},
    family::Family,
    net::{Address as _, Peer},
    reason::Reason,
};

use crate::{
    node::{Entropy, Tables},
    verdict::Verdict,
};

/// A service's block at one moment: header and flip word belong together.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    word: FlipWord,
    /// The header.
    pub header: BlockHeader,
}

/// The range of a block from which a client's endpoint is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Candidates {
    /// The service and the generation that every entry must carry.
    service: u32,
    generation: u32,
    /// The cell of the first candidate.
    cell: u32,
    count: u32,
    /// Which of them is tried first.
    start: u32,
}

/// One endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoint<F: Family> {
    /// Where it listens.
    pub peer: Peer<F>,
    /// Its number.
    pub number: u32,
}

/// The current block of a service.
///
/// # Errors
///
/// [`Reason::StaleBlock`] if the block was reused under the reader; a service without a block refuses.
#[inline(always)]
pub fn block<F: Family, N: Tables<F>>(node: &N, service: u32) -> Result<Block, Verdict> {
    let word = node.flip_word(service);
    if !word.is_some() {
        return Err(Verdict::reject(Reason::NoEndpoint));
    }
    let cell = node.cell(word.cell()).ok_or(Verdict::drop(Reason::StaleBlock))?;
    let header: BlockHeader = bytemuck::must_cast(cell);
    if header.generation != word.generation() || header.service != service {
        return Err(Verdict::drop(Reason::StaleBlock));
    }
    Ok(Block { word, header })
}

impl Block {
    /// The candidates of a view, the first one drawn at random.
    ///
    /// # Errors
    ///
    /// A service without any usable endpoint refuses; one whose endpoints are all on other nodes drops, which looks
    /// like a time-out and lets a load balancer try another node.
    #[inline(always)]
    pub fn candidates(self, view: View, dice: &impl Entropy) -> Result<Candidates, Verdict> {
        let (first, count) = self.header.range(view);
        if count == 0 {
            let elsewhere = view == View::Local && self.header.flags & flags::ANY_ENDPOINT != 0;
            return Err(if elsewhere {
                Verdict::drop(Reason::NoLocalEndpoint)
            } else {
                Verdict::reject(Reason::NoEndpoint)
            });
        }
        Ok(Candidates {
            service: self.header.service,
            generation: self.header.generation,
            cell: self.word.cell() + 1 + first,
            count,
            start: uniform(dice.random(), count),
        })
    }

    /// The generation.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.word.generation()
    }
}

impl Candidates {
    /// How many there are.
    #[inline(always)]
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The candidate that is tried after `turn` others.
    ///
    /// # Errors
    ///
    /// [`Reason::StaleBlock`] if the block was reused under the reader.
    #[inline(always)]
    pub fn endpoint<F: Family>(&self, node: &impl Tables<F>, turn: u32) -> Result<Endpoint<F>, Verdict> {
        let position = self.start + turn;
        let position = if position >= self.count {
            position - self.count
        } else {
            position
        };
        let cell = node
            .cell(self.cell + position)
            .ok_or(Verdict::drop(Reason::StaleBlock))?;
        let entry: BlockEntry = bytemuck::must_cast(cell);
        if entry.generation != self.generation || entry.service != self.service {
            return Err(Verdict::drop(Reason::StaleBlock));
        }
        Ok(Endpoint {
            peer: Peer::new(F::Address::narrow(&entry.address), entry.port),
            number: entry.endpoint,
        })
    }
}

/// A number below `count`, each as likely as the others: the high half of a product (Lemire, 2019). The bias is below
/// `count / 2^32`.
#[inline(always)]
const fn uniform(random: u32, count: u32) -> u32 {
    ((random as u64 * count as u64) >> 32) as u32
}
