//! 4. Service -> endpoint: which view the client has, and which endpoint of it is taken.

pub mod policy;

use proxy_common::{
    block::{BlockEntry, BlockHeader, FlipWord, View, policy as flags},
    family::Family,
    net::{Address as _, Peer},
    node::NodeConfig,
    reason::Reason,
};

use crate::{
    node::{Entropy, Tables},
    service::Dialled,
    verdict::Verdict,
};
use policy::Sender;

/// A service's block at one moment: header and flip word belong together.
#[derive(Clone, Copy, Debug)]
struct Block {
    word: FlipWord,
    header: BlockHeader,
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

/// What a new flow would get: the service, the candidates among its endpoints, and whether it is masqueraded.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    /// The service that was dialled.
    pub dialled: Dialled,
    /// The endpoints to choose from, in the order in which they are tried.
    pub candidates: Candidates,
    /// The view that they are of.
    pub view: View,
    /// Whether the backend must see an address of the node.
    pub masquerade: bool,
    /// The generation of the block.
    pub generation: u32,
}

/// Decides on a new flow to a service, whose sender's address may not be known yet. Nothing is written.
///
/// # Errors
///
/// The verdict on a packet that opens no flow.
#[inline(always)]
pub fn decide<F: Family>(
    node: &(impl Tables<F> + Entropy),
    config: &NodeConfig<F>,
    dialled: Dialled,
    sender: Sender,
    source: Option<&F::Address>,
) -> Result<Decision, Verdict> {
    let block = block(node, dialled.service)?;
    policy::admit(node, dialled, &block.header, sender, source)?;
    let treatment = policy::treatment(dialled.kind, &block.header, config, sender);
    Ok(Decision {
        dialled,
        candidates: block.candidates(treatment.view, node)?,
        view: treatment.view,
        masquerade: treatment.masquerade,
        generation: block.word.generation(),
    })
}

/// The current block of a service.
///
/// # Errors
///
/// [`Reason::StaleBlock`] if the block was reused under the reader; a service without a block refuses.
#[inline(always)]
fn block<F: Family, N: Tables<F>>(node: &N, service: u32) -> Result<Block, Verdict> {
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
    fn candidates(self, view: View, dice: &impl Entropy) -> Result<Candidates, Verdict> {
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Chi-square of 1,000 draws per place; its mean is one less than there are places, its deviation the root of twice
    /// that. Five deviations are exceeded once in a million seeds, and this seed is always the same.
    #[rstest]
    fn each_endpoint_is_drawn_as_often_as_the_others(#[values(2, 3, 7, 64, 1000)] count: u32) {
        // Marsaglia's xorshift (2003).
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut drawn = vec![0_u64; count as usize];
        let each = 1000_u64;
        for _ in 0..u64::from(count) * each {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            drawn[uniform((state >> 32) as u32, count) as usize] += 1;
        }
        let square = |drawn: &u64| drawn.abs_diff(each).pow(2);
        let chi = drawn.iter().map(square).sum::<u64>() / each;
        let free = u64::from(count) - 1;
        assert!(chi < free + 5 * (2 * free).isqrt().max(2), "{chi} of {free}");
    }

    #[rstest]
    #[case(0, 5, 0)]
    #[case(u32::MAX, 5, 4)]
    #[case(u32::MAX, 1, 0)]
    #[case(1 << 31, 2, 1)]
    #[case((1 << 31) - 1, 2, 0)]
    fn the_ends_of_the_dice_are_the_ends_of_the_range(#[case] random: u32, #[case] count: u32, #[case] place: u32) {
        assert_eq!(uniform(random, count), place);
    }
}
