//! Which cells of the arena belong to a block, and which may be given to one.

use std::collections::{BTreeMap, BTreeSet};

/// The free cells, as runs. A block gets the smallest run that holds it; runs that touch are one run.
#[derive(Debug)]
pub struct Arena {
    /// First cell -> number of cells, of each free run.
    by_place: BTreeMap<u32, u32>,
    /// Number of cells and first cell of each free run.
    by_size: BTreeSet<(u32, u32)>,
    free: u32,
}

/// A run of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// The first cell; never cell 0.
    pub cell: u32,
    /// How many cells.
    pub cells: u32,
}

impl Arena {
    /// An arena of `cells` cells, of which the given runs are taken. Cell 0 is never given out: it means "no block".
    /// Runs that reach beyond the arena or into each other are refused and returned.
    #[must_use]
    pub fn new(cells: u32, taken: impl IntoIterator<Item = Run>) -> (Self, Vec<Run>) {
        let mut arena = Arena {
            by_place: BTreeMap::new(),
            by_size: BTreeSet::new(),
            free: 0,
        };
        let mut taken: Vec<_> = taken.into_iter().collect();
        taken.sort_unstable();
        let mut refused = Vec::new();
        let mut next = 1;
        for run in taken {
            let end = u64::from(run.cell) + u64::from(run.cells);
            if run.cell < next || run.cells == 0 || end > u64::from(cells) {
                refused.push(run);
                continue;
            }
            arena.insert(next, run.cell - next);
            next = run.cell + run.cells;
        }
        arena.insert(next, cells.saturating_sub(next));
        (arena, refused)
    }

    /// A run of exactly so many cells, or `None` if no free run is long enough.
    pub fn take(&mut self, cells: u32) -> Option<Run> {
        let (len, cell) = *self.by_size.range((cells, 0)..).next()?;
        self.remove(cell, len);
        self.insert(cell + cells, len - cells);
        Some(Run { cell, cells })
    }

    /// Gives a run back. A grace period has passed since a flip word referred to it.
    pub fn give_back(&mut self, run: Run) {
        let Run { mut cell, mut cells } = run;
        if let Some((&before, &len)) = self.by_place.range(..cell).next_back() {
            debug_assert!(before + len <= cell, "cell {cell} was free");
            if before + len == cell {
                self.remove(before, len);
                cell = before;
                cells += len;
            }
        }
        let after = cell + cells;
        if let Some(&len) = self.by_place.get(&after) {
            self.remove(after, len);
            cells += len;
        }
        self.insert(cell, cells);
    }

    /// How many cells are free.
    #[must_use]
    pub const fn free(&self) -> u32 {
        self.free
    }

    /// The longest block that would find a place, header included.
    #[must_use]
    pub fn largest(&self) -> u32 {
        self.by_size.last().map_or(0, |(len, _)| *len)
    }

    fn insert(&mut self, cell: u32, cells: u32) {
        if cells > 0 {
            self.by_place.insert(cell, cells);
            self.by_size.insert((cells, cell));
            self.free += cells;
        }
    }

    fn remove(&mut self, cell: u32, cells: u32) {
        self.by_place.remove(&cell);
        self.by_size.remove(&(cells, cell));
        self.free -= cells;
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn cell_zero_is_never_given_out() {
        let (mut arena, _) = Arena::new(3, []);
        assert_eq!(arena.take(2), Some(Run { cell: 1, cells: 2 }));
        assert_eq!(arena.take(1), None);
    }

    #[test]
    fn a_block_gets_the_smallest_run_that_holds_it() {
        let taken = [Run { cell: 6, cells: 1 }, Run { cell: 9, cells: 1 }];
        let (mut arena, refused) = Arena::new(100, taken);
        assert!(refused.is_empty());
        assert_eq!(arena.take(2), Some(Run { cell: 7, cells: 2 }));
        assert_eq!(arena.take(2), Some(Run { cell: 1, cells: 2 }));
    }

    #[test]
    fn runs_that_overlap_or_reach_beyond_the_end_are_refused() {
        let runs = [
            Run { cell: 2, cells: 3 },
            Run { cell: 4, cells: 1 },
            Run { cell: 9, cells: 2 },
        ];
        let (arena, refused) = Arena::new(10, runs);
        assert_eq!(refused, [Run { cell: 4, cells: 1 }, Run { cell: 9, cells: 2 }]);
        assert_eq!(arena.free(), 6);
    }

    proptest! {
        #[test]
        fn whatever_is_taken_and_given_back_no_cell_has_two_owners(steps in vec((0_u8..3, 1_u32..9), 0..200)) {
            let (mut arena, _) = Arena::new(64, []);
            let mut held: Vec<Run> = Vec::new();
            for (what, size) in steps {
                if what == 0 && !held.is_empty() {
                    arena.give_back(held.remove(size as usize % held.len()));
                } else if let Some(run) = arena.take(size) {
                    prop_assert!(run.cell > 0 && run.cell + run.cells <= 64 && run.cells == size);
                    prop_assert!(held.iter().all(|other| other.cell + other.cells <= run.cell
                        || run.cell + run.cells <= other.cell));
                    held.push(run);
                } else {
                    prop_assert!(arena.largest() < size);
                }
                let used: u32 = held.iter().map(|run| run.cells).sum();
                prop_assert_eq!(arena.free() + used, 63);
            }
            held.drain(..).for_each(|run| arena.give_back(run));
            prop_assert_eq!(arena.largest(), 63);
        }
    }
}
