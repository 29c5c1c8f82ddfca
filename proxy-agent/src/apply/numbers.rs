//! Which numbers are given out. Number 0 names nothing.

use std::collections::BTreeSet;

/// Numbers from 1 up to a capacity.
#[derive(Debug)]
pub struct Numbers {
    capacity: u32,
    /// Every number from here on is free.
    fresh: u32,
    /// Free numbers below `fresh`.
    returned: BTreeSet<u32>,
}

impl Numbers {
    /// The numbers below `capacity`, of which the given ones are taken.
    #[must_use]
    pub fn new(capacity: u32, taken: &BTreeSet<u32>) -> Self {
        let fresh = taken.last().map_or(1, |last| last + 1);
        let returned = (1..fresh).filter(|number| !taken.contains(number)).collect();
        Numbers {
            capacity,
            fresh,
            returned,
        }
    }

    /// A free number, or `None` if all are taken. The lowest: what is used stays dense.
    pub fn take(&mut self) -> Option<u32> {
        if let Some(number) = self.returned.pop_first() {
            return Some(number);
        }
        if self.fresh >= self.capacity {
            return None;
        }
        self.fresh += 1;
        Some(self.fresh - 1)
    }

    /// Gives a number back that nothing names any longer.
    pub fn give_back(&mut self, number: u32) {
        self.returned.insert(number);
    }

    /// How many numbers are taken.
    #[must_use]
    pub fn taken(&self) -> u32 {
        let returned = u32::try_from(self.returned.len()).unwrap_or(u32::MAX);
        self.fresh.saturating_sub(1).saturating_sub(returned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_taken_are_not_given_out() {
        let mut numbers = Numbers::new(6, &BTreeSet::from([2, 4]));
        let given: Vec<_> = std::iter::from_fn(|| numbers.take()).collect();
        assert_eq!(given, [1, 3, 5]);
        assert_eq!(numbers.taken(), 5);
    }

    #[test]
    fn a_number_given_back_is_given_out_again() {
        let mut numbers = Numbers::new(3, &BTreeSet::new());
        assert_eq!(
            (numbers.take(), numbers.take(), numbers.take()),
            (Some(1), Some(2), None)
        );
        numbers.give_back(1);
        assert_eq!(numbers.taken(), 1);
        assert_eq!(numbers.take(), Some(1));
    }
}
